/**
 * Caches the newest feed items of authors, for timelines.
 *
 * A timeline asks hundreds of authors for items newer than most of them have. A range scan for that
 * costs a hundred times as much as a look at an array, so the item times of the hot generation's
 * authors are in flat arrays by cache index.
 */
import { nsid } from '../../atproto/collection.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { type FeedRun, joinedRuns, nextMsMax, readFeedRun } from '../lookup/feed-run.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import { GenerationalCache } from './generational-cache.ts';

/** Rows of an author that are cached at first, and at most once pages need more. */
const rowsPerAuthor = { first: 16, max: 256 } as const;
/** The first times of an author that are in a flat array. */
const timesPerAuthor = rowsPerAuthor.first;
/** An author without items: objects, strings, and its part of the flat arrays. */
const authorBytes = 720;
/** An item's time and offsets, without its key and value. */
const itemBytes = 44;

export type CachedAuthor = {
  readonly did: string;
  /** The beginning of the URIs of the author's posts. */
  readonly postHead: Buffer;
  readonly state: SlotState;
  readonly owner: number;
  /** The author's newest items. A longer run begins with the same ones. */
  run: FeedRun;
};

const postPath = `${nsid.post}/`;

/** Returns how many bytes of `postHead` all URIs of an author begin with. */
export function uriHeadBytes({ postHead }: CachedAuthor): number {
  return postHead.length - postPath.length;
}

/** True when the URIs of author `a` come after those of author `b`. */
export function isUriAfter(a: CachedAuthor, b: CachedAuthor): boolean {
  return a.postHead.compare(b.postHead) > 0;
}

function bytesOf({ run }: CachedAuthor): number {
  return authorBytes + run.bytes.length + itemBytes * run.sortMs.length;
}

export class FeedCache {
  /** Of all serving threads of a node. */
  static readonly capacityBytes = 128 * 2 ** 20;
  readonly #lookup: SlotLookup;
  readonly cache: GenerationalCache<CachedAuthor>;
  /** An upper bound of each author's item times, by index: +Infinity if unknown. Units: ms. */
  readonly newestMs: Float64Array;
  /**
   * Times of each author's items, newest first, by index times `timesPerAuthor`. Where fewer are
   * cached, the next one is -Infinity if there are no more, else NaN. Units: ms.
   */
  readonly #times: Float64Array;

  constructor(lookup: SlotLookup, capacityBytes: number) {
    this.#lookup = lookup;
    this.cache = new GenerationalCache({
      capacityBytes,
      valueBytesMin: authorBytes,
      // `rowsPerAuthor` bounds the values.
      entryBytesMax: Number.POSITIVE_INFINITY,
      onSet: (index, { run }) => this.#setTimes(index, run),
      onInvalidate: (index) => {
        this.newestMs[index] = Number.POSITIVE_INFINITY;
      },
    });
    this.newestMs = new Float64Array(this.cache.entriesMax);
    this.#times = new Float64Array(this.cache.entriesMax * timesPerAuthor);
  }

  #setTimes(index: number, run: FeedRun): void {
    const { sortMs, next } = run;
    this.newestMs[index] = sortMs[0] ?? nextMsMax(run);
    const base = index * timesPerAuthor;
    const count = Math.min(sortMs.length, timesPerAuthor);
    for (let position = 0; position < count; position++) this.#times[base + position] = sortMs[position]!;
    if (count < timesPerAuthor) this.#times[base + count] = next === null ? Number.NEGATIVE_INFINITY : Number.NaN;
  }

  /**
   * Returns the position of the author's first item at `timeMs` or earlier, as far as the flat
   * array tells, else -1.
   */
  positionAt(index: number, timeMs: number): number {
    const times = this.#times;
    const base = index * timesPerAuthor;
    for (let at = base; at < base + timesPerAuthor; at++) {
      const itemMs = times[at]!;
      if (itemMs <= timeMs) return at - base;
      if (Number.isNaN(itemMs)) return -1;
    }
    return -1;
  }

  /** Returns the time of the item at a position that `positionAt` returned; -Infinity for none. */
  timeAt(index: number, position: number): number {
    return this.#times[index * timesPerAuthor + position]!;
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
    const run = readFeedRun(state, owner, null, null, rowsPerAuthor.first);
    const author = { did, postHead: Buffer.from(`at://${did}/${postPath}`), state, owner, run };
    return this.cache.set({ did, slot: state.index, owner }, author, bytesOf(author));
  }

  /**
   * Returns a longer run of the author, which is cached, after `run`; null if the cache holds no
   * longer ones. May swap generations.
   */
  longerRun(author: CachedAuthor, run: FeedRun): FeedRun | null {
    // Another read may have needed it meanwhile.
    if (author.run.rows > run.rows) return author.run;
    if (run.next === null || run.rows >= rowsPerAuthor.max) return null;
    const { did, state, owner } = author;
    author.run = joinedRuns(run, readFeedRun(state, owner, run.next, run.next, run.rows));
    const source = Buffer.from(did);
    // A commit may have invalidated the author while a read held on to it.
    if (this.cache.peek(source, 0, source.length) === author)
      this.cache.set({ did, slot: state.index, owner }, author, bytesOf(author));
    return author.run;
  }
}
