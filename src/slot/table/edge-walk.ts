/**
 * Pages of an owner's outgoing edges, newest first.
 *
 * Record keys made by a PDS are timestamps, nearly always within seconds of the record's sort time.
 * Such a record in edge form needs no `edgeByTime` row: the record table is walked backwards
 * through a reorder buffer, which gives the exact order. All other edges have a row; both walks are
 * merged. Callers see the keys of the `edgeByTime` table either way.
 *
 * A repo can crowd any number of records into the time that must be read ahead. Where a page would
 * read more than `rowsMax` rows, it and those after it are in the order of record keys instead, for
 * the edges that have no row: at most `driftMsMax` from the exact order, none lost or repeated.
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
function recordStart(owner: number, kind: EdgeKind, timeMs: number): Buffer {
  const key = beginKey(owner, tableCode.record).u8(collectionCode(edgeByKind[kind].collection)!);
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

/** Rows that one page may read in each of the two orders. */
export const edgePageRowsMax = 2_000;

/**
 * Where a page begins: after the edge `key`, which may be gone.
 *
 * `crowd`: of the edges after `key`, those down to these keys of the record and the `edgeByTime`
 * table were on pages in the order of record keys; null for none.
 */
export type EdgePosition = {
  readonly key: Buffer;
  readonly crowd: { readonly record: Buffer | null; readonly own: Buffer | null } | null;
};

export type EdgePage = { readonly edges: readonly WalkedEdge[]; readonly next: EdgePosition | null };

/** One owner's edges of one kind. */
type Edges = {
  readonly state: SlotState;
  readonly owner: number;
  readonly kind: EdgeKind;
  readonly prefix: Buffer;
};

/** The rows that a page may still read. */
type Budget = { left: number };

/** Returns the prefix of the keys of the records that make an owner's edges. */
export function edgeRecordPrefix(owner: number, kind: EdgeKind): Buffer {
  return beginKey(owner, tableCode.record).u8(collectionCode(edgeByKind[kind].collection)!).finish();
}

function recordsOf({ state, owner, kind }: Edges, start: Buffer): Iterator<Row> {
  const end = edgeRecordPrefix(owner, kind);
  return state.rows.scan({ start, end, isReverse: true })[Symbol.iterator]();
}

/** No edge has this key, and none a greater one. */
function lastKey({ prefix }: Edges): Buffer {
  return Buffer.concat([prefix, Buffer.alloc(timeBytes + 1, 255)]);
}

/** Walks the edges that have no row of their own, newest first; reads no further than it must. */
class RecordWalk {
  readonly #prefix: Buffer;
  readonly #before: Buffer;
  readonly #rows: Iterator<Row>;
  readonly #budget: Budget;
  /** A heap, newest first. */
  readonly #reorderBuffer = new TinyQueue<TimedEdge>([], newestFirst);
  /** No edge that is still unread is newer than this. Units: ms. */
  #reachMs = Number.MAX_SAFE_INTEGER;
  #isRead = false;

