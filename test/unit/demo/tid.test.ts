/** TIDs keep the order of their times, and a TID clock only ascends. */
import { expect, test } from 'vitest';
import { isTid, microsOf, tidOf } from '../../../src/atproto/tid.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { TidClock } from '../../../src/demo/model/tid-clock.ts';

test('a TID keeps its time, and the order of TIDs is the order of times', () => {
  const random = seededRandom(2);
  const times = Array.from({ length: 500 }, () => Math.floor(random.next() * 2 ** 52)).sort((a, b) => a - b);
  const tids = times.map((micros) => tidOf(micros, random.below(1024)));
  expect(tids.every(isTid)).toBe(true);
  expect(tids.map(microsOf)).toEqual(times);
  expect([...tids].sort()).toEqual(tids);
});

test('a TID equals the example of the specification', () => {
  // Source: the examples of the record key specification.
  expect(microsOf('3jzfcijpj2z2a')).toBe(1_688_137_381_887_007);
  expect(tidOf(1_688_137_381_887_007, 6)).toBe('3jzfcijpj2z2a');
});

test('a clock ascends when its time stops or falls, and above a TID that it has to pass', () => {
  const clock = new TidClock(5);
  const tids = [clock.next(1000), clock.next(1000), clock.next(900), clock.next(1001)];
  expect([...new Set(tids)].sort()).toEqual(tids);
  const other = new TidClock(5);
  other.pass(tids[3]!);
  expect(other.next(1000) > tids[3]!).toBe(true);
});
