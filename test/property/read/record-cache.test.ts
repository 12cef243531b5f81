/** The record cache answers with what is stored or not at all, within its bytes. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { RecordCache, type RecordMessage } from '../../../src/read/cache/record-cache.ts';
import { hashOfRecordKey } from '../../../src/slot/table/record-changes.ts';
import type { SlotState } from '../../../src/slot/table/slot-state.ts';
import '../../support/property-seed.ts';

/** The cache reads nothing of a state but its slot. */
const stateOf = (index: number): SlotState => ({ index }) as SlotState;

type Stored = { readonly text: string; readonly postFlags: number };

/** A message with bytes before and after its JSON. */
function messageOf({ text, postFlags }: Stored) {
  const source = Buffer.from(`..ab${text}yz..`);
  return { source, start: 2, end: source.length - 2, jsonStart: 4, jsonEnd: source.length - 4, postFlags };
}

function keyOf(number: number): Buffer {
  // Some keys are prefixes of others.
  return Buffer.concat([Buffer.from('key'), Buffer.alloc(number % 7, 7), Buffer.from(number % 2 ? [number] : [])]);
}

/** Returns the record that the cache found, after a check that its message is intact. */
function storedOf({ source, start, end, jsonStart, jsonEnd, postFlags }: RecordMessage): Stored {
  const text = source.toString('utf8', jsonStart, jsonEnd);
  expect(source.toString('utf8', start, end)).toBe(`ab${text}yz`);
  return { text, postFlags };
}

const slotCount = 3;
const keyCount = 60;
const target = { slot: fc.nat(slotCount - 1), number: fc.nat(keyCount - 1) };
const step = fc.oneof(
  { weight: 60, arbitrary: fc.record({ type: fc.constant('ask' as const), ...target }) },
  { weight: 20, arbitrary: fc.record({ type: fc.constant('write' as const), ...target, length: fc.nat(400) }) },
  {
    weight: 5,
    arbitrary: fc.record({ type: fc.constant('write' as const), ...target, length: fc.constant(40_000) }),
  },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('remove' as const), ...target }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('writeMany' as const), ...target }) },
);

