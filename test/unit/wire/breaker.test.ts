/** When the breaker opens, admits a trial call, and closes. */
import { expect, it } from 'vitest';
import { Breaker, breakerPauseMs, timeoutsInRowMax } from '../../../src/wire/breaker.ts';

function openedAt(nowMs: number): Breaker {
  const breaker = new Breaker();
  for (let count = 0; count < timeoutsInRowMax; count++) breaker.timedOut(nowMs);
  return breaker;
}

it('stays closed below the limit on timeouts in a row, which an answer resets', () => {
  const breaker = new Breaker();
  for (let round = 0; round < 3; round++) {
    for (let count = 1; count < timeoutsInRowMax; count++) breaker.timedOut(100);
    expect(breaker.admits(100)).toBe(true);
    breaker.answered();
  }
  expect(breaker.isOpen).toBe(false);
});

it('refuses calls while open, and admits one trial after the pause', () => {
  const breaker = openedAt(100);
  expect(breaker.isOpen).toBe(true);
  expect(breaker.admits(101)).toBe(false);
  expect(breaker.admits(100 + breakerPauseMs)).toBe(true);
  expect(breaker.admits(100 + breakerPauseMs)).toBe(false);
});

it('stays open if the trial times out, and closes if it is answered', () => {
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

it('opens for a silent node until it answers a ping, without a trial call', () => {
  const breaker = new Breaker();
  breaker.fellSilent();
  breaker.fellSilent();
  expect([breaker.isOpen, breaker.openings]).toEqual([true, 1]);
  expect(breaker.admits(100 + 2 * breakerPauseMs)).toBe(false);
  breaker.ponged();
  expect([breaker.isOpen, breaker.admits(100), breaker.trials]).toEqual([false, true, 0]);
});

it('that opened for timeouts stays open when a ping is answered', () => {
  const breaker = openedAt(100);
  breaker.fellSilent();
  breaker.ponged();
  expect([breaker.isOpen, breaker.openings]).toEqual([true, 1]);
  expect(breaker.admits(100 + breakerPauseMs)).toBe(true);
});
