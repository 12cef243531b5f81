/**
 * The cache by DID never returns a stale value nor exceeds its capacity, and counts every entry.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { GenerationalCache } from '../../../src/read/cache/generational-cache.ts';
import '../../support/property-seed.ts';

const didCount = 40;
const didOf = (owner: number): string =>
  owner % 5 === 0 ? `did:web:host${owner}.example` : `did:plc:${String(owner).padStart(24, 'a')}`;

const owner = fc.nat(didCount - 1);
const step = fc.oneof(
  { weight: 60, arbitrary: fc.record({ type: fc.constant('get' as const), owner }) },
  { weight: 25, arbitrary: fc.record({ type: fc.constant('set' as const), owner, bytes: fc.nat(400) }) },
  { weight: 10, arbitrary: fc.record({ type: fc.constant('invalidate' as const), owner }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('set' as const), owner, bytes: fc.constant(100_000) }) },
);

it('holds what was set last, or nothing, within its capacity, and counts what it does', () => {
  const seen = { hits: 0, evictions: 0, leftOut: 0, invalidated: 0 };
  fc.assert(
    fc.property(
      fc.constantFrom(6_000, 12_000, 60_000),
      fc.array(step, { maxLength: 300, size: 'max' }),
      (capacityBytes, steps) => {
        const authors: (number | undefined)[] = [];
        const cache = new GenerationalCache<{ readonly owner: number; readonly version: number }>({
          capacityBytes,
          valueBytesMin: 0,
          entryBytesMax: 2_000,
          onSet: (index, value) => {
            authors[index] = value.owner;
          },
          onInvalidate: (index) => {
            authors[index] = undefined;
          },
        });
        const versions = new Map<number, number>();
        const tally = { gets: 0, set: 0, removed: 0 };
        for (const [version, { type, owner, ...more }] of steps.entries()) {
          const did = Buffer.from(`<${didOf(owner)}>`);
          const isCached = cache.has(did, 1, did.length - 1);
          if (type === 'get') {
            tally.gets++;
            const generation = cache.generation;
            const value = cache.get(did, 1, did.length - 1);
            expect(value !== undefined).toBe(isCached);
            if (value === undefined) continue;
            expect(value).toEqual({ owner, version: versions.get(owner) });
            if (cache.generation === generation) expect(authors[cache.indexOf(did, 1, did.length - 1)]).toBe(owner);
            else cache.indexOf(did, 1, did.length - 1);
            tally.gets++;
          } else {
            if (isCached) tally.removed++;
            if (type === 'invalidate') {
              cache.invalidate(3, [owner, 1_000_000]);
              versions.delete(owner);
              seen.invalidated += Number(isCached);
              expect(cache.has(did, 1, did.length - 1)).toBe(false);
            } else {
              const bytes = 'bytes' in more ? more.bytes : 0;
              const index = cache.set({ did: didOf(owner), slot: 3, owner }, { owner, version }, bytes);
              versions.set(owner, version);
              expect(index >= 0).toBe(cache.admits(bytes));
              expect(cache.has(did, 1, did.length - 1)).toBe(index >= 0);
              if (index >= 0) expect(cache.valueAt(index)).toEqual({ owner, version });
              if (index >= 0) tally.set++;
              else seen.leftOut++;
            }
          }
          expect(cache.bytes).toBeLessThanOrEqual(capacityBytes);
        }
        const live = Array.from({ length: didCount }, (_unused, each) => Buffer.from(didOf(each))).filter((did) =>
          cache.has(did, 0, did.length),
        );
        expect(cache.hits + cache.misses).toBe(tally.gets);
        expect(cache.evictions).toBe(tally.set - tally.removed - live.length);
        seen.hits += cache.hits;
        seen.evictions += cache.evictions;
      },
    ),
    { numRuns: 300 },
  );
  expect(Object.entries(seen).filter(([, count]) => count < 50)).toEqual([]);
});

it('keeps hot entries while far more are requested than it holds', () => {
  const cache = new GenerationalCache<number>({ capacityBytes: 20_000, valueBytesMin: 0 });
  let hotHits = 0;
  for (let turn = 0; turn < 4_000; turn++) {
    const owner = turn % 2 === 0 ? turn % 16 : 100 + turn;
    const did = Buffer.from(didOf(owner));
    if (cache.get(did, 0, did.length) === undefined) cache.set({ did: didOf(owner), slot: 0, owner }, owner, 100);
    else if (turn % 2 === 0) hotHits++;
  }
  expect(hotHits).toBeGreaterThan(1_900);
});

it('finds each of many DIDs by its index, and no others', () => {
  const cache = new GenerationalCache<number>({ capacityBytes: 2 ** 22, valueBytesMin: 0 });
  const didOfNumber = (number: number): Buffer => Buffer.from(didOf(number));
  const indexes = Array.from({ length: 6_000 }, (_unused, number) =>
    cache.set({ did: didOf(number), slot: 0, owner: number }, number, 0),
  );
  expect(cache.evictions).toBe(0);
  for (const [number, index] of indexes.entries()) {
    const did = didOfNumber(number);
    expect([cache.hotIndexOf(did, 0, did.length), cache.valueAt(index)]).toEqual([index, number]);
  }
  const other = didOfNumber(indexes.length + 1);
  expect(cache.hotIndexOf(other, 0, other.length)).toBe(-1);
});
