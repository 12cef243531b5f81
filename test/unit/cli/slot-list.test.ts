/** Lists of slots on the command line. */
import { expect, it } from 'vitest';
import { slotsOfList } from '../../../src/cli/slot-list.ts';

it('reads ranges in any order, and each slot once', () => {
  expect(slotsOfList(['7', '0-2', '1-3'], 8)).toEqual([0, 1, 2, 3, 7]);
  expect(slotsOfList([], 8)).toEqual([]);
});

it.each(['8', '2-9', '3-1', 'x', '-1', '1-', '1-2-3', '100000'])('refuses %s', (range) => {
  expect(() => slotsOfList([range], 8)).toThrow(`--slots: "${range}" names no slots`);
});
