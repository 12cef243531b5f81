/**
 * Pages of an owner's outgoing edges, newest first.
 *
 * Record keys made by a PDS are timestamps, nearly always within seconds of the record's sort time.
 * Such a record in edge form needs no `edgeByTime` row: the record table is walked backwards
 * through a reorder buffer, which gives the exact order. All other edges have a row; both walks are
 * merged. Callers see the keys of the `edgeByTime` table either way.
 */
import TinyQueue from 'tinyqueue';
import { collectionCode } from '../../atproto/collection.ts';
import { type EdgeKind, edgeByKind } from '../../atproto/edge-kind.ts';
import { packedTidMs, packedTidMsEnd, tidMs, writeTid } from '../../atproto/tid.ts';
import { putTimeAt, timeAt, timeBytes } from '../../base/time-bytes.ts';
import type { Row } from '../../storage/environment.ts';
import { edgeByTimePrefix } from './outgoing-edge.ts';
import { RecordView } from './record-view.ts';
import { beginKey, keyHeadBytes, type SlotState, tableCode } from './slot-state.ts';

/**
 * How far sort time and record key may differ for an edge without a row of its own. Units: ms.
 *
 * Part of the stored format. A walk reads this much ahead, which is costly where many edges were
 * made at once; edges with a larger drift, from clients with a wrong clock, cost a row.
 */
const driftMsMax = 30_000;
/** Key head and collection, which precede the rkey in a record key. */
const recordPrefixBytes = keyHeadBytes + 1;
const view = new RecordView();

/** True when the record table orders an edge, so that it needs no `edgeByTime` row. */
export function isInRkeyOrder(sortMs: number, rkey: string): boolean {
  const rkeyMs = tidMs(rkey);
  return rkeyMs !== undefined && rkeyMs < packedTidMsEnd && Math.abs(sortMs - rkeyMs) <= driftMsMax;
}

/** The backward walk begins here: after every TID whose edge may be of `timeMs` or before. */
function recordStart(owner: number, collection: number, timeMs: number): Buffer {
  const key = beginKey(owner, tableCode.record).u8(collection);
  // Record keys that are no TIDs sort after all that are.
  writeTid(key, Math.max(0, (timeMs + driftMsMax + 1) * 1000));
  return key.finish();
}

/** An edge by its key in the `edgeByTime` table; its subject begins at `subjectAt` of `value`. */
export type WalkedEdge = Row & { readonly subjectAt: number };

type TimedEdge = WalkedEdge & { readonly sortMs: number };

function newestFirst(a: TimedEdge, b: TimedEdge): number {
  return b.key.compare(a.key);
}

/** Returns the edge of a record as an `edgeByTime` row; undefined when it has one of its own. */
function edgeOfRecord(prefix: Buffer, { key, value }: Row): TimedEdge | undefined {
  const { isEdgeForm, sortMs, bodyAt } = view.read(value);
  if (!isEdgeForm) return undefined;
  if (Math.abs(sortMs - packedTidMs(key, recordPrefixBytes)) > driftMsMax) return undefined;
  const rkeyAt = prefix.length + timeBytes;
  const edgeKey = Buffer.allocUnsafe(rkeyAt + key.length - recordPrefixBytes);
  for (let index = 0; index < prefix.length; index++) edgeKey[index] = prefix[index]!;
  putTimeAt(edgeKey, prefix.length, sortMs);
  for (let from = recordPrefixBytes, to = rkeyAt; from < key.length; ) edgeKey[to++] = key[from++]!;
  return { key: edgeKey, value, subjectAt: bodyAt, sortMs };
}

/** Walks the edges that have no row of their own, newest first; reads no further than it must. */
class RecordWalk {
  readonly #prefix: Buffer;
  readonly #before: Buffer | null;
  readonly #rows: Iterator<Row>;
  /** A heap, newest first, since all edges of a hostile repo may be within the drift. */
  readonly #reorderBuffer = new TinyQueue<TimedEdge>([], newestFirst);
  /** No edge that is still unread is newer than this. Units: ms. */
  #reachMs = Number.MAX_SAFE_INTEGER;
  #isRead = false;

  constructor(state: SlotState, owner: number, kind: EdgeKind, before: Buffer | null) {
    const collection = collectionCode(edgeByKind[kind].collection)!;
    this.#prefix = edgeByTimePrefix(owner, kind);
    this.#before = before;
    const beforeMs = before === null ? Number.MAX_SAFE_INTEGER : timeAt(before, this.#prefix.length);
    const start = recordStart(owner, collection, beforeMs);
    const end = beginKey(owner, tableCode.record).u8(collection).finish();
    this.#rows = state.rows.scan({ start, end, isReverse: true })[Symbol.iterator]();
  }

  /** Returns the next edge if its key is at or above `floor`; null asks for any. */
  next(floor: Buffer | null): WalkedEdge | undefined {
    const floorMs = floor === null ? Number.NEGATIVE_INFINITY : timeAt(floor, this.#prefix.length);
    const buffer = this.#reorderBuffer;
    while (!this.#isRead && this.#reachMs >= Math.max(floorMs, buffer.peek()?.sortMs ?? floorMs)) this.#read();
    const first = buffer.peek();
    if (first === undefined || (floor !== null && first.key.compare(floor) < 0)) return undefined;
    return buffer.pop();
  }

  #read(): void {
    const { done, value: row } = this.#rows.next();
    this.#isRead = done === true;
    if (done) return;
    // What is read later has an earlier key, so it cannot be newer than this.
    this.#reachMs = packedTidMs(row.key, recordPrefixBytes) + driftMsMax;
    const edge = edgeOfRecord(this.#prefix, row);
    if (edge === undefined || (this.#before !== null && edge.key.compare(this.#before) >= 0)) return;
    this.#reorderBuffer.push(edge);
  }

  /** Frees the walk. */
  end(): void {
    this.#rows.return?.();
  }
}

/**
 * Yields at most `limit` edges of an owner, newest first. `before` is the key of the previous
 * page's last edge; null for the first page.
 */
export function* walkEdges(
  state: SlotState,
  owner: number,
  kind: EdgeKind,
  before: Buffer | null,
  limit: number,
): Generator<WalkedEdge> {
  const prefix = edgeByTimePrefix(owner, kind);
  const records = new RecordWalk(state, owner, kind, before);
  const start = before ?? Buffer.concat([prefix, Buffer.alloc(16, 255)]);
  let left = limit;
  try {
    for (const row of state.rows.scan({ start, end: prefix, isReverse: true })) {
      if (before?.equals(row.key)) continue;
      for (let next = records.next(row.key); next !== undefined; next = records.next(row.key)) {
        if (left-- <= 0) return;
        yield next;
      }
      if (left-- <= 0) return;
      yield { key: row.key, value: row.value, subjectAt: 0 };
    }
    for (let next = records.next(null); next !== undefined; next = records.next(null)) {
      if (left-- <= 0) return;
      yield next;
    }
  } finally {
    records.end();
  }
}
