/**
 * A serving thread's cache by DID, bounded in bytes and looked up with the bytes of a request.
 *
 * Policy: two generations, which approximate LRU and write nothing on most hits. Entries are set in
 * the hot generation. When that holds half of the capacity it becomes the cold one, whose remaining
 * entries are evicted. A hit in the cold generation moves the entry to the hot one.
 *
 * Coherence: the caller of `invalidate` refreshes this thread's reads first, so that values set
 * afterwards are no older than the invalidation.
 */
import type { CacheStats } from './cache-stats.ts';
import { DidTable } from './did-table.ts';

/** The table's own memory for one DID. */
export const indexBytes = 128;
/** Entries above this share of the capacity are not cached, lest one of them evict all others. */
const largestShare = 1 / 16;

export type DidOwner = { readonly did: string; readonly slot: number; readonly owner: number };

export type GenerationalCacheOptions<Value> = {
  readonly capacityBytes: number;
  /** The least that a value takes; bounds the size of the tables. */
  readonly valueBytesMin: number;
  /** Infinity for values that are bounded otherwise and must all get an index. */
  readonly entryBytesMax?: number;
  /** Called when a value is set in the hot generation, for clients with arrays by index. */
  readonly onSet?: (index: number, value: Value) => void;
  /** Called when the value at an index in the hot generation is removed. */
  readonly onInvalidate?: (index: number) => void;
};

/** Returns a number for an owner of any slot, exact below 2^53. */
function ownerKeyOf(slot: number, owner: number): number {
  return slot * 2 ** 32 + owner;
}

export class GenerationalCache<Value> implements CacheStats {
  readonly capacityBytes: number;
  /** Exclusive upper bound of the indexes. */
  readonly entriesMax: number;
  readonly #generationBytesMax: number;
  readonly #entryBytesMax: number;
  readonly #onSet: ((index: number, value: Value) => void) | undefined;
  readonly #onInvalidate: ((index: number) => void) | undefined;
  #hot: DidTable<Value>;
  #cold: DidTable<Value>;
  hits = 0;
  misses = 0;
  evictions = 0;
  /** The number of swaps of the generations. A swap makes all indexes invalid. */
  generation = 0;

  constructor(options: GenerationalCacheOptions<Value>) {
    this.capacityBytes = options.capacityBytes;
    this.#generationBytesMax = options.capacityBytes / 2;
    this.#entryBytesMax = options.entryBytesMax ?? options.capacityBytes * largestShare;
    this.entriesMax = Math.max(1, Math.floor(this.#generationBytesMax / (indexBytes + options.valueBytesMin)));
    this.#onSet = options.onSet;
    this.#onInvalidate = options.onInvalidate;
    this.#hot = new DidTable(this.entriesMax);
    this.#cold = new DidTable(this.entriesMax);
  }

  get bytes(): number {
    return this.#hot.bytes + this.#cold.bytes;
  }

  /** Returns the value of the DID at `source[start..end)`, or undefined. */
  get(source: Buffer, start: number, end: number): Value | undefined {
    const hotIndex = this.#hot.indexOf(source, start, end);
    const value = hotIndex < 0 ? undefined : this.#hot.valueAt(hotIndex);
    if (value !== undefined) {
      this.hits++;
      return value;
    }
    const index = this.#promote(source, start, end);
    return index < 0 ? undefined : this.#hot.valueAt(index);
  }

  /** Returns the index of the DID at `source[start..end)`, or -1. May swap the generations. */
  indexOf(source: Buffer, start: number, end: number): number {
    const index = this.#hot.indexOf(source, start, end);
    if (index < 0 || this.#hot.valueAt(index) === undefined) return this.#promote(source, start, end);
    this.hits++;
    return index;
  }

  /**
   * Returns the index of the DID at `source[start..end)` if the hot generation has a value of it,
   * else -1. Moves nothing, and counts neither as a hit nor as a miss.
   */
  hotIndexOf(source: Buffer, start: number, end: number): number {
    const index = this.#hot.indexOf(source, start, end);
    return index >= 0 && this.#hot.valueAt(index) !== undefined ? index : -1;
  }

  /** Returns the value at an index of this generation; undefined for one that was invalidated. */
  valueAt(index: number): Value | undefined {
    return this.#hot.valueAt(index);
  }

  /** True when the DID has a value. Counts neither as a hit nor as a miss. */
  has(source: Buffer, start: number, end: number): boolean {
    return this.peek(source, start, end) !== undefined;
  }

  /** Returns the value of a DID, or undefined. Counts neither as a hit nor as a miss. */
  peek(source: Buffer, start: number, end: number): Value | undefined {
    return this.#valueIn(this.#hot, source, start, end) ?? this.#valueIn(this.#cold, source, start, end);
  }

  #valueIn(table: DidTable<Value>, source: Buffer, start: number, end: number): Value | undefined {
    const index = table.indexOf(source, start, end);
    return index < 0 ? undefined : table.valueAt(index);
  }

  /** Moves an entry from the cold generation to the hot one. Returns its index, or -1 on a miss. */
  #promote(source: Buffer, start: number, end: number): number {
    const coldIndex = this.#cold.indexOf(source, start, end);
    const entry = coldIndex < 0 ? undefined : this.#cold.remove(coldIndex);
    if (entry === undefined) {
      this.misses++;
      return -1;
    }
    this.hits++;
    this.#makeRoom(this.#hot.indexOf(source, start, end) < 0, entry.bytes);
    const index = this.#hot.add(source, start, end);
    this.#hot.put(index, entry);
    this.#onSet?.(index, entry.value);
    return index;
  }

  /** True when a value of this size is small enough to be cached. */
  admits(valueBytes: number): boolean {
    return indexBytes + valueBytes <= this.#entryBytesMax;
  }

  /** Sets the value of a DID. Returns its index, or -1 when it is too large to be cached. */
  set({ did, slot, owner }: DidOwner, value: Value, valueBytes: number): number {
    const source = Buffer.from(did, 'latin1');
    const known = this.#hot.indexOf(source, 0, source.length);
    const wasSet = this.#hot.remove(known) !== undefined;
    this.#cold.remove(this.#cold.indexOf(source, 0, source.length));
    if (!this.admits(valueBytes)) {
      if (wasSet) this.#onInvalidate?.(known);
      return -1;
    }
    const bytes = indexBytes + valueBytes;
    this.#makeRoom(known < 0, bytes);
    const index = this.#hot.add(source, 0, source.length);
    this.#hot.put(index, { value, ownerKey: ownerKeyOf(slot, owner), bytes });
    this.#onSet?.(index, value);
    return index;
  }

  /** Swaps the generations when the hot one has no room for an entry. */
  #makeRoom(isNew: boolean, bytes: number): void {
    const hot = this.#hot;
    const isOver = hot.count > 0 && hot.bytes + bytes > this.#generationBytesMax;
    if (!isOver && !(isNew && hot.isFull)) return;
    this.#hot = this.#cold;
    this.#cold = hot;
    this.evictions += this.#hot.count;
    this.#hot.clear();
    this.generation++;
  }

  /** Removes all values, which makes all indexes invalid. */
  clear(): void {
    this.#hot.clear();
    this.#cold.clear();
    this.generation++;
  }

  invalidate(slot: number, owners: readonly number[]): void {
    for (const owner of owners) {
      const ownerKey = ownerKeyOf(slot, owner);
      this.#cold.remove(this.#cold.indexOfOwner(ownerKey));
      const index = this.#hot.indexOfOwner(ownerKey);
      if (index >= 0 && this.#hot.remove(index) !== undefined) this.#onInvalidate?.(index);
    }
  }
}