describe('the record cache', () => {
  it('finds what is stored now, or nothing, whatever is written, evicted and invalidated', () => {
    const seen = { hits: 0, set: 0, evicted: 0, tooLarge: 0, invalidated: 0 };
    fc.assert(
      fc.property(
        fc.constantFrom(600, 2048, 9000, 100_000),
        fc.constantFrom(3, 5, 1_000_000),
        fc.array(step, { maxLength: 400, size: 'max' }),
        (bytesMax, lapsMax, steps) => {
          const cache = new RecordCache(bytesMax, lapsMax * Math.ceil(bytesMax / 16));
          const states = Array.from({ length: slotCount }, (_unused, slot) => stateOf(slot));
          const stored = new Map<string, Stored>();
          const cached = new Set<string>();
          let version = 0;
          let setCount = 0;
          for (const { type, slot, number, ...more } of steps) {
            const key = keyOf(number);
            const name = `${slot}/${key.toString('hex')}`;
            if (type === 'ask') {
              const record = stored.get(name);
              const hit = cache.get(states[slot]!, key);
              if (hit !== undefined) {
                expect(storedOf(hit)).toEqual(record);
                seen.hits++;
              } else {
                if (cached.delete(name)) seen.evicted++;
                // Some are set that should not be admitted, so that many are evicted.
                if (record === undefined || !(cache.shouldAdmit || number % 2 === 0)) continue;
                const set = cache.set(states[slot]!, key, messageOf(record));
                expect(cache.has(states[slot]!, key)).toBe(set !== undefined);
                if (set !== undefined) expect(storedOf(set)).toEqual(record);
                if (set !== undefined) setCount++;
                if (set !== undefined) cached.add(name);
                seen[set !== undefined ? 'set' : 'tooLarge']++;
              }
              expect(cache.bytes).toBeLessThanOrEqual(cache.capacityBytes);
              expect(cache.evictions).toBeLessThanOrEqual(setCount);
              continue;
            }
            if (type === 'remove') stored.delete(name);
            else {
              const length = 'length' in more ? more.length : 1;
              stored.set(name, { text: String(version++).padEnd(length, '-'), postFlags: version % 16 });
            }
            if (cached.delete(name)) seen.invalidated++;
            if (type === 'writeMany') cached.clear();
            cache.invalidate(slot, type === 'writeMany' ? null : Int32Array.of(hashOfRecordKey(key)));
            expect(cache.has(states[slot]!, key)).toBe(false);
          }
        },
      ),
      { numRuns: 400 },
    );
    expect(Object.entries(seen).filter(([, count]) => count < 20)).toEqual([]);
  });

  it('distinguishes records whose keys share a hash', () => {
    const cache = new RecordCache(2 ** 20);
    const [one, other] = keysOfOneHash();
    const state = stateOf(0);
    expect([cache.get(state, one), cache.get(state, one)]).toEqual([undefined, undefined]);
    cache.set(state, one, messageOf({ text: 'one', postFlags: 1 }));
    expect(cache.get(state, other)).toBeUndefined();
    expect(cache.get(state, one)).toBeDefined();
    cache.invalidate(0, Int32Array.of(hashOfRecordKey(other)));
    expect(cache.get(state, one)).toBeUndefined();
  });

  it('admits what is requested twice, and nothing of one scan', () => {
    const cache = new RecordCache(2 ** 20);
    const state = stateOf(5);
    const keys = Array.from({ length: 1000 }, (_unused, number) => Buffer.from(`row ${number}`));
    const ask = (key: Buffer): void => {
      if (cache.get(state, key) !== undefined || !cache.shouldAdmit) return;
      cache.set(state, key, messageOf({ text: key.toString(), postFlags: 0 }));
    };
    keys.forEach(ask);
    expect(keys.some((key) => cache.has(state, key))).toBe(false);
    keys.forEach(ask);
    expect(keys.filter((key) => cache.has(state, key)).length).toBeGreaterThan(950);
  });

  it('keeps hot records while far more are requested than it holds', () => {
    const cache = new RecordCache(64 * 1024);
    const state = stateOf(0);
    for (let turn = 0; turn < 20_000; turn++) {
      const key = Buffer.from(turn % 2 === 0 ? `hot ${turn % 16}` : `cold ${turn % 4001}`);
      if (cache.get(state, key) === undefined && cache.shouldAdmit) {
        cache.set(state, key, messageOf({ text: 'x'.repeat(300), postFlags: 0 }));
      }
    }
    expect(cache.hits).toBeGreaterThan(8000);
  });

  it('counts every entry that the ring overwrites, and none that was invalidated', () => {
    const cache = new RecordCache(8 * 1024);
    const state = stateOf(0);
    const keys = Array.from({ length: 500 }, (_unused, number) => Buffer.from(`row ${number}`));
    for (const [number, key] of keys.entries()) {
      cache.set(state, key, messageOf({ text: 'x'.repeat((number * 37) % 300), postFlags: 0 }));
      if (number % 10 === 9) cache.invalidate(0, Int32Array.of(hashOfRecordKey(key)));
    }
    // One walk past the end leaves none of these, whatever their set holds.
    for (let number = 0; number < 100; number++) {
      cache.set(state, Buffer.from(`last ${number}`), messageOf({ text: 'x'.repeat(300), postFlags: 0 }));
    }
    const left = Math.floor((cache.bytes - 1024) / 336);
    expect(cache.evictions).toBeGreaterThanOrEqual(450 + 100 - left - 1);
    expect(cache.evictions).toBeLessThanOrEqual(450 + 100 - left + 1);
  });

  it('is not misled by a record that looks like the entry of another one', () => {
    const cache = new RecordCache(2 ** 14);
    const state = stateOf(0);
    const victim = Buffer.from('key');
    expect(cache.set(state, Buffer.from('one'), messageOf({ text: '', postFlags: 0 }))!.start).toBe(19);
    const hit = cache.set(state, victim, messageOf({ text: 'real', postFlags: 0 }))!;
    expect(hit.start).toBe(32 + 19);
    const ring = hit.source;
    // Copies of the victim's bytes in the ring, laid where the next lap overwrites the victim.
    const image = Buffer.copyBytesFrom(ring, 32, 32).toString('latin1').replace('real', 'FAKE');
    const source = Buffer.from(image.repeat(60), 'latin1');
    const message = { source, start: 0, end: source.length, jsonStart: 0, jsonEnd: source.length, postFlags: 0 };
    for (let number = 0; ring.latin1Slice(32, 64) !== image; number++) {
      expect(number).toBeLessThan(20);
      cache.set(state, Buffer.from(`sixteen bytes ${String(number).padStart(2)}`), message);
    }
    expect(cache.get(state, victim)).toBeUndefined();
  });

  it('drops everything of a slot when its handle is replaced', () => {
    const cache = new RecordCache(2 ** 16);
    const [first, second, key] = [stateOf(1), stateOf(1), Buffer.from('key')];
    cache.set(first, key, messageOf({ text: 'text', postFlags: 0 }));
    expect(cache.get(first, key)).toBeDefined();
    expect(cache.get(second, key)).toBeUndefined();
  });

  it('caches nothing without memory', () => {
    const cache = new RecordCache(0);
    const [state, key] = [stateOf(0), Buffer.from('key')];
    expect(cache.set(state, key, messageOf({ text: 'text', postFlags: 0 }))).toBeUndefined();
    expect([cache.get(state, key), cache.get(state, key), cache.shouldAdmit]).toEqual([undefined, undefined, false]);
    cache.invalidate(0, Int32Array.of(hashOfRecordKey(key)));
    expect([cache.bytes, cache.capacityBytes]).toEqual([0, 0]);
  });
});

/** Among so many keys two almost surely share a hash of 32 bits. */
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
