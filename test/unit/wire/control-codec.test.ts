/** Control messages survive encoding, and malformed ones are refused before cbor-x sees them. */
import { Encoder } from 'cbor-x';
import fc from 'fast-check';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { controlBytesMax, controlDepthMax, controlMessage } from '../../../src/wire/control-codec.ts';
import { nodeStatusMessage, type SlotFetch, type SlotStatus } from '../../../src/wire/node-status.ts';
import { reposToResyncAnswer, resyncReposMax } from '../../../src/wire/repos-to-resync.ts';
import { digestAnswer, digestRequest } from '../../../src/wire/slot-digest.ts';

/** Accepts every value, so that only the limits refuse. */
const anything = controlMessage('a test', v.unknown());

function problemOf(decode: () => unknown): string {
  try {
    decode();
  } catch (thrown) {
    expect(thrown).toBeInstanceOf(DataPlaneError);
    expect((thrown as DataPlaneError).code).toBe('Internal');
    return (thrown as DataPlaneError).message;
  }
  throw new Error('the bytes were accepted');
}

function problemOfHex(hex: string): string {
  return problemOf(() => anything.decode(Buffer.from(hex, 'hex')));
}

/** Returns the depth of a value and the number of its items, as the limits count them. */
function measure(value: unknown): { depth: number; items: number } {
  if (typeof value !== 'object' || value === null) return { depth: 0, items: 1 };
  const inner = (Array.isArray(value) ? value : Object.entries(value).flat()).map(measure);
  return {
    depth: 1 + Math.max(0, ...inner.map(({ depth }) => depth)),
    items: 1 + inner.reduce((sum, { items }) => sum + items, 0),
  };
}

const count = fc.maxSafeNat();
const slotStatus = fc.record<SlotStatus>({
  slot: fc.nat({ max: 65_535 }),
  cursor: count,
  head: count,
  waiting: count,
  outbox: count,
  deliveredMark: fc.option(count),
  lastMark: count,
  isContinuing: fc.boolean(),
  sentEffects: count,
  receivedEffects: count,
  lagMs: fc.option(count),
  bytes: count,
  quarantined: count,
  suspendedDids: count,
  state: fc.constantFrom('applying', 'full', 'stopped'),
  owners: count,
  generation: count,
  condition: fc.constantFrom('complete', 'new', 'incomplete'),
  log: fc.option(fc.string()),
  role: fc.constantFrom('primary', 'replica'),
  acts: fc.boolean(),
  behindMs: count,
});
const slotFetch = fc.record<SlotFetch>({
  slot: fc.nat({ max: 65_535 }),
  from: fc.string(),
  bytes: count,
  bytesDone: count,
  problem: fc.string(),
  slowedMs: fc.option(count),
});
const nodeStatus = fc.record({
  role: fc.constant('node' as const),
  name: fc.string({ unit: 'grapheme' }),
  epoch: count,
  pid: count,
  slots: fc.array(slotStatus),
  fetches: fc.array(slotFetch),
});
const anyJson = fc.jsonValue({ maxDepth: 6 }).filter((value) => !JSON.stringify(value).includes('__proto__'));

