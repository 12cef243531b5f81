/** Frames survive encoding in the documented layout, and malformed ones are refused by reason. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  errorTextBytesMax,
  errorTextLengthMax,
  FrameBatch,
  FrameReader,
  frameKind,
  messageBytesTarget,
  nameBytesMax,
  payloadBytesMax,
  wireVersion,
} from '../../../src/wire/frame.ts';

type Read = Record<string, unknown>;

const headerBytes = 18;

function readAll(message: Buffer): { frames: Read[]; malformed: string | null } {
  const reader = new FrameReader();
  const frames: Read[] = [];
  reader.start(message);
  while (reader.next()) {
    const { kind, id, epoch } = reader;
    const payload = Buffer.from(reader.payload);
    if (kind === frameKind.call)
      frames.push({ kind, id, epoch, method: reader.name, timeoutMs: reader.timeoutMs, payload });
    else if (kind === frameKind.answer) frames.push({ kind, id, epoch, payload });
    else frames.push({ kind, id, epoch, code: reader.name, message: String(payload) });
  }
  return { frames, malformed: reader.malformed };
}

type Header = {
  readonly kind: number;
  readonly nameBytes?: number;
  readonly timeoutMs?: number;
  readonly payloadBytes?: number;
};

/** Builds a message of one frame with id 5, epoch 6, and `bytes` zeros after the header. */
function messageOf({ kind, nameBytes = 0, timeoutMs = 0, payloadBytes = 0 }: Header, bytes = 0): Buffer {
  const message = Buffer.alloc(1 + headerBytes + bytes);
  message[0] = wireVersion;
  message[1] = kind;
  message[2] = nameBytes;
  message.writeUInt32BE(5, 3);
  message.writeUInt32BE(6, 7);
  message.writeUInt32BE(timeoutMs, 11);
  message.writeUInt32BE(payloadBytes, 15);
  return message;
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
    message: fc.string({ unit: 'grapheme' }).filter((text) => text.length <= errorTextLengthMax),
  }),
);

function add(batch: FrameBatch, frame: typeof anyFrame extends fc.Arbitrary<infer F> ? F : never): void {
  if ('method' in frame) batch.addCall(frame.id, frame.epoch, frame.method, frame.timeoutMs, frame.payload);
  else if ('code' in frame) batch.addError(frame.id, frame.epoch, frame.code, frame.message);
  else batch.addAnswer(frame.id, frame.epoch, frame.payload);
}

