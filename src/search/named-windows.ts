/**
 * Divides a walk through the actors, feeds or packs that have several words into windows of row
 * ids, each with a term: as those of posts, and for the same reason.
 *
 * A term is one character of an area for private use, which no word has: longer ones would be in
 * the indexes of beginnings of names as well, once for each length.
 */
import type { Ranges } from './windows.ts';

/** Log2 of the row ids of a window, and the number of its first term; the first is a level. */
const lengths = [
  { bits: 32, first: 0 },
  { bits: 28, first: 2 ** 5 },
  { bits: 24, first: 2 ** 5 + 2 ** 9 },
] as const;
const firstCharacter = 0xf_0000;

/** Rows of a window, times the terms that are compared for each: see those of posts. */
const rowsOfTermDefault = 80_000;

function termOf({ bits, first }: (typeof lengths)[number], id: number): string {
  return String.fromCodePoint(firstCharacter + first + Math.floor(id / 2 ** bits));
}

/** Returns the terms of the windows in which a row id is. */
export function namedWindowTerms(id: number): string {
  return lengths.map((length) => termOf(length, id)).join(' ');
}

/** From `from` to `end` (exclusive) all rows have the term, if there is one. */
export type NamedWindow = {
  readonly from: number;
  readonly end: number;
  readonly term: string | null;
  /** About how many there are. */
  readonly rows: number;
};

/**
 * Returns the next window with rows, from an id on; null if there is none. `rowsOfTerm` is for
 * tests.
 */
export function namedWindow(
  { idsPerRange, starts, rows }: Ranges,
  from: number,
  terms: number,
  rowsOfTerm = rowsOfTermDefault,
): NamedWindow | null {
  const rowsMax = rowsOfTerm / Math.max(1, terms);
  const total = rows.reduce((sum, count) => sum + count, 0);
  const at = starts.findIndex((start) => start + idsPerRange > from);
  if (at < 0) return null;
  const start = Math.max(from, starts[at]!);
  if (total <= rowsMax) return { from: start, end: Number.POSITIVE_INFINITY, term: null, rows: total };
  const rowsIn = (bits: number): number => (rows[at]! * 2 ** bits) / idsPerRange;
  const length = lengths.find(({ bits }) => rowsIn(bits) <= rowsMax) ?? lengths.at(-1)!;
  const { bits } = length;
  const end = (Math.floor(start / 2 ** bits) + 1) * 2 ** bits;
  return { from: start, end, term: termOf(length, start), rows: rowsIn(bits) };
}
