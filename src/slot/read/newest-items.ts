/**
 * A page's candidates from many authors: a heap whose top is the last of the newest items so far.
 *
 * Order: sort time descending, then the author's URIs descending as text, then the author's own order.
 */
import type { KnownAuthor } from './author-table.ts';
import type { FeedRun } from './feed-run.ts';

/** Takes items and keeps the first `limit` of them. */
export class NewestItems {
  readonly #limit: number;
  readonly #sortMs: Float64Array;
  readonly #authors: KnownAuthor[];
  readonly #runs: FeedRun[];
  readonly #positions: Int32Array;
  /** Rises with each item that is put in, so that one author's items of one millisecond keep their order. */
  readonly #turns: Int32Array;
  #turn = 0;
  size = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#sortMs = new Float64Array(limit);
    this.#authors = new Array<KnownAuthor>(limit);
    this.#runs = new Array<FeedRun>(limit);
    this.#positions = new Int32Array(limit);
    this.#turns = new Int32Array(limit);
  }

  get isFull(): boolean {
    return this.size === this.#limit;
  }

  /** The sort time that an item must at least have to matter. Units: ms. */
  get lastMs(): number {
    return this.size === this.#limit ? this.#sortMs[0]! : Number.NEGATIVE_INFINITY;
  }

  /** True when the entry at `a` comes after the one at `b`. */
  #isAfter(a: number, b: number): boolean {
    const timeA = this.#sortMs[a]!;
    const timeB = this.#sortMs[b]!;
    if (timeA !== timeB) return timeA < timeB;
    const authorA = this.#authors[a]!;
    const authorB = this.#authors[b]!;
    if (authorA !== authorB) return uriHead(authorA) < uriHead(authorB);
    return this.#turns[a]! > this.#turns[b]!;
  }

  /** Puts an item in; returns false when it comes after all of a full page. An author's items come newest first. */
  add(author: KnownAuthor, run: FeedRun, position: number): boolean {
    if (this.#limit === 0) return false;
    const sortMs = run.sortMs[position]!;
    if (this.size < this.#limit) {
      this.#set(this.size++, sortMs, author, run, position);
      this.#rise(this.size - 1);
      return true;
    }
    const isLater = sortMs < this.#sortMs[0]!;
    if (
      isLater ||
      (sortMs === this.#sortMs[0]! && (author === this.#authors[0]! || uriHead(author) < uriHead(this.#authors[0]!)))
    )
      return false;
    this.#set(0, sortMs, author, run, position);
    this.#sink(0);
    return true;
  }

  #set(at: number, sortMs: number, author: KnownAuthor, run: FeedRun, position: number): void {
    this.#sortMs[at] = sortMs;
    this.#authors[at] = author;
    this.#runs[at] = run;
    this.#positions[at] = position;
    this.#turns[at] = this.#turn++;
  }

  /** One field after the other: an array of them all would put each time on the heap. */
  #swap(a: number, b: number): void {
    const sortMs = this.#sortMs[a]!;
    this.#sortMs[a] = this.#sortMs[b]!;
    this.#sortMs[b] = sortMs;
    const author = this.#authors[a]!;
    this.#authors[a] = this.#authors[b]!;
    this.#authors[b] = author;
    const run = this.#runs[a]!;
    this.#runs[a] = this.#runs[b]!;
    this.#runs[b] = run;
    const position = this.#positions[a]!;
    this.#positions[a] = this.#positions[b]!;
    this.#positions[b] = position;
    const turn = this.#turns[a]!;
    this.#turns[a] = this.#turns[b]!;
    this.#turns[b] = turn;
  }

  #rise(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isAfter(at, parent)) return;
      this.#swap(at, parent);
      at = parent;
    }
  }

  #sink(from: number): void {
    let at = from;
    for (;;) {
      const left = at * 2 + 1;
      if (left >= this.size) return;
      const right = left + 1;
      const child = right < this.size && this.#isAfter(right, left) ? right : left;
      if (!this.#isAfter(child, at)) return;
      this.#swap(at, child);
      at = child;
    }
  }

  /** Returns where the items stand, the first of the page first. */
  #order(): number[] {
    return Array.from({ length: this.size }, (_unused, at) => at).sort((a, b) => (this.#isAfter(a, b) ? 1 : -1));
  }

  /** Calls `write` with each item, the first of the page first. */
  forEach(write: (author: KnownAuthor, run: FeedRun, position: number) => void): void {
    for (const at of this.#order()) write(this.#authors[at]!, this.#runs[at]!, this.#positions[at]!);
  }
}

/** What all URIs of an author begin with: their order as text is the order of authors. */
function uriHead(author: KnownAuthor): string {
  return `${author.did}/`;
}