describe('control messages', () => {
  it('survive encoding', () => {
    fc.assert(
      fc.property(nodeStatus, (status) => {
        expect(nodeStatusMessage.decode(nodeStatusMessage.encode(status))).toEqual(status);
      }),
    );
    fc.assert(
      fc.property(anyJson, (value) => {
        expect(anything.decode(anything.encode(value))).toEqual(value);
      }),
    );
    expect(digestRequest.decode(digestRequest.encode({ slot: 7 }))).toEqual({ slot: 7 });
    const answer = { slot: 7, seq: 2 ** 40, digest: 'a1' };
    expect(digestAnswer.decode(digestAnswer.encode(answer))).toEqual(answer);
  });

  it('can hold the status of a node with all slots of the largest map', () => {
    const [slot] = fc.sample(slotStatus, { numRuns: 1, seed: 1 });
    const slots = Array.from({ length: 65_536 }, (_unused, index) => ({ ...slot!, slot: index }));
    const status = { role: 'node' as const, name: 'n0', epoch: 1, pid: 1, slots };
    expect(nodeStatusMessage.decode(nodeStatusMessage.encode(status)).slots.length).toBe(65_536);
  });

  it('of another shape are refused with the path of the problem', () => {
    const status = { role: 'node', name: 'n0', epoch: 1, pid: 1, slots: [{ slot: -1 }] };
    expect(problemOf(() => nodeStatusMessage.decode(anything.encode(status)))).toMatch(/^node\.status: slots\[0\]\./);
    expect(problemOf(() => digestRequest.decode(anything.encode([])))).toMatch(/^slot\.digest: /);
    const tooMany = { dids: new Array(resyncReposMax + 1).fill('did:plc:a'), next: null };
    expect(problemOf(() => reposToResyncAnswer.decode(anything.encode(tooMany)))).toMatch(/^slot\.reposToResync: /);
  });

  it('made of random bytes are a value or an error of the call', () => {
    const decode = (bytes: Uint8Array): void => {
      for (const message of [anything, nodeStatusMessage]) {
        try {
          message.decode(bytes);
        } catch (thrown) {
          if (!(thrown instanceof DataPlaneError)) throw thrown;
          expect([thrown.code, thrown.cause]).toEqual(['Internal', undefined]);
        }
      }
    };
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), decode), { numRuns: 3000 });
    // Bytes that begin like a message get further.
    const damaged = fc.tuple(nodeStatus, fc.nat(), fc.nat({ max: 255 })).map(([status, at, value]) => {
      const bytes = Buffer.from(nodeStatusMessage.encode(status));
      bytes[at % bytes.length] = value;
      return bytes;
    });
    fc.assert(fc.property(damaged, decode), { numRuns: 1000 });
  });

  it('that are truncated or have bytes left over are refused', () => {
    fc.assert(
      fc.property(anyJson, fc.nat(), (value, cut) => {
        const bytes = anything.encode(value);
        expect(problemOf(() => anything.decode(bytes.subarray(0, cut % bytes.length)))).toMatch(/the bytes end early/);
        expect(problemOf(() => anything.decode(Buffer.concat([bytes, Buffer.from([0])])))).toMatch(/left over/);
      }),
    );
  });

  it('are refused above the limits on depth, items and bytes', () => {
    const nested = (depth: number): Buffer => Buffer.concat([Buffer.alloc(depth, 0x81), Buffer.from([0])]);
    expect(measure(anything.decode(nested(controlDepthMax))).depth).toBe(controlDepthMax);
    expect(problemOf(() => anything.decode(nested(controlDepthMax + 1)))).toMatch(/nested deeper/);
    expect(problemOf(() => anything.decode(nested(40 * 1024)))).toMatch(/nested deeper/);
    const few = controlMessage('few', v.unknown(), 10);
    fc.assert(
      fc.property(anyJson, (value) => {
        const bytes = anything.encode(value);
        if (measure(value).items <= 10) expect(few.decode(bytes)).toEqual(value);
        else expect(problemOf(() => few.decode(bytes))).toMatch(/more than 10 items/);
      }),
    );
    expect(problemOf(() => anything.decode(Buffer.alloc(controlBytesMax + 1)))).toMatch(/more than \d+ bytes/);
  });

  it('that claim more than their length are refused before memory is allocated', () => {
    for (const hex of ['9affffffff', 'baffffffff', '7affffffff', '9a00ffffff00', '81baffffffff6000'])
      expect(problemOfHex(hex), hex).toMatch(/the bytes end early/);
  });

  it('with a tag, byte string, 64-bit integer, indefinite length or key that is no text are refused', () => {
    const refused = ['c074', 'd9dfff80', 'd81c80', 'd8400100', '4100', '1b0000000000000001', '3b0000000000000001'];
    for (const hex of [
      ...refused,
      '9f00ff',
      'bf616100ff',
      '7f6161ff',
      'ff',
      'f93c00',
      'fa3f800000',
      'f820',
      'e0',
      '1c',
    ])
      expect(problemOfHex(hex), hex).toMatch(/begins nothing that is sent/);
    expect(problemOfHex('a10000')).toMatch(/a key is no text/);
    expect(problemOfHex('a18000')).toMatch(/a key is no text/);
    const withRecords = new Encoder({ structures: [] }).encode([{ a: 1 }, { a: 2 }]);
    expect(problemOf(() => anything.decode(withRecords))).toMatch(/begins nothing that is sent/);
  });

  it('cannot set a prototype', () => {
    const decoded = anything.decode(Buffer.from(`a1695f5f70726f746f5f5fa1616101`, 'hex'));
    expect(Object.getPrototypeOf(decoded)).toBe(Object.prototype);
    expect((decoded as { a?: number }).a).toBe(undefined);
  });
});
