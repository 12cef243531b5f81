/** Which rows of copies differ, from what nodes list of theirs. */
import { expect, it } from 'vitest';
import { differenceLines, differingGroups, rowComparison } from '../../../src/wire/row-comparison.ts';
import { groupCountMax, groupCountOf, type RowListed, rowsListedMax } from '../../../src/wire/slot-verify.ts';

/** Rows by their keys, such as `a1`: row a with the value 1. */
function rowsOf(text: string): RowListed[] {
  return text.split(' ').map(([key, value]) => ({ key: key!, value: value!, what: `row ${key}` }));
}

function compare(...texts: string[]): ReturnType<typeof rowComparison> {
  return rowComparison(new Map(texts.map((text, index) => [`n${index}`, rowsOf(text)])));
}

it('rows that are the same everywhere are counted, and none is named', () => {
  expect(compare('a1 b2', 'a1 b2', 'a1 b2')).toEqual({ rows: 2, differing: 0, differences: [] });
});

it('rows with other values, and rows that a copy lacks, are named with who has what', () => {
  const found = compare('a1 b2 d4', 'a1 b3 d4', 'a1 b2 c1 d4');
  expect(found).toMatchObject({ rows: 4, differing: 2 });
  expect(differenceLines(found)).toEqual(['row b: n0, n2 and n1 differ', 'row c: n0, n1 lack it']);
});

it('of many differences some are named, and the others counted', () => {
  const all = (value: string): string => [...'abcdefghijklmnopqrstuvwxyz'].map((key) => key + value).join(' ');
  const lines = differenceLines(compare(all('1'), all('2')));
  expect(lines).toHaveLength(21);
  expect(lines.at(-1)).toBe('and 6 more of 26 rows that were compared');
});

it('a list that is cut says nothing of rows after it', () => {
  const row = (index: number): RowListed => ({ key: String(index).padStart(5, '0'), value: '', what: '' });
  const full = Array.from({ length: rowsListedMax }, (_unused, index) => row(index));
  const other = [...full.slice(1), row(rowsListedMax)];
  const { rows, differing } = rowComparison(
    new Map([
      ['n0', full],
      ['n1', other],
    ]),
  );
  expect([rows, differing]).toEqual([rowsListedMax, 1]);
});

it('groups that differ are found by their sums', () => {
  const sums = ['00000001', '00000002', '00000003'];
  expect(differingGroups([sums.join(''), sums.join('')])).toEqual([]);
  expect(differingGroups([sums.join(''), [sums[0], '0000000f', sums[2]].join('')])).toEqual([1]);
});

it('there are so many groups that one has few rows, and no more than are allowed', () => {
  expect([0, 64, 65, 1_000].map(groupCountOf)).toEqual([1, 1, 2, 16]);
  expect(groupCountOf(1e9)).toBe(groupCountMax);
});
