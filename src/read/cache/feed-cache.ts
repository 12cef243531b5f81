/**
 * Caches the newest feed items of authors, for timelines.
 *
 * A timeline asks hundreds of authors for items newer than most of them have. A range scan for that
 * costs a hundred times as much as a look at an array, so the item times of the hot generation's
 * authors are in flat arrays by cache index.
 */
import type { SlotState } from '../../slot/table/slot-state.ts';
import { type FeedRun, readFeedRun } from '../lookup/feed-run.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import { GenerationalCache } from './generational-cache.ts';

export const itemsPerAuthor = 24;
/** An author without items: objects, strings, and its part of the flat arrays. */
const authorBytes = 720;
/** An item's time and offsets, without its key and value. */
const itemBytes = 44;

export type CachedAuthor = {
  readonly did: string;
  /** The beginning of the author's URIs; authors are in its order. */
  readonly uriHead: string;
  readonly state: SlotState;
  readonly owner: number;
  readonly run: FeedRun;
};

export class FeedCache {
  /** Of all serving threads of a node. */
  static readonly capacityBytes = 128 * 2 ** 20;
  readonly #lookup: SlotLookup;
  readonly cache: GenerationalCache<CachedAuthor>;
  /** Times of each author's items, newest first, by index times `itemsPerAuthor`. Units: ms. */
  readonly times: Float64Array;
  /** The number of these times, by index. */
  readonly counts: Uint8Array;
  /** An upper bound of each author's item times, by index: +Infinity if unknown. Units: ms. */
  readonly newestMs: Float64Array;

  constructor(lookup: SlotLookup, capacityBytes: number) {
    this.#lookup = lookup;
    this.cache = new GenerationalCache({
      capacityBytes,
      valueBytesMin: authorBytes,
      // `itemsPerAuthor` bounds the values.
      entryBytesMax: Number.POSITIVE_INFINITY,
      onSet: (index, author) => this.#setTimes(index, author.run),
      onInvalidate: (index) => {
        this.newestMs[index] = Number.POSITIVE_INFINITY;
      },
    });
    this.times = new Float64Array(this.cache.entriesMax * itemsPerAuthor);
    this.counts = new Uint8Array(this.cache.entriesMax);
    this.newestMs = new Float64Array(this.cache.entriesMax);
  }

  /**
   * Returns the index of the author at `source[start..end)`; -1 for an unknown one.
   *
   * Shape: valid until the next call, which may swap generations. Errors: `WrongEpoch`.
   */
  indexOf(source: Buffer, start: number, end: number): number {
    const index = this.cache.indexOf(source, start, end);
    return index >= 0 ? index : this.#fill(source.latin1Slice(start, end));
  }

  #fill(did: string): number {
    const state = this.#lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner === undefined) return -1;
    const run = readFeedRun(state, owner, null, null, itemsPerAuthor);
    const bytes = authorBytes + run.bytes.length + itemBytes * run.sortMs.length;
    const author = { did, uriHead: `at://${did}/`, state, owner, run };
    return this.cache.set({ did, slot: state.index, owner }, author, bytes);
  }

  #setTimes(index: number, { sortMs, next }: FeedRun): void {
    this.counts[index] = sortMs.length;
    this.times.set(sortMs, index * itemsPerAuthor);
    this.newestMs[index] = sortMs[0] ?? (next === null ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY);
  }
}
