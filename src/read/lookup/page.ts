/**
 * Pages of lists that are in time order in keys: limits, tokens, and the walk from newest to
 * oldest.
 *
 * The rest of a token is the rest of the last item's key.
 */

import { ByteWriter } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { timeAt, timeBytes, writeEntryTime } from '../../base/time-bytes.ts';
import { decodePageToken, encodePageToken } from '../../proto/page-token.ts';
import { prefixEnd, type Row, type Table } from '../../storage/environment.ts';

/** A greater limit is taken as this: the token goes on from there. Units: items. */
export const pageItemsMax = 1_000;
/** The rest of a key after its time is never longer. Units: bytes. */
const keyRestBytesMax = 1_024;

const tokenWriter = new ByteWriter(512);

/** What every paged request names. */
export type PageRequest = { readonly limit: number; readonly cursor: string };

/** Returns how many items to give: none for a limit of 0 or less. */
export function pageLimit(limit: number): number {
  return Math.max(0, Math.min(limit, pageItemsMax));
}

/** Refuses a page token, naming its field. */
export function refuseToken(place: string): never {
  throw new DataPlaneError('InvalidArgument', `${place}: malformed page token`);
}

/** Returns the token of the item at `key`, whose time follows `prefixLength` bytes. */
export function keyToken(key: Buffer, prefixLength: number): string {
  return encodePageToken(timeAt(key, prefixLength), key, prefixLength + timeBytes);
}

/** Returns the key that a token names under `prefix`. Errors: DataPlaneError `InvalidArgument`. */
function keyOfToken(token: string, prefix: Buffer, place: string): Buffer {
  const position = decodePageToken(token, keyRestBytesMax) ?? refuseToken(place);
  tokenWriter.clear().bytes(prefix);
  writeEntryTime(tokenWriter, position.timeMs);
  return tokenWriter.bytes(position.rest).finish();
}

/**
 * Where a walk from newest to oldest begins: at the newest, or after the item that a token names.
 */
export type WalkStart = { readonly prefix: Buffer; readonly start: Buffer; readonly after: Buffer | null };

/** Returns where the page after `cursor` begins among the keys that begin with `prefix`. */
export function walkFrom(prefix: Buffer, cursor: string, place: string): WalkStart {
  if (cursor === '') return { prefix, start: prefixEnd(prefix), after: null };
  const after = keyOfToken(cursor, prefix, place);
  return { prefix, start: after, after };
}

/** Yields rows from newest to oldest; whoever stops early frees the walk. */
export function* walkRows(rows: Table, walk: WalkStart, limit: number): Generator<Row> {
  let left = limit;
  for (const row of rows.scan({ start: walk.start, end: walk.prefix, isReverse: true, limit: limit + 1 })) {
    if (walk.after !== null && row.key.equals(walk.after)) continue;
    if (left-- <= 0) return;
    yield row;
  }
}

/** Like `walkRows`, for rows whose value says nothing. */
export function* walkKeys(rows: Table, walk: WalkStart, limit: number): Generator<Buffer> {
  let left = limit;
  for (const key of rows.scanKeys({ start: walk.start, end: walk.prefix, isReverse: true, limit: limit + 1 })) {
    if (walk.after !== null && key.equals(walk.after)) continue;
    if (left-- <= 0) return;
    yield key;
  }
}
