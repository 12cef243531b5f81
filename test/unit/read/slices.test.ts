/** Reads in slices: answered at once or in later turns, and given up when nobody waits any more. */
import { expect, it } from 'vitest';
import { runSlices } from '../../../src/read/handler/slices.ts';
import { microsPerLook, type SlicedRead, Turn, turnMsMax } from '../../../src/read/lookup/turn.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const clock = new ManualClock();
const turn = new Turn(clock);
const answer = Buffer.from('answer');
let slices = 0;

/** Yields whenever its turn is over; each step takes `stepMs`. */
function* readOf(steps: number, stepMs: number): SlicedRead<Buffer> {
  slices = 1;
  for (let step = 0; step < steps; step++) {
    clock.advance(stepMs);
    if (turn.isOver(microsPerLook)) {
      slices++;
      yield;
    }
  }
  return answer;
}

it('a read within its turn answers at once, without a copy', () => {
  expect(runSlices(turn, readOf(10, (turnMsMax - 1) / 10), clock.nowMs() + 1_000)).toBe(answer);
  expect(slices).toBe(1);
});

it('a longer read answers in a later turn, with bytes of its own', async () => {
  const later = runSlices(turn, readOf(10, turnMsMax / 2), clock.nowMs() + 1_000);
  expect(later).toBeInstanceOf(Promise);
  const bytes = await later;
  expect(bytes).toEqual(answer);
  expect(bytes).not.toBe(answer);
  expect(slices).toBe(6);
});

it('a read past its deadline ends with DeadlineExceeded, and reads no further', async () => {
  const late = runSlices(turn, readOf(1_000, turnMsMax), clock.nowMs() + 3 * turnMsMax);
  await expect(late).rejects.toMatchObject({ code: 'DeadlineExceeded' });
  expect(slices).toBe(5);
});

it('a turn looks at the clock only after some work', () => {
  turn.begin();
  clock.advance(10 * turnMsMax);
  expect(turn.isOver(microsPerLook - 1)).toBe(false);
  expect(turn.isOver(1)).toBe(true);
});
