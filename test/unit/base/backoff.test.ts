/** Delays between retries: doubling, capped, and never longer than their nominal length. */
import { expect, it } from 'vitest';
import { backoffMs, lookAgainMs } from '../../../src/base/backoff.ts';
import { seededRandom } from '../../../src/base/seeded-random.ts';

const longest = { next: () => 1, below: () => 0 };

it('doubles with each failure up to the maximum', () => {
  const policy = { firstMs: 100, maxMs: 1000 };
  expect([1, 2, 3, 4, 5, 1e6].map((failures) => backoffMs(policy, failures, longest))).toEqual([
    100, 200, 400, 800, 1000, 1000,
  ]);
});

it('starts to double after the fast failures', () => {
  const policy = { firstMs: 100, maxMs: 1000, fastFailures: 3 };
  expect([0, 1, 3, 4, 5].map((failures) => backoffMs(policy, failures, longest))).toEqual([100, 100, 100, 200, 400]);
});

it('spreads between half of the nominal delay and all of it', () => {
  const random = seededRandom(1);
  const waits = Array.from({ length: 1000 }, () => backoffMs({ firstMs: 100, maxMs: 1000 }, 1, random));
  expect(Math.min(...waits)).toBeGreaterThanOrEqual(50);
  expect(Math.min(...waits)).toBeLessThan(55);
  expect(Math.max(...waits)).toBeLessThanOrEqual(100);
  expect(Math.max(...waits)).toBeGreaterThan(95);
});

it('looks again at work of others after a part of what it has taken, within limits', () => {
  expect([0, 40, 400, 1_000, 3_600_000].map(lookAgainMs)).toEqual([10, 10, 100, 250, 500]);
});
