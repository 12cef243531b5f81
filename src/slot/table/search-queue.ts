/**
 * What of a slot the node's search index must look at again: sub-database `search`.
 *
 * (seq) → one change; (meta) → which rows count. A row names a record, not what it says: the index
 * reads the record as it is now, so to look again is harmless. No part of the state, so replicas
 * need not agree, and a slot without this table has it begun anew: then, past `rowsMax`, and
 * whenever transactions were made without it. Each such beginning has an epoch of its own, at which
 * the index builds the slot again.
 */
import { readCollection, readRkey, writeCollection, writeRkey } from '../../atproto/compact-key.ts';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import type { Table } from '../../storage/environment.ts';

/** The record is there, or its counts, its actor or their handle have changed. */
const look = 0;
/** The record was where its sort time put it, and is there no more, or with other words. */
const leave = 1;

/** `wasAtMs`: the sort time at which it was removed, or null. */
export type SearchChange = {
  readonly owner: number;
  readonly collection: string;
  readonly rkey: string;
  readonly wasAtMs: number | null;
};

const writer = sharedWriter(1024);
const metaVersion = 1;
const metaKey = Buffer.from([0]);
const rowTag = 1;
const rowsEnd = Buffer.from([rowTag + 1]);

/** Rows past which a queue is dropped and begun anew. */
export const searchQueueRowsMax = 200_000;
/** Rows that one transaction removes. */
const trimRowsMax = 2_000;

export type SearchQueueMeta = {
  readonly epoch: number;
  /** Rows from here on are of this epoch. */
  readonly firstSeq: number;
  readonly nextSeq: number;
  /** The last seq of the log whose changes are in it; inclusive. */
  readonly cursor: number;
  readonly generation: number;
};

/** Returns the meta row; undefined for none, or one of another version. */
export function searchQueueMeta(table: Table): SearchQueueMeta | undefined {
  const row = table.getVolatile(metaKey);
  if (row === undefined) return undefined;
  const reader = new ByteReader(row);
  if (reader.u8() !== metaVersion) return undefined;
  const [epoch, firstSeq, nextSeq] = [reader.u48(), reader.u48(), reader.u48()];
  return { epoch, firstSeq, nextSeq, cursor: reader.u48(), generation: reader.u32() };
}

function seqKey(seq: number): Buffer {
  return writer.u8(rowTag).u48(seq).finish();
}

/** Returns the changes from `seq` on (inclusive), and the seq after the last of them. */
export function searchChangesFrom(
  table: Table,
  seq: number,
  limit: number,
): { readonly changes: SearchChange[]; readonly nextSeq: number } {
  const changes: SearchChange[] = [];
  let nextSeq = seq;
  for (const { key, value } of table.scan({ start: seqKey(seq), end: rowsEnd, limit })) {
    nextSeq = new ByteReader(key, 1).u48() + 1;
    const reader = new ByteReader(value);
    const wasAtMs = reader.u8() === leave ? readEntryTime(reader) : null;
    changes.push({ wasAtMs, owner: reader.u32(), collection: readCollection(reader), rkey: readRkey(reader) });
  }
  return { changes, nextSeq };
}

/** The changes of the transaction under way, each once. */
export class SearchChanges {
  readonly rows = new Set<string>();

  #add(owner: number, collection: string, rkey: string): void {
    writer.u32(owner);
    writeCollection(writer, collection);
    writeRkey(writer, rkey);
    this.rows.add(writer.finish().latin1Slice());
  }

  /** Notes that a record must be looked at. */
  look(owner: number, collection: string, rkey: string): void {
    writer.u8(look);
    this.#add(owner, collection, rkey);
  }

  /** Notes that a record is no more what it was at its sort time. */
  leave(owner: number, collection: string, rkey: string, wasAtMs: number): void {
    writer.u8(leave);
    writeEntryTime(writer, wasAtMs);
    this.#add(owner, collection, rkey);
  }
}

const nothing: SearchQueueMeta = { epoch: 0, firstSeq: 1, nextSeq: 1, cursor: -1, generation: 0 };

/** What of the slot's log a commit holds. `nowMs` makes new epochs. */
type Commit = { readonly cursor: number; readonly generation: number; readonly nowMs: number };

/** The queue as the slot's apply thread writes it. */
export class SearchQueue {
  readonly changes = new SearchChanges();
  readonly #table: Table;
  #meta: SearchQueueMeta;
  /** True until a transaction of this process has begun a queue that lacks changes. */
  #isStale: boolean;
  #trimBelow = 0;
  #firstRow = 0;

  /**
   * Has the state note its changes here. `cursor` is the slot's: a queue that ends elsewhere lacks
   * changes.
   */
  constructor(table: Table, state: { searchChanges: SearchChanges | null }, cursor: number) {
    this.#table = table;
    state.searchChanges = this.changes;
    this.#meta = searchQueueMeta(table) ?? nothing;
    this.#isStale = this.#meta.cursor !== cursor;
  }

  /** Drops the changes of a transaction that was aborted. */
  reload(): void {
    this.changes.rows.clear();
    this.#meta = searchQueueMeta(this.#table) ?? nothing;
    this.#firstRow = 0;
  }

  /** Has the next transaction begin the queue anew, since rows have gone without a word of it. */
  beginAnew(): void {
    this.#isStale = true;
  }

  /** Lets rows below a seq be removed: the index of this epoch has them durably. */
  trimBelow(epoch: number, seq: number): void {
    if (epoch === this.#meta.epoch) this.#trimBelow = Math.max(this.#trimBelow, Math.min(seq, this.#meta.nextSeq));
  }

  /** Writes what the transaction under way changed, at its end. */
  flush({ cursor, generation, nowMs }: Commit, rowsMax = searchQueueRowsMax): void {
    let { epoch, firstSeq, nextSeq } = this.#meta;
    for (const row of this.changes.rows) this.#table.put(seqKey(nextSeq++), Buffer.from(row, 'latin1'));
    const waiting = nextSeq - Math.max(firstSeq, this.#trimBelow);
    if (this.#isStale || generation !== this.#meta.generation || waiting > rowsMax) {
      epoch = Math.max(epoch + 1, nowMs);
      firstSeq = nextSeq;
    }
    this.#trim(Math.max(firstSeq, this.#trimBelow));
    writer.u8(metaVersion).u48(epoch).u48(firstSeq).u48(nextSeq).u48(cursor).u32(generation);
    this.#table.put(metaKey, writer.finish());
    this.#meta = { epoch, firstSeq, nextSeq, cursor, generation };
  }

  /** Says that the transaction is on disk. */
  committed(): void {
    this.changes.rows.clear();
    this.#isStale = false;
  }

  #trim(seq: number): void {
    if (this.#firstRow >= seq) return;
    const range = { start: seqKey(this.#firstRow), end: seqKey(seq), limit: trimRowsMax };
    const keys = [...this.#table.scanKeys(range)];
    for (const key of keys) this.#table.remove(key);
    const last = keys.at(-1);
    this.#firstRow = keys.length < trimRowsMax || last === undefined ? seq : new ByteReader(last, 1).u48() + 1;
  }
}
