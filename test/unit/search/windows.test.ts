/** Windows of actors, feeds and packs, and the budget of a walk. */
import { expect, it } from 'vitest';
import type { Clock } from '../../../src/base/clock.ts';
import { namedWindow, namedWindowTerms } from '../../../src/search/named-windows.ts';
import { Budget, type Ranges, Work } from '../../../src/search/windows.ts';

const level = 2 ** 32;

/** Levels of many and of few rows. */
const ranges: Ranges = {
  idsPerRange: level,
  starts: [10, 14, 15, 30, 31].map((each) => each * level),
  rows: [3, 100, 20_000, 300_000, 1_500_000],
};

it('windows cover all levels, each has few rows, and all of them have its term', () => {
  for (const terms of [2, 12]) {
    let [from, rows] = [5, 0];
    for (let window = namedWindow(ranges, from, terms); window !== null; window = namedWindow(ranges, from, terms)) {
      expect(window.from).toBeGreaterThanOrEqual(from);
      for (const id of [window.from, window.end - 1]) expect(namedWindowTerms(id).split(' ')).toContain(window.term);
      expect(window.rows).toBeLessThanOrEqual(80_000 / terms);
      rows += window.rows;
      from = window.end;
    }
    expect(rows).toBeCloseTo(1_820_103, 0);
  }
});

it('few rows are one window without a term', () => {
  const few = { ...ranges, rows: [1, 2, 3, 4, 5] };
  expect(namedWindow(few, 0, 3)).toEqual({ from: 10 * level, end: Number.POSITIVE_INFINITY, term: null, rows: 15 });
});

it('a budget is spent once its time is over', () => {
  let ms = 0;
  const clock: Clock = { nowMs: () => 0, monotonicMs: () => ms, sleep: async () => {} };
  const budget = new Budget(clock, new Work(), 20);
  expect(budget.isSpent).toBe(false);
  ms = 20;
  expect(budget.isSpent).toBe(true);
});
