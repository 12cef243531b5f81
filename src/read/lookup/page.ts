/**
 * Pages of rows whose keys are in time order: limits, tokens, and the walk from newest to oldest.
 *
 * A token holds what follows the prefix in the last item's key: its time, and the rest.
 */

import { ByteWriter, hasBytesAt } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { timeAt, timeBytes, writeEntryTime } from '../../base/time-bytes.ts';
import { decodePageToken, encodePageToken } from '../../proto/page-token.ts';
import { prefixEnd, type Row, type Scan, type Table } from '../../storage/environment.ts';
import type { LentRow } from '../../storage/row-cursor.ts';

/** Greater limits are lowered to this. Units: items. */
export const pageItemsMax = 1_000;
/** Rows that are read at once where a read may yield: some tenths of a millisecond. */
export const stepRows = 250;
/** No key has more after its time. Units: bytes. */
const keyRestBytesMax = 1_280;

const tokenWriter = new ByteWriter(512);

export type PageRequest = { readonly limit: number; readonly cursor: string };

/** Returns how many items a page may have: none for a limit of 0 or less. */
export function pageLimit(limit: number): number {
  return Math.max(0, Math.min(limit, pageItemsMax));
}

/** Throws `InvalidArgument` for a page token, naming its field. */
export function refuseToken(field: string): never {
  throw new DataPlaneError('InvalidArgument', `${field}: malformed page token`);
}

/** Returns the token of the item at `key`, whose time follows `prefixLength` bytes. */
export function keyToken(key: Buffer, prefixLength: number): string {
  return encodePageToken(timeAt(key, prefixLength), key, prefixLength + timeBytes);
}

/** Returns the key that a token names under `prefix`. Errors: DataPlaneError `InvalidArgument`. */
export function keyOfToken(token: string, prefix: Buffer, field: string): Buffer {
  const position = decodePageToken(token, keyRestBytesMax) ?? refuseToken(field);
  tokenWriter.clear().bytes(prefix);
  writeEntryTime(tokenWriter, position.timeMs);
  return tokenWriter.bytes(position.rest).finish();
}

/** A walk from newest to oldest that begins at the key `start`, leaving out the key `after`. */
export type WalkStart = { readonly prefix: Buffer; readonly start: Buffer; readonly after: Buffer | null };

/** Returns the walk of the keys that begin with `prefix`, after the item that `cursor` names. */
export function walkFrom(prefix: Buffer, cursor: string, field: string): WalkStart {
  // A row of the next table may have that very key.
  const end = prefixEnd(prefix);
  if (cursor === '') return { prefix, start: end, after: end };
  const after = keyOfToken(cursor, prefix, field);
  return { prefix, start: after, after };
}

/** Calls `visit` with up to `limit` rows of a walk, which are lent, until it returns false. */
export function visitRows(rows: Table, walk: WalkStart, limit: number, visit: (row: LentRow) => boolean): void {
  visitWalk(rows, walk, { limit, keysOnly: false }, visit);
}

/** Like `visitRows`, for rows without a value. */
export function visitKeys(rows: Table, walk: WalkStart, limit: number, visit: (row: LentRow) => boolean): void {
  visitWalk(rows, walk, { limit, keysOnly: true }, visit);
}

function visitWalk(
  rows: Table,
  { prefix, start, after }: WalkStart,
  { limit, keysOnly }: { readonly limit: number; readonly keysOnly: boolean },
  visit: (row: LentRow) => boolean,
): void {
  if (limit <= 0) return;
  let left = limit;
  let leftOut = after;
  const visitRow = (row: LentRow): boolean => {
    if (leftOut !== null) {
      const isLeftOut = row.keyLength === leftOut.length && hasBytesAt(row.key, 0, leftOut);
      leftOut = null;
      if (isLeftOut) return true;
    }
    return visit(row) && --left > 0;
  };
  rows.visit({ start, end: prefix, isReverse: true }, visitRow, keysOnly);
}

/** Yields up to `limit` rows of a walk. */
export function* walkRows(rows: Table, walk: WalkStart, limit: number): Generator<Row> {
  let left = limit;
  let { after } = walk;
  for (const row of rows.scan({ start: walk.start, end: walk.prefix, isReverse: true, limit: limit + 1 })) {
    if (after !== null) {
      const isLeftOut = row.key.equals(after);
      after = null;
      if (isLeftOut) continue;
    }
    if (left-- <= 0) return;
    yield row;
  }
}

/**
 * Yields the rows of a range in steps of `stepRows`, without the one whose key is `after`. No scan
 * is open between two steps, so that a sliced read may yield there.
 */
export function* scanSteps(
  rows: Table,
  range: Scan & { readonly limit: number },
  after: Buffer | null = null,
): Generator<readonly Row[]> {
  let { start } = range;
  let leftOut = after;
  for (let left = range.limit; left > 0; ) {
    const limit = Math.min(left, stepRows);
    const step = [...rows.scan({ ...range, start, limit: leftOut === null ? limit : limit + 1 })];
    if (leftOut !== null && step[0]?.key.equals(leftOut)) step.shift();
    if (step.length > limit) step.pop();
    if (step.length > 0) yield step;
    if (step.length < limit) return;
    left -= limit;
    start = step.at(-1)!.key;
    leftOut = start;
  }
}

/** Like `walkRows`, in steps as `scanSteps` takes them. */
export function walkSteps(rows: Table, { prefix, start, after }: WalkStart, limit: number): Generator<readonly Row[]> {
  return scanSteps(rows, { start, end: prefix, isReverse: true, limit }, after);
}

/** Like `walkRows`, for rows without a value. */
export function* walkKeys(rows: Table, walk: WalkStart, limit: number): Generator<Buffer> {
  let left = limit;
  let { after } = walk;
  for (const key of rows.scanKeys({ start: walk.start, end: walk.prefix, isReverse: true, limit: limit + 1 })) {
    if (after !== null) {
      const isLeftOut = key.equals(after);
      after = null;
      if (isLeftOut) continue;
    }
    if (left-- <= 0) return;
    yield key;
  }
}
