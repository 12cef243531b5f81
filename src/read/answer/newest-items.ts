/**
 * The newest items of many authors: a top-K heap whose root is the last of the newest K so far.
 *
 * Order: sort time descending, then the author's URIs descending, then the author's own order.
 */
import type { CachedAuthor } from '../cache/feed-cache.ts';
import type { FeedRun } from '../lookup/feed-run.ts';

/** Keeps the first `limit` of the added items. Reused for all pages. */
export class NewestItems {
  /** Entries in heap order while items are added, in page order after `finish`. */
  readonly #entries: Int32Array;
  readonly #sortMs: Float64Array;
  readonly #authors: CachedAuthor[];
  readonly #runs: FeedRun[];
  readonly #positions: Int32Array;
  /** The order of adding, which one author's items of a millisecond keep. */
  readonly #sequences: Int32Array;
  #limit = 0;
  #sequence = 0;
  onlyPosts = false;
  size = 0;
  /** Older items cannot enter the page. Units: ms. */
  lastMs = Number.NEGATIVE_INFINITY;

  /** No page's limit is greater than `limitMax`. */
  constructor(limitMax: number) {
    this.#entries = new Int32Array(limitMax);
    this.#sortMs = new Float64Array(limitMax);
    this.#authors = new Array<CachedAuthor>(limitMax);
    this.#runs = new Array<FeedRun>(limitMax);
    this.#positions = new Int32Array(limitMax);
    this.#sequences = new Int32Array(limitMax);
  }

  /** Reposts are left out with `onlyPosts`. */
  begin(limit: number, onlyPosts = false): this {
    this.#limit = limit;
    this.onlyPosts = onlyPosts;
    this.#sequence = 0;
    this.size = 0;
    this.lastMs = limit > 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    return this;
  }

  /** True when entry `a` comes after entry `b`. */
  #isAfter(a: number, b: number): boolean {
    const timeA = this.#sortMs[a]!;
    const timeB = this.#sortMs[b]!;
    if (timeA !== timeB) return timeA < timeB;
    const authorA = this.#authors[a]!;
    const authorB = this.#authors[b]!;
    if (authorA !== authorB) return authorA.uriHead < authorB.uriHead;
    return this.#sequences[a]! > this.#sequences[b]!;
  }

  /** Adds an item, an author's newest first. Returns false when it comes after a full page. */
  add(author: CachedAuthor, run: FeedRun, position: number): boolean {
    const sortMs = run.sortMs[position]!;
    if (this.size < this.#limit) {
      const entry = this.size++;
      this.#set(entry, sortMs, author, run, position);
      this.#siftUp(entry);
      if (this.size === this.#limit) this.lastMs = this.#sortMs[this.#entries[0]!]!;
      return true;
    }
    if (sortMs < this.lastMs || this.#limit === 0) return false;
    const last = this.#entries[0]!;
    const lastAuthor = this.#authors[last]!;
    if (sortMs === this.lastMs && (author === lastAuthor || author.uriHead < lastAuthor.uriHead)) return false;
    this.#set(last, sortMs, author, run, position);
    this.#siftDown(last, this.size);
    this.lastMs = this.#sortMs[this.#entries[0]!]!;
    return true;
  }

  #set(entry: number, sortMs: number, author: CachedAuthor, run: FeedRun, position: number): void {
    this.#sortMs[entry] = sortMs;
    this.#authors[entry] = author;
    this.#runs[entry] = run;
    this.#positions[entry] = position;
    this.#sequences[entry] = this.#sequence++;
  }

  /** Adds an entry at the end of the heap and moves it up. */
  #siftUp(entry: number): void {
    const entries = this.#entries;
    let at = this.size - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isAfter(entry, entries[parent]!)) break;
      entries[at] = entries[parent]!;
      at = parent;
    }
    entries[at] = entry;
  }

  /** Replaces the root of the first `size` entries and moves the new entry down the heap. */
  #siftDown(entry: number, size: number): void {
    const entries = this.#entries;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= size) break;
      if (child + 1 < size && this.#isAfter(entries[child + 1]!, entries[child]!)) child++;
      if (!this.#isAfter(entries[child]!, entry)) break;
      entries[at] = entries[child]!;
      at = child;
    }
    entries[at] = entry;
  }

  /** Sorts the page by heapsort. */
  finish(): this {
    const entries = this.#entries;
    for (let size = this.size - 1; size > 0; size--) {
      const last = entries[0]!;
      this.#siftDown(entries[size]!, size);
      entries[size] = last;
    }
    return this;
  }

  /** Calls `write` with each item of a finished page, in order. */
  forEach(write: (author: CachedAuthor, run: FeedRun, position: number) => void): void {
    for (let rank = 0; rank < this.size; rank++) {
      const entry = this.#entries[rank]!;
      write(this.#authors[entry]!, this.#runs[entry]!, this.#positions[entry]!);
    }
  }
}
