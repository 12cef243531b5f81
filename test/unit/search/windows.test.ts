/** A walk through the index is divided by what it costs. */
import { expect, it } from 'vitest';
import type { Clock } from '../../../src/base/clock.ts';
import { Budget, type Ranges, Windows, Work } from '../../../src/search/windows.ts';

/** Ten thousand rows in each range of a hundred thousand ids, and then a gap. */
const ranges: Ranges = {
  idsPerRange: 100_000,
  starts: [0, 100_000, 200_000, 5_000_000],
  rows: [10_000, 10_000, 10_000, 2_000_000],
};

/** A walk that costs so much for each row. Returns the rows of each window. */
function walk(usPerRow: number, terms: number, end = 6_000_000): number[] {
  let ms = 0;
  const clock: Clock = { nowMs: () => 0, monotonicMs: () => ms, sleep: async () => {} };
  const windows = new Windows(ranges, terms, new Budget(clock, new Work(), 1_000));
  const sizes: number[] = [];
  for (let from = 0; from < end; ) {
    const to = windows.begin(from, end);
    expect(to).toBeGreaterThan(from);
    const rows = rowsBetween(from, to);
    ms += (rows * usPerRow) / 1_000;
    windows.end();
    sizes.push(rows);
    from = to;
  }
  return sizes;
}

function rowsBetween(from: number, to: number): number {
  return ranges.starts.reduce((sum, start, at) => {
    const overlap = Math.max(0, Math.min(to, start + ranges.idsPerRange) - Math.max(from, start));
    return sum + (ranges.rows[at]! * overlap) / ranges.idsPerRange;
  }, 0);
}

it('windows cover all, and soon cost about the same, whatever a row costs', () => {
  for (const usPerRow of [0.002, 0.02, 0.2]) {
    const sizes = walk(usPerRow, 1);
    expect(sizes.reduce((sum, rows) => sum + rows, 0)).toBeCloseTo(2_030_000, -1);
    const settled = sizes.slice(4, -1).map((rows) => (rows * usPerRow) / 1_000);
    for (const ms of settled) expect(ms).toBeLessThan(5);
  }
});

it('the first window is smaller for more terms', () => {
  expect(walk(0.02, 1)[0]).toBeGreaterThan(4 * walk(0.02, 20)[0]!);
});

it('a budget is spent once its time is over', () => {
  let ms = 0;
  const clock: Clock = { nowMs: () => 0, monotonicMs: () => ms, sleep: async () => {} };
  const budget = new Budget(clock, new Work(), 20);
  expect(budget.isSpent).toBe(false);
  ms = 20;
  expect(budget.isSpent).toBe(true);
});
