/**
 * Pages of an owner's outgoing edges, newest first.
 *
 * Record keys made by a PDS are timestamps, and nearly always within minutes of the record's sort time. Such a record in edge form needs no
 * row of its own to have its place: walking the record table backwards and holding back what may still be overtaken gives the exact order. All
 * other edges have an `edgeByTime` row; both walks are merged. Callers see the keys of that table either way.
 */
import { collectionCode } from '../atproto/collection.ts';
import { tidMs } from '../atproto/compact-key.ts';
import type { EdgeKind } from '../atproto/entry.ts';
import { writeEntryTime } from '../atproto/entry-time.ts';
import { ByteWriter } from '../base/bytes.ts';
import type { Row } from '../storage/environment.ts';
import { collectionOfEdge } from './edge-collection.ts';
import { edgeByTimePrefix } from './outgoing-edge.ts';
import { RecordView } from './record-view.ts';
import { beginKey, keyHeadBytes, type SlotState, tableCode } from './slot-state.ts';

/** How far sort time and record key may lie apart for an edge without a row of its own. Units: ms. */
const driftMsMax = 600_000;
const timeBytes = 6;
const yearZeroMs = 62_167_219_200_000;
/** Key head and collection: what stands before the rkey in a record key. */
const recordPrefixBytes = keyHeadBytes + 1;
const keyWriter = new ByteWriter(64);
const view = new RecordView();

/** True when the record table gives an edge its place, so that it needs no `edgeByTime` row. */
export function isInRkeyOrder(sortMs: number, rkey: string): boolean {
  const rkeyMs = tidMs(rkey);
  return rkeyMs !== undefined && Math.abs(sortMs - rkeyMs) <= driftMsMax;
}

/** Where the record walk begins: behind every TID whose edge may sort at or before `timeMs`. */
function recordStart(owner: number, collection: number, timeMs: number): Buffer {
  const key = beginKey(owner, tableCode.record).u8(collection);
  const micros = Math.max(0, (timeMs + driftMsMax + 1) * 1000);
  const high = Math.floor(micros / 2 ** 22);
  // Other record keys than TIDs stand behind these.
  return high >= 2 ** 31
    ? key.u32(0x7fffffff).u32(0xffffffff).finish()
    : key
        .u32(high)
        .u32((micros % 2 ** 22) * 1024)
        .finish();
}

type Held = Row & { readonly sortMs: number };

function timeAt(bytes: Buffer, at: number): number {
  return bytes.readUIntBE(at, timeBytes) - yearZeroMs;
}

/** Milliseconds of the TID in a record key. */
function keyMs(key: Buffer): number {
  return (key.readUInt32BE(recordPrefixBytes) * 2 ** 22 + (key.readUInt32BE(recordPrefixBytes + 4) >>> 10)) / 1000;
}

/** Returns the edge of one record row as an `edgeByTime` row, or undefined when its place is elsewhere. */
function edgeOfRecord(prefix: Buffer, { key, value }: Row): Held | undefined {
  const { isEdgeForm, sortMs, bodyAt } = view.read(value);
  if (!isEdgeForm) return undefined;
  if (Math.abs(sortMs - keyMs(key)) > driftMsMax) return undefined;
  writeEntryTime(keyWriter.bytes(prefix), sortMs);
  keyWriter.bytes(key.subarray(recordPrefixBytes));
  return { key: keyWriter.finish(), value: value.subarray(bodyAt), sortMs };
}

/** Yields the edges that have their place by their record key, newest first. */
function* walkRecords(
  state: SlotState,
  owner: number,
  kind: EdgeKind,
  prefix: Buffer,
  before: Buffer | null,
): Generator<Held> {
  const collection = collectionCode(collectionOfEdge[kind])!;
  const beforeMs = before === null ? Number.MAX_SAFE_INTEGER : timeAt(before, prefix.length);
  const end = beginKey(owner, tableCode.record).u8(collection).finish();
  const held: Held[] = [];
  for (const row of state.rows.scan({ start: recordStart(owner, collection, beforeMs), end, isReverse: true })) {
    // What comes later has an earlier key, so nothing later can sort behind this.
    const reachMs = keyMs(row.key) + driftMsMax;
    while (held.length > 0 && held[0]!.sortMs > reachMs) yield held.shift()!;
    const edge = edgeOfRecord(prefix, row);
    if (edge === undefined || (before !== null && edge.key.compare(before) >= 0)) continue;
    let at = held.length;
    while (at > 0 && held[at - 1]!.key.compare(edge.key) < 0) at--;
    held.splice(at, 0, edge);
  }
  yield* held;
}

/**
 * Yields an owner's edges of a kind from newest to oldest, at most `limit`, as rows of the `edgeByTime` table.
 *
 * Shape: `before` is the key of the last edge of the page before, or null for the newest. A value begins with the subject.
 */
export function* walkEdges(
  state: SlotState,
  owner: number,
  kind: EdgeKind,
  before: Buffer | null,
  limit: number,
): Generator<Row> {
  const prefix = edgeByTimePrefix(owner, kind);
  const records = walkRecords(state, owner, kind, prefix, before);
  const start = before ?? Buffer.concat([prefix, Buffer.alloc(16, 255)]);
  let left = limit;
  let next = records.next();
  for (const row of state.rows.scan({ start, end: prefix, isReverse: true })) {
    if (before?.equals(row.key)) continue;
    while (!next.done && next.value.key.compare(row.key) > 0) {
      if (left-- <= 0) return;
      yield next.value;
      next = records.next();
    }
    if (left-- <= 0) return;
    yield row;
  }
  for (; !next.done; next = records.next()) {
    if (left-- <= 0) return;
    yield next.value;
  }
}
