/**
 * A page's candidates from many authors: a heap whose top is the last of the newest items so far.
 *
 * Order: sort time descending, then the author's URIs descending as text, then the author's own order.
 */
import type { KnownAuthor } from '../cache/author-table.ts';
import type { FeedRun } from '../lookup/feed-run.ts';

/** Takes items and keeps the first `limit` of them; used for one page after the other. */
export class NewestItems {
  /** Entries by their rank while items are put in, and in the page's order once it is finished. */
  readonly #entries: Int32Array;
  readonly #sortMs: Float64Array;
  readonly #authors: KnownAuthor[];
  readonly #runs: FeedRun[];
  readonly #positions: Int32Array;
  /** Rises with each item that is put in, so that one author's items of one millisecond keep their order. */
  readonly #turns: Int32Array;
  #limit = 0;
  #turn = 0;
  size = 0;
  /** The sort time that an item must at least have to matter. Units: ms. */
  lastMs = Number.NEGATIVE_INFINITY;

  /** `limitMax` bounds the limits of its pages. */
  constructor(limitMax: number) {
    this.#entries = new Int32Array(limitMax);
    this.#sortMs = new Float64Array(limitMax);
    this.#authors = new Array<KnownAuthor>(limitMax);
    this.#runs = new Array<FeedRun>(limitMax);
    this.#positions = new Int32Array(limitMax);
    this.#turns = new Int32Array(limitMax);
  }

  /** Begins a page. */
  begin(limit: number): this {
    this.#limit = limit;
    this.#turn = 0;
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
    return this.#turns[a]! > this.#turns[b]!;
  }

  /** Puts an item in; returns false when it comes after all of a full page. An author's items come newest first. */
  add(author: KnownAuthor, run: FeedRun, position: number): boolean {
    const sortMs = run.sortMs[position]!;
    if (this.size < this.#limit) {
      const entry = this.size++;
      this.#set(entry, sortMs, author, run, position);
      this.#rise(entry);
      if (this.size === this.#limit) this.lastMs = this.#sortMs[this.#entries[0]!]!;
      return true;
    }
    if (sortMs < this.lastMs || this.#limit === 0) return false;
    const last = this.#entries[0]!;
    const lastAuthor = this.#authors[last]!;
    if (sortMs === this.lastMs && (author === lastAuthor || author.uriHead < lastAuthor.uriHead)) return false;
    this.#set(last, sortMs, author, run, position);
    this.#sink(last, this.size);
    this.lastMs = this.#sortMs[this.#entries[0]!]!;
    return true;
  }

  #set(entry: number, sortMs: number, author: KnownAuthor, run: FeedRun, position: number): void {
    this.#sortMs[entry] = sortMs;
    this.#authors[entry] = author;
    this.#runs[entry] = run;
    this.#positions[entry] = position;
    this.#turns[entry] = this.#turn++;
  }

  /** Puts an entry in behind all others. */
  #rise(entry: number): void {
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

  /** Puts an entry in the place of the top of the first `size`. */
  #sink(entry: number, size: number): void {
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

  /** Ends the page: puts what it holds in order. */
  finish(): this {
    const entries = this.#entries;
    for (let size = this.size - 1; size > 0; size--) {
      const last = entries[0]!;
      this.#sink(entries[size]!, size);
      entries[size] = last;
    }
    return this;
  }

  /** Calls `write` with each item of a finished page, the first one first. */
  forEach(write: (author: KnownAuthor, run: FeedRun, position: number) => void): void {
    for (let rank = 0; rank < this.size; rank++) {
      const entry = this.#entries[rank]!;
      write(this.#authors[entry]!, this.#runs[entry]!, this.#positions[entry]!);
    }
  }
}
