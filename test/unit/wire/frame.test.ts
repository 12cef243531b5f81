import { decode } from 'cbor-x';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  errorMessageLengthMax,
  FrameBatch,
  FrameReader,
  frameKind,
  headerBytesMax,
  messageBytesTarget,
  payloadBytesMax,
  wireVersion,
} from '../../../src/wire/frame.ts';

type Read = Record<string, unknown>;

function readAll(message: Buffer): { frames: Read[]; malformed: string | null } {
  const reader = new FrameReader();
  const frames: Read[] = [];
  reader.start(message);
  while (reader.next()) {
    const { kind, id, epoch } = reader;
    const payload = Buffer.from(reader.payload);
    if (kind === frameKind.call)
      frames.push({ kind, id, epoch, method: reader.method, timeoutMs: reader.timeoutMs, payload });
    else if (kind === frameKind.answer) frames.push({ kind, id, epoch, payload });
    else frames.push({ kind, id, epoch, code: reader.code, message: reader.message, payload });
  }
  return { frames, malformed: reader.malformed };
}

/** Builds a message of one frame by hand. */
function messageOf(header: Buffer, payload = Buffer.alloc(0), lengths?: { header?: number; payload?: number }): Buffer {
  const prefix = Buffer.alloc(7);
  prefix[0] = wireVersion;
  prefix.writeUInt16BE(lengths?.header ?? header.length, 1);
  prefix.writeUInt32BE(lengths?.payload ?? payload.length, 3);
  return Buffer.concat([prefix, header, payload]);
}

const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const bytes = fc.uint8Array({ maxLength: 3000 }).map((value) => Buffer.from(value));
const ascii = fc.stringMatching(/^[a-zA-Z.]{0,96}$/);
const anyFrame = fc.oneof(
  fc.record({ kind: fc.constant(frameKind.call), id: u32, epoch: u32, method: ascii, timeoutMs: u32, payload: bytes }),
  fc.record({ kind: fc.constant(frameKind.answer), id: u32, epoch: u32, payload: bytes }),
  fc.record({
    kind: fc.constant(frameKind.error),
    id: u32,
    epoch: u32,
    code: ascii,
    message: fc.string({ unit: 'grapheme' }).filter((text) => text.length <= errorMessageLengthMax),
    payload: fc.constant(Buffer.alloc(0)),
  }),
);

function add(batch: FrameBatch, frame: typeof anyFrame extends fc.Arbitrary<infer F> ? F : never): void {
  if ('method' in frame) batch.addCall(frame.id, frame.epoch, frame.method, frame.timeoutMs, frame.payload);
  else if ('code' in frame) batch.addError(frame.id, frame.epoch, frame.code, frame.message);
  else batch.addAnswer(frame.id, frame.epoch, frame.payload);
}

describe('frames', () => {
  it('are read as they were written, many in one message', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 20 }), (frames) => {
        const batch = new FrameBatch();
        for (const frame of frames) add(batch, frame);
        if (frames.length === 0) return;
        expect(readAll(batch.take())).toEqual({ frames, malformed: null });
        expect(batch.length).toBe(0);
      }),
    );
  });

  it('have headers that any CBOR reader understands', () => {
    const batch = new FrameBatch();
    batch.addCall(70_000, 7, 'bsky.GetPostRecords', 500, Buffer.from('x'));
    const message = batch.take();
    const headerBytes = message.readUInt16BE(1);
    expect(decode(message.subarray(7, 7 + headerBytes))).toEqual([0, 70_000, 7, 'bsky.GetPostRecords', 500]);
    batch.addError(3, 255, 'NotFound', 'nö');
    const error = batch.take();
    expect(decode(error.subarray(7, 7 + error.readUInt16BE(1)))).toEqual([2, 3, 255, 'NotFound', 'nö']);
  });

  it('of any bytes at all never throw and stop with a reason', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        const { malformed } = readAll(Buffer.concat([Buffer.from([wireVersion]), random]));
        if (random.length > 0 && random.length < 6) expect(malformed).toBe('frame is cut off');
      }),
      { numRuns: 2000 },
    );
  });

  it('with one byte changed or cut off never throw', () => {
    const batch = new FrameBatch();
    batch.addCall(1, 2, 'slot.append', 1000, Buffer.alloc(40, 3));
    batch.addError(4, 2, 'Aborted', 'late');
    const message = Buffer.from(batch.take());
    for (let at = 0; at < message.length; at++) {
      for (let value = 0; value < 256; value += 5) {
        const changed = Buffer.from(message);
        changed[at] = value;
        readAll(changed);
      }
      const { malformed } = readAll(message.subarray(0, at));
      const firstFrameEnd = 7 + message.readUInt16BE(1) + message.readUInt32BE(3);
      if (at === 0) expect(malformed).toBe('message is empty');
      else if (at !== 1 && at !== firstFrameEnd) expect(malformed).toBe('frame is cut off');
    }
  });

  it('are refused by reason', () => {
    const header = Buffer.from([0x83, 1, 5, 6]);
    expect(readAll(messageOf(header)).malformed).toBe(null);
    expect(readAll(Buffer.from([wireVersion + 1, 0])).malformed).toBe('unknown version');
    expect(readAll(messageOf(header, undefined, { payload: payloadBytesMax + 1 })).malformed).toBe('payload too large');
    expect(readAll(messageOf(header, undefined, { header: headerBytesMax + 1 })).malformed).toBe('header too large');
    expect(readAll(messageOf(Buffer.from([0x83, 9, 5, 6]))).malformed).toBe('unknown frame kind');
    expect(readAll(messageOf(Buffer.from([0x84, 1, 5, 6, 7]))).malformed).toBe('header is not of this protocol');
    expect(readAll(messageOf(Buffer.from([0x83, 1, 5, 0x81, 0x81]))).malformed).toBe('header is not of this protocol');
    expect(readAll(messageOf(Buffer.alloc(0))).malformed).toBe('header is not of this protocol');
    expect(readAll(messageOf(Buffer.from([0x9b, 255, 255, 255, 255, 255, 255, 255, 255]))).malformed).toBe(
      'header is not of this protocol',
    );
  });

  it('carry long error texts cut to the bound', () => {
    const batch = new FrameBatch();
    batch.addError(1, 1, 'Internal', '€'.repeat(5000));
    const [frame] = readAll(batch.take()).frames;
    expect(frame?.['message']).toBe(`${'€'.repeat(errorMessageLengthMax - 1)}…`);
  });

  it('fill a message up to its target, and a larger one goes alone', () => {
    const batch = new FrameBatch();
    expect(batch.isFullFor(payloadBytesMax)).toBe(false);
    batch.addAnswer(1, 1, Buffer.alloc(1000));
    expect(batch.isFullFor(1000)).toBe(false);
    expect(batch.isFullFor(messageBytesTarget)).toBe(true);
  });

  it('in a buffer given back do not change a message that is still held', () => {
    const batch = new FrameBatch();
    batch.addAnswer(1, 1, Buffer.from('first'));
    const first = batch.take();
    batch.addAnswer(2, 1, Buffer.from('second'));
    expect(readAll(first).frames[0]).toMatchObject({ id: 1, payload: Buffer.from('first') });
    const second = batch.take();
    batch.giveBack(first);
    batch.addAnswer(3, 1, Buffer.from('third'));
    batch.take();
    batch.addAnswer(4, 1, Buffer.from('fourth'));
    expect(readAll(second).frames[0]).toMatchObject({ id: 2, payload: Buffer.from('second') });
    expect(readAll(batch.take()).frames[0]).toMatchObject({ id: 4, payload: Buffer.from('fourth') });
  });
});