  constructor(edges: Edges, before: Buffer, budget: Budget) {
    this.#prefix = edges.prefix;
    this.#before = before;
    this.#budget = budget;
    const start = recordStart(edges.owner, edges.kind, timeAt(before, this.#prefix.length));
    this.#rows = recordsOf(edges, start);
  }

  /** Returns the next edge if its key is at or above `floor`; null asks for any. */
  next(floor: Buffer | null): WalkedEdge | undefined {
    const floorMs = floor === null ? Number.NEGATIVE_INFINITY : timeAt(floor, this.#prefix.length);
    const buffer = this.#reorderBuffer;
    while (!this.#isRead && this.#reachMs >= Math.max(floorMs, buffer.peek()?.sortMs ?? floorMs)) {
      if (this.#budget.left-- <= 0) return undefined;
      this.#read();
    }
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
    if (edge === undefined || edge.key.compare(this.#before) >= 0) return;
    this.#reorderBuffer.push(edge);
  }

  /** Frees the walk. */
  end(): void {
    this.#rows.return?.();
  }
}

/** Yields the edges before a key, newest first, until the budget is spent. */
function* inTimeOrder(edges: Edges, before: Buffer, budget: Budget): Generator<WalkedEdge> {
  const { state, prefix } = edges;
  const records = new RecordWalk(edges, before, budget);
  try {
    for (const row of state.rows.scan({ start: before, end: prefix, isReverse: true })) {
      if (before.equals(row.key)) continue;
      for (let next = records.next(row.key); next !== undefined; next = records.next(row.key)) yield next;
      if (budget.left-- <= 0) return;
      yield { key: row.key, value: row.value, subjectAt: 0 };
    }
    for (let next = records.next(null); next !== undefined; next = records.next(null)) yield next;
  } finally {
    records.end();
  }
}

/** The rows of one table after a key, with the one that is next. */
class RowWalk {
  readonly #rows: Iterator<Row>;
  /** The last row that was taken, or the key after which the walk began. */
  last: Buffer | null;
  next: Row | undefined;

  constructor(rows: Iterator<Row>, after: Buffer | null) {
    this.#rows = rows;
    this.last = after;
    this.#advance();
    if (after !== null && this.next !== undefined && after.equals(this.next.key)) this.#advance();
  }

  #advance(): void {
    const { done, value } = this.#rows.next();
    this.next = done === true ? undefined : value;
  }

  take(): void {
    this.last = this.next!.key;
    this.#advance();
  }

  end(): void {
    this.#rows.return?.();
  }
}

/** Reads a page in the order of record keys; edges with a row of their own are at their time. */
function readCrowd(edges: Edges, { key, crowd }: EdgePosition, limit: number, budget: Budget): EdgePage {
  const { state, owner, kind, prefix } = edges;
  const recordFrom = crowd?.record ?? recordStart(owner, kind, timeAt(key, prefix.length));
  const records = new RowWalk(recordsOf(edges, recordFrom), crowd?.record ?? null);
  const ownFrom = crowd?.own ?? key;
  const own = new RowWalk(
    state.rows.scan({ start: ownFrom, end: prefix, isReverse: true })[Symbol.iterator](),
    ownFrom,
  );
  const found: WalkedEdge[] = [];
  try {
    while (records.next !== undefined || own.next !== undefined) {
      if (found.length === limit || budget.left-- <= 0)
        return { edges: found, next: { key, crowd: { record: records.last, own: own.last } } };
      const edge = records.next === undefined ? undefined : edgeOfRecord(prefix, records.next);
      if (records.next !== undefined && (edge === undefined || edge.key.compare(key) >= 0)) records.take();
      else if (edge !== undefined && !isOwnNewer(edges, own.next, records.next!)) {
        found.push(edge);
        records.take();
      } else {
        found.push({ ...own.next!, subjectAt: 0 });
        own.take();
      }
    }
    return { edges: found, next: null };
  } finally {
    records.end();
    own.end();
  }
}

function isOwnNewer({ prefix }: Edges, own: Row | undefined, record: Row): boolean {
  return own !== undefined && timeAt(own.key, prefix.length) > packedTidMs(record.key, recordPrefixBytes);
}

/**
 * Reads a page of an owner's edges, newest first, from the previous page's `next` or, for null,
 * from the newest. A page may have fewer edges than `limit`, even none, and still a `next`.
 */
export function readEdgePage(
  { state, owner }: { readonly state: SlotState; readonly owner: number },
  kind: EdgeKind,
  from: EdgePosition | null,
  limit: number,
  rowsMax: number = edgePageRowsMax,
): EdgePage {
  const prefix = edgeByTimePrefix(owner, kind);
  const edges: Edges = { state, owner, kind, prefix };
  const start = from ?? { key: lastKey(edges), crowd: null };
  if (start.crowd !== null) return readCrowd(edges, start, limit, { left: rowsMax });
  const found: WalkedEdge[] = [];
  const budget = { left: rowsMax };
  for (const edge of inTimeOrder(edges, start.key, budget)) {
    if (found.length === limit) return { edges: found, next: { key: found.at(-1)!.key, crowd: null } };
    found.push(edge);
  }
  if (budget.left >= 0) return { edges: found, next: null };
  if (found.length === 0) return readCrowd(edges, start, limit, { left: rowsMax });
  return { edges: found, next: { key: found.at(-1)!.key, crowd: { record: null, own: null } } };
}
