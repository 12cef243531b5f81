/**
 * The log of one slot in a table of the slot's environment: seq of a chunk's first entry → append
 * time and chunk.
 *
 * Owns: sequence numbers and trimming. Writes happen in the transaction that applies, so that
 * append and apply commit together.
 */
import { ByteReader, sharedWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { timeBytes } from '../base/time-bytes.ts';
import type { Row, Table } from '../storage/environment.ts';
import { type Chunk, readChunk, readChunkHead } from './chunk.ts';

/** The entries have the seqs `firstSeq` to `firstSeq + items.length - 1`. */
export type LoggedChunk = { readonly firstSeq: number; readonly appendMs: number; readonly chunk: Chunk };

/** Applied entries that a log retains for moves and for debugging. */
export const logRetainedBytesMax = 64 * 2 ** 10;
/** A mark is a seq and 20 bits, and fits in 53 bits. */
const seqMax = 2 ** 33;

const keyWriter = sharedWriter(8);

function seqKey(seq: number): Buffer {
  return keyWriter.u48(seq).finish();
}

const firstKey = seqKey(0);
const endKey = seqKey(2 ** 48 - 1);

/** The chunk follows the append time. */
const chunkStart = timeBytes;

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
  /** The rows of the table, oldest first, for trimming. */
  #rows: { seq: number; bytes: number }[] = [];
  #retainedBytes = 0;
  #head = 0;

  constructor(table: Table) {
    this.#table = table;
    this.reload();
  }

  /** Reads the rows again; needed after an aborted transaction. */
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

  /** The seq of the last entry; 0 if there never was one. */
  get head(): number {
    return this.#head;
  }

  /** Raises the head to a cursor whose entries were all trimmed. */
  atLeast(seq: number): void {
    this.#head = Math.max(this.#head, seq);
  }

  /** Appends a chunk in the current transaction. Returns the seq of its first entry. */
  append(bytes: Uint8Array, entryCount: number, appendMs: number): number {
    const firstSeq = this.#head + 1;
    invariant(firstSeq + entryCount < seqMax, 'a log stays below 2^33 entries');
    const value = Buffer.allocUnsafe(chunkStart + bytes.length);
    value.writeUIntBE(appendMs, 0, timeBytes);
    value.set(bytes, chunkStart);
    this.#table.put(seqKey(firstSeq), value);
    this.#rows.push({ seq: firstSeq, bytes: value.length });
    this.#retainedBytes += value.length;
    this.#head += entryCount;
    return firstSeq;
  }

  /** Returns the chunks with entries above `cursor`, exclusive. */
  readAbove(cursor: number): LoggedChunk[] {
    const chunks: LoggedChunk[] = [];
    for (const row of this.#table.scan({ start: firstKey, end: endKey })) {
      if (lastSeqOfRow(row) > cursor) chunks.push(chunkOfRow(row));
    }
    return chunks;
  }

  /** Removes old rows up to `cursor`, inclusive, above `logRetainedBytesMax`. */
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
