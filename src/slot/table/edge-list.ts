/**
 * The edges that a walk has read, side by side in memory that the next walk reuses: no object and
 * no buffer for each.
 */
import { ByteWriter } from '../../base/bytes.ts';
import { putTimeAt, timeAt, timeBytes } from '../../base/time-bytes.ts';
import type { LentRow } from '../../storage/row-cursor.ts';
import { keyHeadBytes } from './slot-state.ts';

/** Key head and collection, which precede the rkey in a record key. */
export const recordPrefixBytes: number = keyHeadBytes + 1;

/** Edges by index, as they were added. */
export class EdgeList {
  count = 0;
  readonly #bytes = new ByteWriter(32 * 1024);
  #sortMs = new Float64Array(512);
  #rkeyAt = new Int32Array(512);
  #subjectAt = new Int32Array(512);

  clear(): this {
    this.count = 0;
    this.#bytes.clear();
    return this;
  }

  /** Rkeys and subjects. Valid until the next edge is added. */
  get bytes(): Buffer {
    return this.#bytes.buffer;
  }

  /** Units: ms. */
  sortMs(edge: number): number {
    return this.#sortMs[edge]!;
  }

  /** Where an edge's rkey begins in `bytes`. */
  rkeyAt(edge: number): number {
    return this.#rkeyAt[edge]!;
  }

  /** Where an edge's subject begins in `bytes`, which is where its rkey ends. */
  subjectAt(edge: number): number {
    return this.#subjectAt[edge]!;
  }

  /** Returns the key of an edge in the `edgeByTime` table. */
  key(edge: number, prefix: Buffer): Buffer {
    const restAt = prefix.length + timeBytes;
    const [start, end] = [this.rkeyAt(edge), this.subjectAt(edge)];
    const key = Buffer.allocUnsafe(restAt + end - start);
    prefix.copy(key);
    putTimeAt(key, prefix.length, this.sortMs(edge));
    this.bytes.copy(key, restAt, start, end);
    return key;
  }

  /** Adds the edge of a record row, whose subject is its body. Returns its index. */
  addRecord({ key, keyLength, value }: LentRow, sortMs: number, bodyAt: number): number {
    const edge = this.#begin(sortMs);
    this.#bytes.few(key, recordPrefixBytes, keyLength);
    this.#subjectAt[edge] = this.#bytes.length;
    this.#bytes.few(value, bodyAt, value.length);
    return edge;
  }

  /** Adds the edge of an `edgeByTime` row, whose time follows `prefixLength` bytes of its key. */
  addTimed({ key, keyLength, value }: LentRow, prefixLength: number): number {
    const edge = this.#begin(timeAt(key, prefixLength));
    this.#bytes.few(key, prefixLength + timeBytes, keyLength);
    this.#subjectAt[edge] = this.#bytes.length;
    this.#bytes.few(value, 0, value.length);
    return edge;
  }

  /** Orders edges newest first: below 0 when `a` comes first, and 0 for one key. */
  compare(a: number, b: number): number {
    const ms = this.#sortMs[b]! - this.#sortMs[a]!;
    if (ms !== 0) return ms;
    const { buffer } = this.#bytes;
    const startOfA = this.#rkeyAt[a]!;
    const startOfB = this.#rkeyAt[b]!;
    const lengthOfA = this.#subjectAt[a]! - startOfA;
    const lengthOfB = this.#subjectAt[b]! - startOfB;
    for (let index = 0; index < lengthOfA && index < lengthOfB; index++) {
      const difference = buffer[startOfB + index]! - buffer[startOfA + index]!;
      if (difference !== 0) return difference;
    }
    return lengthOfB - lengthOfA;
  }

  #begin(sortMs: number): number {
    const edge = this.count++;
    if (edge === this.#sortMs.length) this.#grow();
    this.#sortMs[edge] = sortMs;
    this.#rkeyAt[edge] = this.#bytes.length;
    return edge;
  }

  #grow(): void {
    const capacity = 2 * this.count;
    const [sortMs, rkeyAt, subjectAt] = [this.#sortMs, this.#rkeyAt, this.#subjectAt];
    this.#sortMs = new Float64Array(capacity);
    this.#sortMs.set(sortMs);
    this.#rkeyAt = new Int32Array(capacity);
    this.#rkeyAt.set(rkeyAt);
    this.#subjectAt = new Int32Array(capacity);
    this.#subjectAt.set(subjectAt);
  }
}
