/**
 * The log of one slot in a table of the slot's environment: seq of a chunk's first entry → append
 * time and chunk.
 *
 * Owns: sequence numbers, trimming, and the chunks that wait in memory. These are in the log once
 * they are entered, in the transaction that applies, so that append and apply commit together.
 */
import { ByteReader, sharedWriter } from '../base/bytes.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { invariant } from '../base/invariant.ts';
import { timeBytes } from '../base/time-bytes.ts';
import type { Row, Table } from '../storage/environment.ts';
import { type ChunkOutcome, readChunk, readChunkHead } from './chunk.ts';
import { readPosition } from './log-position.ts';
import type { AppendedChunk, LoggedChunk, ReadChunk, SlotLog } from './slot-log.ts';

/** Applied entries that a log retains for moves and for debugging. */
export const logRetainedBytesMax = 64 * 2 ** 10;
/** A mark is a seq and 20 bits, and fits in 53 bits. */
const seqMax = 2 ** 33;

const serverHint =
  'Start it with the --log that it had before; or stop the whole cluster, and carry its log over with `skyshard log migrate folders` and that --log.';

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

/** Returns when the last chunk was appended that the table holds; 0 for none. */
export function lastAppendMs(table: Table): number {
  const [last] = table.scan({ start: endKey, end: firstKey, isReverse: true, limit: 1 });
  return last === undefined ? 0 : chunkOfRow(last).appendMs;
}

/** Removes all chunks in the current transaction, and leaves what says of other homes. */
export function clearLog(table: Table): void {
  for (const { key } of table.scan({ start: firstKey, end: endKey })) table.remove(key);
}

export class EmbeddedLog implements SlotLog {
  readonly isEmbedded = true;
  readonly problem = null;
  readonly messages = null;
  readonly #table: Table;
  /** Appended and not yet read, oldest first. */
  #waiting: AppendedChunk[] = [];
  readableBytes = 0;
  readableEntries = 0;
  #onReadable: (withinMs: number | undefined) => void = () => {};
  /** The rows of the table, oldest first, for trimming. */
  #rows: { seq: number; bytes: number }[] = [];
  #retainedBytes = 0;
  #head = 0;

  /**
   * `cursor` is the slot's: the entries up to there may all have been trimmed.
   *
   * Errors: DataPlaneError `ConfigInvalid` for a slot whose log is on a server.
   */
  constructor(table: Table, cursor: number) {
    this.#table = table;
    if (readPosition(table) !== undefined) {
      throw new DataPlaneError('ConfigInvalid', 'the log of a slot is on a server, not in its folder', {
        hint: serverHint,
      });
    }
    this.reload(cursor);
  }

  reload(cursor: number): void {
    this.#rows = [];
    this.#retainedBytes = 0;
    this.#head = 0;
    for (const row of this.#table.scan({ start: firstKey, end: endKey })) {
      this.#rows.push({ seq: new ByteReader(row.key).u48(), bytes: row.value.length });
      this.#retainedBytes += row.value.length;
      this.#head = lastSeqOfRow(row);
    }
    this.#head = Math.max(this.#head, cursor);
  }

  get head(): number {
    return this.#head;
  }

  behindMs(): number {
    return 0;
  }

  append(chunk: AppendedChunk): void {
    this.#waiting.push(chunk);
    this.readableBytes += chunk.bytes.length;
    this.readableEntries += chunk.entryCount;
    this.#onReadable(chunk.withinMs);
  }

  wait(onReadable: (withinMs: number | undefined) => void): void {
    this.#onReadable = onReadable;
  }

  read(bytesMax: number, nowMs: number): ReadChunk[] {
    let bytes = 0;
    let count = 0;
    while (count < this.#waiting.length && (count === 0 || bytes < bytesMax)) {
      const chunk = this.#waiting[count++]!;
      bytes += chunk.bytes.length;
      this.readableEntries -= chunk.entryCount;
    }
    this.readableBytes -= bytes;
    const chunks = this.#waiting.splice(0, count);
    return chunks.map((chunk) => ({ ...chunk, appendMs: nowMs, position: 0 }));
  }

  putBack(chunks: readonly ReadChunk[]): void {
    const back = chunks as readonly (ReadChunk & AppendedChunk)[];
    this.#waiting.unshift(...back);
    for (const { bytes, entryCount } of back) {
      this.readableBytes += bytes.length;
      this.readableEntries += entryCount;
    }
  }

  /** Nobody appends but by the slot's node. */
  noteSplit(): Promise<void> {
    return Promise.resolve();
  }

  /** Their senders send them again: they are not in the log. */
  takeBack(chunks: readonly ReadChunk[], outcome: ChunkOutcome): void {
    for (const { onOutcome } of chunks) onOutcome(outcome);
  }

  enter({ bytes }: ReadChunk, entryCount: number, appendMs: number): number {
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

  /** It was never in the log. */
  pass(): void {}

  committed(): void {}

  refresh(): Promise<void> {
    return Promise.resolve();
  }

  entered(cursor: number): LoggedChunk[] {
    const chunks: LoggedChunk[] = [];
    for (const row of this.#table.scan({ start: firstKey, end: endKey })) {
      if (lastSeqOfRow(row) > cursor) chunks.push(chunkOfRow(row));
    }
    return chunks;
  }

  /** Retains `logRetainedBytesMax` of what is applied. */
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

  close(outcome: ChunkOutcome): void {
    for (const { onOutcome } of this.#waiting.splice(0)) onOutcome(outcome);
    this.#onReadable = () => {};
  }
}
