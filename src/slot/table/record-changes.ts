/**
 * Which rows of records and counts commits have written or removed, to invalidate caches.
 *
 * A row is known by a hash, without its key. New rows are noted too: finding out whether there was
 * one before would cost more. Bounded: past `changedRecordsNamedMax` it says only that many rows
 * changed.
 */
import { xxh32 } from '../../base/xxh32.ts';

/** Only a long history that is applied at once changes more rows in one commit. */
export const changedRecordsNamedMax = 16_384;

/** Returns the hash that names a row. Two rows may share one, and are then invalidated together. */
export function hashOfRecordKey(key: Buffer): number {
  return xxh32(key) | 0;
}

/** Hashes of rows written since they were last taken. */
export class RecordChanges {
  #hashes = new Int32Array(16);
  #count = 0;
  #areTooMany = false;

  /** Notes a row that was put or removed. */
  note(key: Buffer): void {
    const hash = hashOfRecordKey(key);
    // A post's row is written twice in a row when its gates came before it.
    if (this.#areTooMany || (this.#count > 0 && this.#hashes[this.#count - 1] === hash)) return;
    if (this.#count === changedRecordsNamedMax) {
      this.#areTooMany = true;
      return;
    }
    if (this.#count === this.#hashes.length) {
      const grown = new Int32Array(this.#count * 2);
      grown.set(this.#hashes);
      this.#hashes = grown;
    }
    this.#hashes[this.#count++] = hash;
  }

  /** Returns the hashes noted, or null when there were too many, and clears them. */
  take(): Int32Array | null {
    const hashes = this.#areTooMany ? null : this.#hashes.slice(0, this.#count);
    this.#count = 0;
    this.#areTooMany = false;
    return hashes;
  }
}
