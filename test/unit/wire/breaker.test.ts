/** When calls stop going to a node that does not answer, and when they go again. */
import { expect, it } from 'vitest';
import { Breaker, breakerPauseMs, timeoutsInRowMax } from '../../../src/wire/breaker.ts';

function openedAt(nowMs: number): Breaker {
  const breaker = new Breaker();
  for (let count = 0; count < timeoutsInRowMax; count++) breaker.timedOut(nowMs);
  return breaker;
}

it('stays closed below the number of time-outs in a row, and an answer starts the count anew', () => {
  const breaker = new Breaker();
  for (let round = 0; round < 3; round++) {
    for (let count = 1; count < timeoutsInRowMax; count++) breaker.timedOut(100);
    expect(breaker.admits(100)).toBe(true);
    breaker.answered();
  }
  expect(breaker.isOpen).toBe(false);
});

it('refuses while open and lets one trial through after the pause', () => {
  const breaker = openedAt(100);
  expect(breaker.isOpen).toBe(true);
  expect(breaker.admits(101)).toBe(false);
  expect(breaker.admits(100 + breakerPauseMs)).toBe(true);
  expect(breaker.admits(100 + breakerPauseMs)).toBe(false);
});

it('goes on refusing when the trial times out, and closes when it is answered', () => {
  const breaker = openedAt(100);
  const trialMs = 100 + breakerPauseMs;
  expect(breaker.admits(trialMs)).toBe(true);
  breaker.timedOut(trialMs + 10);
  expect(breaker.admits(trialMs + 20)).toBe(false);
  expect(breaker.admits(trialMs + breakerPauseMs)).toBe(true);
  breaker.answered();
  expect(breaker.isOpen).toBe(false);
  expect(breaker.admits(trialMs + breakerPauseMs)).toBe(true);
});
