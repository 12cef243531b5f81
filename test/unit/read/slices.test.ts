/** Reads in slices: answered at once or in later turns, and given up when nobody waits any more. */
import { expect, it } from 'vitest';
import { SliceQueue, slicesInRowMax } from '../../../src/read/handler/slices.ts';
import { microsPerLook, type SlicedRead, Turn, turnMsMax } from '../../../src/read/lookup/turn.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const clock = new ManualClock();
const turn = new Turn(clock);
const queue = new SliceQueue(turn);
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
  expect(queue.run(readOf(10, (turnMsMax - 1) / 10), clock.nowMs() + 1_000)).toBe(answer);
  expect(slices).toBe(1);
});

it('a longer read answers in a later turn, with bytes of its own', async () => {
  const later = queue.run(readOf(10, turnMsMax / 2), clock.nowMs() + 1_000);
  expect(later).toBeInstanceOf(Promise);
  const bytes = await later;
  expect(bytes).toEqual(answer);
  expect(bytes).not.toBe(answer);
  expect(slices).toBe(6);
});

it('a read past its deadline ends with DeadlineExceeded, and reads no further', async () => {
  const late = queue.run(readOf(1_000, turnMsMax), clock.nowMs() + 3 * turnMsMax);
  await expect(late).rejects.toMatchObject({ code: 'DeadlineExceeded' });
  expect(slices).toBe(5);
});

it('a turn looks at the clock only after some work', () => {
  turn.begin();
  clock.advance(10 * turnMsMax);
  expect(turn.isOver(microsPerLook - 1)).toBe(false);
  expect(turn.isOver(1)).toBe(true);
});

/** Takes as many turns, and notes each. */
function* readOfTurns(name: string, turns: number, noted: string[]): SlicedRead<Buffer> {
  for (let left = turns; ; left--) {
    noted.push(name);
    if (left === 1) return Buffer.from(name);
    yield;
  }
}

it('long reads end one after the other, with one slice a turn of the event loop', async () => {
  const noted: string[] = [];
  const answers = ['a', 'b', 'c'].map((name) => queue.run(readOfTurns(name, 3, noted), clock.nowMs() + 1_000));
  let isEnded = false;
  const ended = Promise.all(answers).then(() => {
    isEnded = true;
  });
  while (!isEnded) {
    await new Promise((resolve) => setImmediate(resolve));
    noted.push('|');
  }
  await ended;
  expect(noted.join('')).toMatch(/^abc\|?a\|a\|b\|b\|c\|c\|*$/);
});

it('a read that is longer than most lets the others go on after some slices', async () => {
  const noted: string[] = [];
  const long = queue.run(readOfTurns('a', 3 * slicesInRowMax, noted), clock.nowMs() + 1_000);
  const short = queue.run(readOfTurns('b', 3, noted), clock.nowMs() + 1_000);
  expect([await short, await long]).toEqual([Buffer.from('b'), Buffer.from('a')]);
  const first = 'a'.repeat(slicesInRowMax);
  expect(noted.join('')).toBe(`ab${first}bb${'a'.repeat(2 * slicesInRowMax - 1)}`);
});

it('a read that fails fails alone', async () => {
  const noted: string[] = [];
  function* failing(): SlicedRead<Buffer> {
    yield;
    throw new Error('broken');
  }
  const broken = queue.run(failing(), clock.nowMs() + 1_000);
  const whole = queue.run(readOfTurns('a', 3, noted), clock.nowMs() + 1_000);
  await expect(broken).rejects.toThrow('broken');
  expect(await whole).toEqual(Buffer.from('a'));
});
