import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { RecordCache } from '../../../src/read/cache/record-cache.ts';
import { hashOfRecordKey } from '../../../src/slot/table/record-changes.ts';
import type { SlotState } from '../../../src/slot/table/slot-state.ts';
import '../../support/property-seed.ts';

/** The cache asks a state for nothing but which slot it is of. */
const stateOf = (index: number): SlotState => ({ index }) as SlotState;

type Stored = { readonly text: string; readonly postFlags: number };

/** A message with something before and something behind its JSON. */
function messageOf({ text, postFlags }: Stored) {
  const source = Buffer.from(`..ab${text}yz..`);
  return { source, start: 2, end: source.length - 2, jsonStart: 4, jsonEnd: source.length - 4, postFlags };
}

function keyOf(number: number): Buffer {
  // Some keys are the beginning of others.
  return Buffer.concat([Buffer.from('key'), Buffer.alloc(number % 7, 7), Buffer.from(number % 2 ? [number] : [])]);
}

/** Returns what the cache found, checked to be consistent in itself. */
function found(cache: RecordCache): Stored {
  const text = cache.bytes.toString('utf8', cache.jsonStart, cache.jsonEnd);
  expect(cache.bytes.toString('utf8', cache.start, cache.end)).toBe(`ab${text}yz`);
  return { text, postFlags: cache.postFlags };
}

const slotCount = 3;
const keyCount = 60;
const place = { slot: fc.nat(slotCount - 1), number: fc.nat(keyCount - 1) };
const step = fc.oneof(
  { weight: 60, arbitrary: fc.record({ type: fc.constant('ask' as const), ...place }) },
  { weight: 20, arbitrary: fc.record({ type: fc.constant('write' as const), ...place, length: fc.nat(400) }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('write' as const), ...place, length: fc.constant(40_000) }) },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('remove' as const), ...place }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('writeMany' as const), ...place }) },
);

