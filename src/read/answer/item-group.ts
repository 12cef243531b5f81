/**
 * Consecutive items of a request that are looked up in the cache of records, whose memory is asked
 * for at once: most of a look-up is waiting for memory. Few enough that none of it is evicted
 * before it is used.
 */
import type { FieldScanner } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import type { RecordCache } from '../cache/record-cache.ts';
import { touchedDidsMax as groupMax } from '../lookup/owner-finder.ts';
import type { RowFinder } from '../lookup/row-finder.ts';

/** Longer keys get memory of their own each time. Units: bytes. */
const usualKeyBytesMax = 16;

/** Returns the key of the item at `start..end`, as a RowFinder does, if it has any. */
type KeyOf = (start: number, end: number) => Buffer | undefined;

export class ItemGroup {
  size = 0;
  /** The ranges of the items, which are URIs or DIDs. */
  readonly starts = new Int32Array(groupMax);
  readonly ends = new Int32Array(groupMax);
  readonly #finder: RowFinder;
  readonly #cache: RecordCache;
  readonly #keys = new Array<Buffer | undefined>(groupMax).fill(undefined);
  readonly #states = new Array<SlotState | undefined>(groupMax).fill(undefined);
  readonly #hashes = new Int32Array(groupMax);
  readonly #touched = new Int32Array(groupMax);
  /** Memory for keys of usual lengths, by item and length, once there was one. */
  readonly #usualKeys = new Array<Buffer | undefined>(groupMax * (usualKeyBytesMax + 1)).fill(undefined);

  constructor(finder: RowFinder, cache: RecordCache) {
    this.#finder = finder;
    this.#cache = cache;
  }

  /**
   * Takes the next items, of field `number` of a request; with `ofRef` these are the URIs of
   * RecordRefs. Returns false at the end.
   */
  take(request: Buffer, scanner: FieldScanner, number: number, keyOf: KeyOf, ofRef?: FieldScanner): boolean {
    let size = 0;
    while (size < groupMax && scanner.nextOf(number)) {
      const item = ofRef?.reset(request, scanner.start, scanner.end) ?? scanner;
      ofRef?.lastOf(fieldNumber.RecordRef.uri);
      this.starts[size] = item.start;
      this.ends[size++] = item.end;
    }
    this.locate(request, size, keyOf);
    return size > 0;
  }

  /** Finds the keys of the first `size` items, whose `starts` and `ends` are set. */
  locate(source: Buffer, size: number, keyOf: KeyOf): void {
    this.size = size;
    const { starts, ends } = this;
    const finder = this.#finder;
    finder.touchOwners(source, starts, ends, size);
    let found = 0;
    for (let item = 0; item < size; item++) {
      const key = keyOf(starts[item]!, ends[item]!);
      if (key === undefined) {
        this.#keys[item] = undefined;
        continue;
      }
      const { state } = finder;
      this.#states[item] = state;
      this.#keys[item] = this.#own(item, key);
      const hash = this.#cache.hashOf(state, key);
      this.#hashes[item] = hash;
      this.#touched[found++] = hash;
    }
    this.#cache.touch(this.#touched, found);
  }

  /** The next key of the finder overwrites a key. */
  #own(item: number, key: Buffer): Buffer {
    if (key.length > usualKeyBytesMax) return Buffer.from(key);
    const usual = item * (usualKeyBytesMax + 1) + key.length;
    const copy = this.#usualKeys[usual] ?? Buffer.allocUnsafeSlow(key.length);
    this.#usualKeys[usual] = copy;
    for (let at = 0; at < copy.length; at++) copy[at] = key[at]!;
    return copy;
  }

  /** Returns the key of an item, valid until the next `locate`. */
  key(item: number): Buffer | undefined {
    return this.#keys[item];
  }

  /** Returns the slot of an item that has a key. */
  state(item: number): SlotState {
    return this.#states[item]!;
  }

  /** Returns the cache's hash of an item that has a key. */
  hash(item: number): number {
    return this.#hashes[item]!;
  }
}
