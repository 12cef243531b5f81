/** The pace of bytes by a clock that the test advances. */
import { expect, it } from 'vitest';
import { BytePace } from '../../../src/base/byte-pace.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const { signal } = new AbortController();

/** Returns whether it has resolved after some turns of the event loop. */
async function isOver(waiting: Promise<void>): Promise<boolean> {
  let over = false;
  void waiting.then(() => {
    over = true;
  });
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  return over;
}

it('lets bytes pass at its rate, and saves none of what was not used', async () => {
  const clock = new ManualClock();
  const pace = new BytePace(1_000, clock);
  for (let round = 0; round < 2; round++) {
    const first = pace.pass(500, signal);
    const second = pace.pass(500, signal);
    clock.advance(499);
    expect(await isOver(first)).toBe(false);
    clock.advance(1);
    expect([await isOver(first), await isOver(second)]).toEqual([true, false]);
    clock.advance(500);
    expect(await isOver(second)).toBe(true);
    clock.advance(60_000);
  }
});

it('asks for what is there within seconds', () => {
  const clock = new ManualClock();
  expect(new BytePace(1_024, clock).partBytesMax).toBe(5_120);
  expect(new BytePace(1, clock).partBytesMax).toBe(4_096);
});

it('holds nothing up without a limit', async () => {
  expect(await isOver(new BytePace(null, new ManualClock()).pass(2 ** 40, signal))).toBe(true);
});
