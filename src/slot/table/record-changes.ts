/**
 * Which rows of records and of their counts commits wrote or removed: what whoever remembers rows must forget.
 *
 * Owns: one hash a row, by which the row is found again without its key. Rows that are new are noted too, since a look whether there was one
 * before would cost more than a note. Bounded: past `namedMax` it says only that many rows changed.
 */
import { xxh32 } from '../../base/xxh32.ts';

/** Rows that are named one by one. More in one commit come of long histories that are read in. */
export const changedRecordsNamedMax = 16_384;

/** Returns the hash by which a row is named. Two rows may share one; forgetting then forgets both. */
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
    // A post's row is written again at once when the post finds its gates in place.
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

  /** Returns the hashes noted, null when there were too many, and starts anew. */
  take(): Int32Array | null {
    const hashes = this.#areTooMany ? null : this.#hashes.slice(0, this.#count);
    this.#count = 0;
    this.#areTooMany = false;
    return hashes;
  }
}