describe('the memory for records', () => {
  it('finds what is stored now, or nothing, whatever is written, pushed out and forgotten', () => {
    const seen = { hits: 0, kept: 0, pushedOut: 0, tooLarge: 0, forgotten: 0 };
    fc.assert(
      fc.property(
        fc.constantFrom(600, 2048, 9000, 100_000),
        fc.constantFrom(3, 5, 1_000_000),
        fc.array(step, { maxLength: 400, size: 'max' }),
        (bytesMax, lapsMax, steps) => {
          const cache = new RecordCache(bytesMax, lapsMax * Math.ceil(bytesMax / 16));
          const states = Array.from({ length: slotCount }, (_unused, slot) => stateOf(slot));
          const stored = new Map<string, Stored>();
          const kept = new Set<string>();
          let version = 0;
          for (const { type, slot, number, ...more } of steps) {
            const key = keyOf(number);
            const name = `${slot}/${key.toString('hex')}`;
            if (type === 'ask') {
              const record = stored.get(name);
              if (cache.find(states[slot]!, key)) {
                expect(found(cache)).toEqual(record);
                seen.hits++;
              } else {
                if (kept.delete(name)) seen.pushedOut++;
                // Some are kept that are not wanted, so that many are pushed out.
                if (record === undefined || !(cache.isWanted || number % 2 === 0)) continue;
                const isKept = cache.keep(states[slot]!, key, messageOf(record));
                expect(cache.has(states[slot]!, key)).toBe(isKept);
                if (isKept) expect(found(cache)).toEqual(record);
                if (isKept) kept.add(name);
                seen[isKept ? 'kept' : 'tooLarge']++;
              }
              continue;
            }
            if (type === 'remove') stored.delete(name);
            else {
              const length = 'length' in more ? more.length : 1;
              stored.set(name, { text: String(version++).padEnd(length, '-'), postFlags: version % 16 });
            }
            if (kept.delete(name)) seen.forgotten++;
            if (type === 'writeMany') kept.clear();
            cache.forget(slot, type === 'writeMany' ? null : Int32Array.of(hashOfRecordKey(key)));
            expect(cache.has(states[slot]!, key)).toBe(false);
          }
        },
      ),
      { numRuns: 400 },
    );
    expect(Object.entries(seen).filter(([, count]) => count < 20)).toEqual([]);
  });

  it('tells records apart whose keys have one hash', () => {
    const cache = new RecordCache(2 ** 20);
    const [one, other] = keysOfOneHash();
    const state = stateOf(0);
    expect([cache.find(state, one), cache.find(state, one)]).toEqual([false, false]);
    cache.keep(state, one, messageOf({ text: 'one', postFlags: 1 }));
    expect(cache.find(state, other)).toBe(false);
    expect(cache.find(state, one)).toBe(true);
    cache.forget(0, Int32Array.of(hashOfRecordKey(other)));
    expect(cache.find(state, one)).toBe(false);
  });

  it('keeps what is asked for twice, and nothing for a walk through many', () => {
    const cache = new RecordCache(2 ** 20);
    const state = stateOf(5);
    const keys = Array.from({ length: 1000 }, (_unused, number) => Buffer.from(`row ${number}`));
    const ask = (key: Buffer): void => {
      if (cache.find(state, key) || !cache.isWanted) return;
      cache.keep(state, key, messageOf({ text: key.toString(), postFlags: 0 }));
    };
    keys.forEach(ask);
    expect(keys.some((key) => cache.has(state, key))).toBe(false);
    keys.forEach(ask);
    expect(keys.filter((key) => cache.has(state, key)).length).toBeGreaterThan(950);
  });

  it('lets what is asked for often stay while far more is asked for than it holds', () => {
    const cache = new RecordCache(64 * 1024);
    const state = stateOf(0);
    for (let turn = 0; turn < 20_000; turn++) {
      const key = Buffer.from(turn % 2 === 0 ? `hot ${turn % 16}` : `cold ${turn % 4001}`);
      if (!cache.find(state, key) && cache.isWanted) {
        cache.keep(state, key, messageOf({ text: 'x'.repeat(300), postFlags: 0 }));
      }
    }
    expect(cache.hitCount).toBeGreaterThan(8000);
  });

  it('is not misled by a record that looks like the entry of another one', () => {
    const cache = new RecordCache(2 ** 14);
    const state = stateOf(0);
    const victim = Buffer.from('key');
    cache.keep(state, Buffer.from('one'), messageOf({ text: '', postFlags: 0 }));
    expect(cache.start).toBe(19);
    cache.keep(state, victim, messageOf({ text: 'real', postFlags: 0 }));
    expect(cache.start).toBe(32 + 19);
    // What the ring holds of the victim, again and again, where the ring's next lap writes over it.
    const image = Buffer.copyBytesFrom(cache.bytes, 32, 32).toString('latin1').replace('real', 'FAKE');
    const source = Buffer.from(image.repeat(60), 'latin1');
    const message = { source, start: 0, end: source.length, jsonStart: 0, jsonEnd: source.length, postFlags: 0 };
    for (let number = 0; cache.bytes.latin1Slice(32, 64) !== image; number++) {
      expect(number).toBeLessThan(20);
      cache.keep(state, Buffer.from(`sixteen bytes ${String(number).padStart(2)}`), message);
    }
    expect(cache.find(state, victim)).toBe(false);
  });

  it('forgets all when another handle of a slot takes the place of the first', () => {
    const cache = new RecordCache(2 ** 16);
    const [first, second, key] = [stateOf(1), stateOf(1), Buffer.from('key')];
    cache.keep(first, key, messageOf({ text: 'text', postFlags: 0 }));
    expect(cache.find(first, key)).toBe(true);
    expect(cache.find(second, key)).toBe(false);
  });

  it('remembers nothing when it is given no memory', () => {
    const cache = new RecordCache(0);
    const [state, key] = [stateOf(0), Buffer.from('key')];
    expect(cache.keep(state, key, messageOf({ text: 'text', postFlags: 0 }))).toBe(false);
    expect([cache.find(state, key), cache.find(state, key), cache.isWanted]).toEqual([false, false, false]);
    cache.forget(0, Int32Array.of(hashOfRecordKey(key)));
    expect(cache.reservedBytes).toBe(0);
  });
});

/** Two keys among so many have one hash of 32 bits, nearly surely. */
function keysOfOneHash(): [Buffer, Buffer] {
  const keyByHash = new Map<number, Buffer>();
  const random = seededRandom(1);
  for (let number = 0; number < 2 ** 20; number++) {
    const key = Buffer.alloc(12);
    key.writeUInt32BE(random.below(2 ** 32), 0);
    key.writeUInt32BE(random.below(2 ** 32), 4);
    const hash = hashOfRecordKey(key);
    const other = keyByHash.get(hash);
    if (other !== undefined) return [key, other];
    keyByHash.set(hash, key);
  }
  throw new Error('no two keys have one hash');
}