describe('frames', () => {
  it('survive encoding, many in one message', () => {
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

  it('have the layout that frame.ts documents', () => {
    const batch = new FrameBatch();
    batch.addCall(70_000, 7, 'slot.append', 500, Buffer.from('x'));
    batch.addAnswer(0xffff_ffff, 255, Buffer.from('yz'));
    batch.addError(3, 255, 'NotFound', 'nö');
    expect(batch.take().toString('hex')).toBe(
      [
        '06',
        ...['00', '0b', '00011170', '00000007', '000001f4', '00000001', Buffer.from('slot.appendx').toString('hex')],
        ...['01', '00', 'ffffffff', '000000ff', '00000000', '00000002', Buffer.from('yz').toString('hex')],
        ...['02', '08', '00000003', '000000ff', '00000000', '00000003', Buffer.from('NotFoundnö').toString('hex')],
      ].join(''),
    );
    const trace = { traceId: '0123456789abcdef'.repeat(2), parentId: '00f067aa0ba902b7', isSampled: true };
    batch.addTracedCall({ id: 1, epoch: 7, method: 'a.b', timeoutMs: 5, payload: Buffer.from('x') }, trace);
    expect(batch.take().toString('hex')).toBe(
      [
        '06',
        '03',
        '03',
        '00000001',
        '00000007',
        '00000005',
        '0000001a',
        '612e62',
        trace.traceId,
        trace.parentId,
        '0178',
      ].join(''),
    );
  });

  it('of traced calls read as calls, with their trace, and those without have none', () => {
    const batch = new FrameBatch();
    const trace = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', parentId: '00f067aa0ba902b7', isSampled: false };
    batch.addTracedCall({ id: 1, epoch: 7, method: 'a.b', timeoutMs: 5, payload: Buffer.from('payload') }, trace);
    batch.addCall(2, 7, 'a.b', 5, Buffer.from('other'));
    const reader = new FrameReader();
    reader.start(batch.take());
    const read: unknown[] = [];
    while (reader.next()) read.push([reader.kind, reader.id, reader.trace, String(reader.payload)]);
    expect(read).toEqual([
      [frameKind.call, 1, trace, 'payload'],
      [frameKind.call, 2, null, 'other'],
    ]);
    expect(readAll(messageOf({ kind: 3, payloadBytes: 24 }, 24)).malformed).toBe('header does not match its kind');
  });

  it('made of random bytes stop with a reason and never throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (random) => {
        const { malformed } = readAll(Buffer.concat([Buffer.from([wireVersion]), random]));
        if (random.length > 0 && random.length < headerBytes) expect(malformed).toBe('frame is cut off');
      }),
      { numRuns: 2000 },
    );
  });

  it('that are truncated or have one byte changed never throw', () => {
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
      const firstFrameEnd = 1 + headerBytes + message[2]! + message.readUInt32BE(15);
      if (at === 0) expect(malformed).toBe('message is empty');
      else if (at !== 1 && at !== firstFrameEnd) expect(malformed).toBe('frame is cut off');
    }
  });

  it('are refused by reason', () => {
    const { call, answer, error } = frameKind;
    const reasonOf = (header: Header, bytes?: number): string | null => readAll(messageOf(header, bytes)).malformed;
    expect(reasonOf({ kind: answer })).toBe(null);
    expect(readAll(Buffer.alloc(0)).malformed).toBe('message is empty');
    expect(readAll(Buffer.from([wireVersion + 1, 0])).malformed).toBe('unknown version');
    expect(reasonOf({ kind: answer, payloadBytes: payloadBytesMax + 1 })).toBe('payload too large');
    expect(reasonOf({ kind: answer, payloadBytes: payloadBytesMax })).toBe('frame is cut off');
    expect(reasonOf({ kind: call, nameBytes: nameBytesMax + 1 })).toBe('name too long');
    expect(reasonOf({ kind: call, nameBytes: nameBytesMax }, nameBytesMax - 1)).toBe('frame is cut off');
    expect(reasonOf({ kind: call, nameBytes: nameBytesMax }, nameBytesMax)).toBe(null);
    expect(reasonOf({ kind: 9 })).toBe('unknown frame kind');
    expect(reasonOf({ kind: answer, nameBytes: 1 }, 1)).toBe('header does not match its kind');
    expect(reasonOf({ kind: answer, timeoutMs: 1 })).toBe('header does not match its kind');
    expect(reasonOf({ kind: error, nameBytes: 1, timeoutMs: 1 }, 1)).toBe('header does not match its kind');
    expect(reasonOf({ kind: error, payloadBytes: errorTextBytesMax }, errorTextBytesMax)).toBe(null);
    expect(reasonOf({ kind: error, payloadBytes: errorTextBytesMax + 1 })).toBe('error text too long');
  });

  it('truncate long error texts', () => {
    const batch = new FrameBatch();
    batch.addError(1, 1, 'Internal', '€'.repeat(5000));
    const [frame] = readAll(batch.take()).frames;
    expect(frame?.['message']).toBe(`${'€'.repeat(errorTextLengthMax - 1)}…`);
  });

  it('fill a message up to its target size, and a larger one has its own', () => {
    const batch = new FrameBatch();
    expect(batch.isFullFor(payloadBytesMax)).toBe(false);
    batch.addAnswer(1, 1, Buffer.alloc(1000));
    expect(batch.isFullFor(1000)).toBe(false);
    expect(batch.isFullFor(messageBytesTarget)).toBe(true);
  });

  it('in a recycled buffer do not change another message', () => {
    const batch = new FrameBatch();
    batch.addAnswer(1, 1, Buffer.from('first'));
    const first = batch.take();
    batch.addAnswer(2, 1, Buffer.from('second'));
    expect(readAll(first).frames[0]).toMatchObject({ id: 1, payload: Buffer.from('first') });
    const second = batch.take();
    batch.recycle(first);
    batch.addAnswer(3, 1, Buffer.from('third'));
    batch.take();
    batch.addAnswer(4, 1, Buffer.from('fourth'));
    expect(readAll(second).frames[0]).toMatchObject({ id: 2, payload: Buffer.from('second') });
    expect(readAll(batch.take()).frames[0]).toMatchObject({ id: 4, payload: Buffer.from('fourth') });
  });
});
