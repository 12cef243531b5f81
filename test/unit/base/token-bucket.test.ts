/** Token buckets by a clock that the test advances. */
import { expect, it } from 'vitest';
import { TokenBucket } from '../../../src/base/token-bucket.ts';
import { ManualClock } from '../../support/manual-clock.ts';

function takeAll(bucket: TokenBucket): number {
  let taken = 0;
  while (bucket.tryTake()) taken++;
  return taken;
}

it('saves the tokens of one second and no more', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(10, clock);
  expect(takeAll(bucket)).toBe(10);
  clock.advance(500);
  expect(takeAll(bucket)).toBe(5);
  clock.advance(60_000);
  expect(takeAll(bucket)).toBe(10);
});

it('may begin empty, and keeps parts of a token', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(1, clock, 0);
  for (const taken of [false, true, false, true]) {
    clock.advance(500);
    expect(bucket.tryTake()).toBe(taken);
  }
});
