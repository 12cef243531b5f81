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
import { collectionCode } from '../../atproto/collection.ts';
import { type EdgeKind, edgeByKind } from '../../atproto/edge-kind.ts';
import { packedTidMs, packedTidMsEnd, tidMs, writeTid } from '../../atproto/tid.ts';
import { timeBytes } from '../../base/time-bytes.ts';
import type { LentRow, RowCursor } from '../../storage/row-cursor.ts';
import { EdgeList, recordPrefixBytes } from './edge-list.ts';
import { edgeByTimePrefix } from './outgoing-edge.ts';
import { RecordView } from './record-view.ts';
import { beginKey, type SlotState, tableCode } from './slot-state.ts';

/**
 * How far sort time and record key may differ for an edge without a row of its own. Units: ms.
 *
 * Part of the stored format. A walk reads this much ahead, which is costly where many edges were
 * made at once; edges with a larger drift, from clients with a wrong clock, cost a row.
 */
const driftMsMax = 30_000;
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

/**
 * Adds the edge of a record to those read; `rkeyMs` is the time of its key. Returns its index; -1
 * when it has a row of its own, or is older than `oldestMs`.
 */
function addEdgeOfRecord(edges: EdgeList, row: LentRow, rkeyMs: number, oldestMs: number): number {
  const { isEdgeForm, sortMs, bodyAt } = view.read(row.value);
  if (!isEdgeForm || sortMs < oldestMs || Math.abs(sortMs - rkeyMs) > driftMsMax) return -1;
  return edges.addRecord(row, sortMs, bodyAt);
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

/**
 * `found`: indexes of `edges`, newest first. Valid until the next page is read.
 */
export type EdgePage = {
  readonly edges: EdgeList;
  readonly found: readonly number[];
  readonly next: EdgePosition | null;
};

/** One owner's edges of one kind. */
type Edges = {
  readonly state: SlotState;
  readonly owner: number;
  readonly kind: EdgeKind;
  readonly prefix: Buffer;
};

/** The rows that a page may still read. */
type Budget = { left: number };

const list = new EdgeList();

/** Returns the prefix of the keys of the records that make an owner's edges. */
export function edgeRecordPrefix(owner: number, kind: EdgeKind): Buffer {
  return beginKey(owner, tableCode.record).u8(collectionCode(edgeByKind[kind].collection)!).finish();
}

function openRecords({ state, owner, kind }: Edges, start: Buffer): RowCursor {
  return state.rows.open({ start, end: edgeRecordPrefix(owner, kind), isReverse: true });
}

function openOwnRows({ state, prefix }: Edges, start: Buffer): RowCursor {
  return state.rows.open({ start, end: prefix, isReverse: true });
}

/** No edge has this key, and none a greater one. */
function lastKey({ prefix }: Edges): Buffer {
  return Buffer.concat([prefix, Buffer.alloc(timeBytes + 1, 255)]);
}

const noSubject = Buffer.alloc(0);

/** Adds a position between edges, to compare them with. */
function addPosition(edges: EdgeList, key: Buffer, prefix: Buffer): number {
  return edges.addTimed({ key, keyLength: key.length, value: noSubject }, prefix.length);
}

/** Of one walk after the other; grows to the rows of the longest. */
let reorderBuffer = new Int32Array(256);

/** Walks the edges that have no row of their own, newest first; reads no further than it must. */
class RecordWalk {
  readonly #before: number;
  readonly #rows: RowCursor;
  readonly #budget: Budget;
  /** What was read and not yet returned is in `reorderBuffer`, newest first, from here on. */
  #head = 0;
  #end = 0;
  /** Edges that may still be asked for. */
  #left: number;
  /** No edge that is still unread is newer than this. Units: ms. */
  #reachMs = Number.MAX_SAFE_INTEGER;
  #isRead = false;

  /**
   * `before` is the position in `list` after which the walk begins; `next` must not be called for
   * more than `max` edges.
   */
  constructor(edges: Edges, before: number, max: number, budget: Budget) {
    this.#before = before;
    this.#left = max;
    this.#budget = budget;
    this.#rows = openRecords(edges, recordStart(edges.owner, edges.kind, list.sortMs(before)));
  }

  /** Returns the next edge if it is not after the edge `floor`, else -1; -1 asks for any. */
  next(floor: number): number {
    const floorMs = floor < 0 ? Number.NEGATIVE_INFINITY : list.sortMs(floor);
    while (!this.#isRead && this.#reachMs >= Math.max(floorMs, this.#firstMs(floorMs))) {
      if (this.#budget.left-- <= 0) return -1;
      this.#read();
    }
    if (this.#head === this.#end) return -1;
    const first = reorderBuffer[this.#head]!;
    if (floor >= 0 && list.compare(first, floor) > 0) return -1;
    this.#head++;
    this.#left--;
    return first;
  }

  #firstMs(otherwise: number): number {
    return this.#head === this.#end ? otherwise : list.sortMs(reorderBuffer[this.#head]!);
  }

  #read(): void {
    const row = this.#rows.next();
    if (row === undefined) {
      this.#isRead = true;
      return;
    }
    // What is read later has an earlier key, so it cannot be newer than this.
    const rkeyMs = packedTidMs(row.key, recordPrefixBytes);
    this.#reachMs = rkeyMs + driftMsMax;
    const edge = addEdgeOfRecord(list, row, rkeyMs, this.#oldestMs);
    if (edge >= 0 && list.compare(edge, this.#before) > 0) this.#insert(edge);
  }

  /** The oldest of as many edges as may be asked for: of what is read ahead, most are older. */
  get #oldestMs(): number {
    const isEnough = this.#end - this.#head >= this.#left;
    return isEnough ? list.sortMs(reorderBuffer[this.#end - 1]!) : Number.NEGATIVE_INFINITY;
  }

  /** Most edges are the oldest so far. */
  #insert(edge: number): void {
    if (this.#end === reorderBuffer.length) this.#grow();
    const buffer = reorderBuffer;
    let at = this.#end++;
    if (at > this.#head && list.compare(edge, buffer[at - 1]!) < 0) {
      let low = this.#head;
      for (let high = at - 1; low < high; ) {
        const middle = (low + high) >>> 1;
        if (list.compare(edge, buffer[middle]!) < 0) high = middle;
        else low = middle + 1;
      }
      buffer.copyWithin(low + 1, low, at);
      at = low;
    }
    buffer[at] = edge;
  }

  #grow(): void {
    const grown = new Int32Array(2 * this.#end);
    grown.set(reorderBuffer);
    reorderBuffer = grown;
  }

  /** Frees the walk. */
  end(): void {
    this.#rows.close();
  }
}

/** Calls `visit` with up to `max` edges before a position, newest first, until it returns false. */
function visitInTime(edges: Edges, start: Buffer, max: number, budget: Budget, visit: (edge: number) => boolean): void {
  const { prefix } = edges;
  const before = addPosition(list, start, prefix);
  const own = openOwnRows(edges, start);
  const nextOwn = (): number => {
    const row = own.next();
    return row === undefined ? -1 : list.addTimed(row, prefix.length);
  };
  // Most owners have none: the cursor is then free again for the records, which saves a new one.
  let edge = nextOwn();
  const records = new RecordWalk(edges, before, max, budget);
  try {
    for (; edge >= 0; edge = nextOwn()) {
      if (list.compare(edge, before) === 0) continue;
      for (let next = records.next(edge); next >= 0; next = records.next(edge)) if (!visit(next)) return;
      if (budget.left-- <= 0 || !visit(edge)) return;
    }
    for (let next = records.next(-1); next >= 0; next = records.next(-1)) if (!visit(next)) return;
  } finally {
    records.end();
    own.close();
  }
}

/** The rows of one table after a key, with the one that is next as an edge. */
class RowWalk {
  readonly #rows: RowCursor;
  readonly #edgeOf: (row: LentRow) => number;
  /** The key of the last row that was taken, or the key after which the walk began. */
  last: Buffer | null;
  /** The key of the row that is next; null at the end. */
  next: Buffer | null = null;
  /** Its edge; -1 for none. */
  edge = -1;

  constructor(rows: RowCursor, after: Buffer | null, edgeOf: (row: LentRow) => number) {
    this.#rows = rows;
    this.#edgeOf = edgeOf;
    this.last = after;
    this.#advance();
    if (after !== null && this.next !== null && after.equals(this.next)) this.#advance();
  }

  #advance(): void {
    const row = this.#rows.next();
    this.next = row === undefined ? null : Buffer.from(row.key.subarray(0, row.keyLength));
    this.edge = row === undefined ? -1 : this.#edgeOf(row);
  }

  /** Passes the next row. Returns its edge. */
  take(): number {
    const { edge } = this;
    this.last = this.next;
    this.#advance();
    return edge;
  }

  end(): void {
    this.#rows.close();
  }
}

/** Reads a page in the order of record keys; edges with a row of their own are at their time. */
function readCrowd(edges: Edges, { key, crowd }: EdgePosition, limit: number, budget: Budget): EdgePage {
  const { owner, kind, prefix } = edges;
  list.clear();
  const before = addPosition(list, key, prefix);
  const recordFrom = crowd?.record ?? recordStart(owner, kind, list.sortMs(before));
  const ownFrom = crowd?.own ?? key;
  const records = new RowWalk(openRecords(edges, recordFrom), crowd?.record ?? null, (row) => {
    const edge = addEdgeOfRecord(list, row, packedTidMs(row.key, recordPrefixBytes), Number.NEGATIVE_INFINITY);
    return edge >= 0 && list.compare(edge, before) > 0 ? edge : -1;
  });
  const own = new RowWalk(openOwnRows(edges, ownFrom), ownFrom, (row) => list.addTimed(row, prefix.length));
  const found: number[] = [];
  try {
    while (records.next !== null || own.next !== null) {
      if (found.length === limit || budget.left-- <= 0)
        return { edges: list, found, next: { key, crowd: { record: records.last, own: own.last } } };
      if (records.next !== null && records.edge < 0) records.take();
      else if (records.next !== null && !isOwnNewer(own.edge, records.next)) found.push(records.take());
      else found.push(own.take());
    }
    return { edges: list, found, next: null };
  } finally {
    records.end();
    own.end();
  }
}

function isOwnNewer(own: number, record: Buffer): boolean {
  return own >= 0 && list.sortMs(own) > packedTidMs(record, recordPrefixBytes);
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
  list.clear();
  const found: number[] = [];
  const budget = { left: rowsMax };
  let hasMore = false;
  // One more than the limit says that there are more.
  visitInTime(edges, start.key, limit + 1, budget, (edge) => {
    hasMore = found.length === limit;
    if (!hasMore) found.push(edge);
    return !hasMore;
  });
  const isWhole = !hasMore && budget.left >= 0;
  if (isWhole) return { edges: list, found, next: null };
  if (found.length === 0) return readCrowd(edges, start, limit, { left: rowsMax });
  const key = list.key(found.at(-1)!, prefix);
  return { edges: list, found, next: { key, crowd: hasMore ? null : { record: null, own: null } } };
}
