/**
 * The log of one slot as a table of the slot's own environment: seq of a chunk's first entry →
 * append time and chunk.
 *
 * Owns: positions, reading from a position, trimming. Every write happens inside the transaction of
 * whoever applies, so that append and apply share one commit. Refuses: nothing but positions that
 * do not ascend.
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import type { Row, Table } from '../storage/environment.ts';
import { type Chunk, readChunk, readChunkHead } from './chunk.ts';

/** A chunk in the log: its entries have the seqs `firstSeq` to `firstSeq + items.length - 1`. */
export type LoggedChunk = { readonly firstSeq: number; readonly appendMs: number; readonly chunk: Chunk };

/** Bytes of applied entries that a log keeps behind its cursor, for moves and for study. */
export const logRetainedBytesMax = 64 * 2 ** 10;
/** Marks, which are a seq and 20 bits, fit 53 bits. */
const seqMax = 2 ** 33;

const keyWriter = new ByteWriter(8);

function seqKey(seq: number): Buffer {
  return keyWriter.u48(seq).finish();
}

const firstKey = seqKey(0);
const endKey = seqKey(2 ** 48 - 1);

/** Behind the append time the chunk begins. */
const chunkStart = 6;

function lastSeqOfRow({ key, value }: Row): number {
  return new ByteReader(key).u48() + readChunkHead(value.subarray(chunkStart)).itemCount - 1;
}

function chunkOfRow({ key, value }: Row): LoggedChunk {
  const reader = new ByteReader(value);
  const appendMs = reader.u48();
  return { firstSeq: new ByteReader(key).u48(), appendMs, chunk: readChunk(reader.rest()) };
}

export class EmbeddedLog {
  readonly #table: Table;
  /** Rows in the table, oldest first: what trimming needs to know. */
  #rows: { seq: number; bytes: number }[] = [];
  #retainedBytes = 0;
  #head = 0;

  constructor(table: Table) {
    this.#table = table;
    this.reload();
  }

  /** Reads positions and sizes anew, after opening and after an aborted transaction. */
  reload(): void {
    this.#rows = [];
    this.#retainedBytes = 0;
    this.#head = 0;
    for (const row of this.#table.scan({ start: firstKey, end: endKey })) {
      this.#rows.push({ seq: new ByteReader(row.key).u48(), bytes: row.value.length });
      this.#retainedBytes += row.value.length;
      this.#head = lastSeqOfRow(row);
    }
  }

  /** Seq of the last entry; 0 when the log is empty and always was. */
  get head(): number {
    return this.#head;
  }

  /** Raises the head to a cursor whose entries have all been trimmed. */
  atLeast(seq: number): void {
    this.#head = Math.max(this.#head, seq);
  }

  /** Appends one chunk inside the current transaction. Returns the seq of its first entry. */
  append(bytes: Uint8Array, entryCount: number, appendMs: number): number {
    const firstSeq = this.#head + 1;
    invariant(firstSeq + entryCount < seqMax, 'a log stays below 2^33 entries');
    const value = Buffer.allocUnsafe(chunkStart + bytes.length);
    value.writeUIntBE(appendMs, 0, 6);
    value.set(bytes, chunkStart);
    this.#table.put(seqKey(firstSeq), value);
    this.#rows.push({ seq: firstSeq, bytes: value.length });
    this.#retainedBytes += value.length;
    this.#head += entryCount;
    return firstSeq;
  }

  /** Returns the chunks that hold entries above `cursor` (exclusive). */
  readAbove(cursor: number): LoggedChunk[] {
    const chunks: LoggedChunk[] = [];
    for (const row of this.#table.scan({ start: firstKey, end: endKey })) {
      if (lastSeqOfRow(row) > cursor) chunks.push(chunkOfRow(row));
    }
    return chunks;
  }

  /**
   * Drops the oldest applied rows beyond what is retained, inside the current transaction. `cursor`
   * is inclusive.
   */
  trim(cursor: number): void {
    let dropped = 0;
    while (this.#retainedBytes > logRetainedBytesMax) {
      const row = this.#rows[dropped];
      const next = this.#rows[dropped + 1];
      if (row === undefined || next === undefined || next.seq - 1 > cursor) break;
      this.#table.remove(seqKey(row.seq));
      this.#retainedBytes -= row.bytes;
      dropped++;
    }
    if (dropped > 0) this.#rows.splice(0, dropped);
  }
}
