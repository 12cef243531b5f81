/**
 * The newest items of many authors: a merge of their feeds that reads them no further than the
 * page needs.
 *
 * Each author is offered with its next item. The page's last time can be no older than the last of
 * the newest times offered, so most authors are left out at once; `merge` then takes item by item
 * from the feeds of the others.
 *
 * Order: sort time descending, then the author's URIs descending, then the author's own order.
 */
import { type CachedAuthor, isUriAfter } from '../cache/feed-cache.ts';
import { type FeedRun, isPostAt, nextMsMax } from '../lookup/feed-run.ts';
import { NewestTimes } from './newest-times.ts';

const headsAtFirst = 1_024;

/** Keeps the first `limit` of the items. Reused for all pages. */
export class NewestItems {
  /** Of the offered authors' next items. */
  readonly #times: NewestTimes;
  /** Authors that may have an item on the page; by head. */
  readonly #authors: CachedAuthor[] = [];
  #positions = new Int32Array(headsAtFirst);
  /** When the next item is, or a bound of it where the run ends. Units: ms. */
  #nextMs = new Float64Array(headsAtFirst);
  #headCount = 0;
  /** The runs that are merged, and whether each is the cached one, or its beginning. */
  readonly #runs: FeedRun[] = [];
  readonly #isCached: boolean[] = [];
  /** Rows that were read for this page. */
  readonly #rows: number[] = [];
  /** Heads whose root has the next item of the page, once merging has begun. */
  #heap = new Int32Array(headsAtFirst);
  #heapSize = 0;
  #isMerging = false;
  #limit = 0;
  /** No item is newer. Units: ms. */
  beforeMs = Number.POSITIVE_INFINITY;
  onlyPosts = false;
  /** The page: `size` items in order. */
  readonly authors: CachedAuthor[] = [];
  readonly runs: FeedRun[] = [];
  readonly positions: Int32Array;
  size = 0;

  /** No page's limit is greater than `limitMax`. */
  constructor(limitMax: number) {
    this.#times = new NewestTimes(limitMax);
    this.positions = new Int32Array(limitMax);
  }

  /** Begins a page of items from `beforeMs` on. Reposts are left out with `onlyPosts`. */
  begin(limit: number, beforeMs: number, onlyPosts: boolean): this {
    this.#times.begin(limit, Number.NEGATIVE_INFINITY);
    this.#limit = limit;
    this.beforeMs = beforeMs;
    this.onlyPosts = onlyPosts;
    this.#headCount = 0;
    this.#isMerging = false;
    this.size = 0;
    return this;
  }

  /** Begins again, with a guess of when the page ends: `isFull` says if it was early enough. */
  guessLast(lastMs: number): void {
    this.#times.begin(this.#limit, lastMs);
    this.#headCount = 0;
  }

  /** True when enough authors were offered for a page. */
  get isFull(): boolean {
    return this.#times.isFull;
  }

  /** Older items cannot enter the page. Units: ms. */
  get lastMs(): number {
    return this.#times.lastMs;
  }

  /** Offers an author, once, whose next item is at a position of its cached run. */
  offerItem(author: CachedAuthor, position: number, nextMs: number): void {
    // That of an author without further items is -Infinity.
    if (nextMs < this.lastMs || nextMs === Number.NEGATIVE_INFINITY) return;
    this.#addHead(author, position, nextMs);
    this.#times.add(nextMs);
  }

  /** Offers an author, once, from a position of its cached run on. */
  offerRun(author: CachedAuthor, from: number): void {
    const { run } = author;
    const position = this.#nextPosition(run, from);
    const nextMs = this.#timeAt(run, position);
    if (position < run.sortMs.length) this.offerItem(author, position, nextMs);
    else if (nextMs >= this.lastMs && nextMs > Number.NEGATIVE_INFINITY) this.#addHead(author, position, nextMs);
  }

  #addHead(author: CachedAuthor, position: number, nextMs: number): void {
    if (this.#headCount === this.#nextMs.length) this.#makeRoom();
    const head = this.#headCount++;
    this.#authors[head] = author;
    this.#positions[head] = position;
    this.#nextMs[head] = nextMs;
  }

  /**
   * Takes items until the page is full, or until an author's run ends that may go on. Returns the
   * head of that author, to be moved or dropped; -1 at the end of the page.
   */
  merge(): number {
    if (!this.#isMerging) this.#beginMerge();
    while (this.size < this.#limit && this.#heapSize > 0) {
      const head = this.#heap[0]!;
      const run = this.#runs[head]!;
      const position = this.#positions[head]!;
      if (position === run.sortMs.length) return head;
      this.authors[this.size] = this.#authors[head]!;
      this.runs[this.size] = run;
      this.positions[this.size++] = position;
      this.#setPosition(head, run, position + 1);
    }
    return -1;
  }

  authorOf(head: number): CachedAuthor {
    return this.#authors[head]!;
  }

  runOf(head: number): FeedRun {
    return this.#runs[head]!;
  }

  positionOf(head: number): number {
    return this.#positions[head]!;
  }

  /** Rows that were read for a head. */
  rowsOf(head: number): number {
    return this.#rows[head]!;
  }

  isCachedRun(head: number): boolean {
    return this.#isCached[head]!;
  }

  /** Goes on in another run with the head that `merge` returned. */
  moveFirst(run: FeedRun, isCached: boolean, position: number): void {
    const head = this.#heap[0]!;
    this.#rows[head]! += isCached ? run.rows - this.#runs[head]!.rows : run.rows;
    this.#runs[head] = run;
    this.#isCached[head] = isCached;
    this.#setPosition(head, run, position);
  }

  /** Takes nothing more from the head that `merge` returned. */
  dropFirst(): void {
    this.#heapSize--;
    if (this.#heapSize > 0) this.#siftDown(0, this.#heap[this.#heapSize]!);
  }

  #nextPosition(run: FeedRun, from: number): number {
    if (!this.onlyPosts) return from;
    let position = from;
    while (position < run.sortMs.length && !isPostAt(run, position)) position++;
    return position;
  }

  #timeAt(run: FeedRun, position: number): number {
    return position < run.sortMs.length ? run.sortMs[position]! : Math.min(nextMsMax(run), this.beforeMs);
  }

  /** Moves the root of the heap to its next item. */
  #setPosition(head: number, run: FeedRun, from: number): void {
    const position = this.#nextPosition(run, from);
    const nextMs = this.#timeAt(run, position);
    this.#positions[head] = position;
    this.#nextMs[head] = nextMs;
    if (nextMs < this.lastMs || nextMs === Number.NEGATIVE_INFINITY) this.dropFirst();
    else this.#siftDown(0, head);
  }

  #beginMerge(): void {
    this.#isMerging = true;
    this.#leaveOutOld();
    const count = this.#headCount;
    if (this.#heap.length < count) this.#heap = new Int32Array(this.#nextMs.length);
    for (let head = 0; head < count; head++) {
      const { run } = this.#authors[head]!;
      this.#heap[head] = head;
      this.#runs[head] = run;
      this.#isCached[head] = true;
      this.#rows[head] = 0;
      // Another read may have made the run longer.
      this.#nextMs[head] = this.#timeAt(run, this.#positions[head]!);
    }
    this.#heapSize = count;
    for (let at = (count >> 1) - 1; at >= 0; at--) this.#siftDown(at, this.#heap[at]!);
  }

  /** Leaves out the heads whose items came to be too old after they were offered. */
  #leaveOutOld(): void {
    let count = 0;
    for (let head = 0; head < this.#headCount; head++) {
      if (this.#nextMs[head]! < this.lastMs) continue;
      this.#authors[count] = this.#authors[head]!;
      this.#positions[count] = this.#positions[head]!;
      this.#nextMs[count] = this.#nextMs[head]!;
      count++;
    }
    this.#headCount = count;
  }

  #makeRoom(): void {
    this.#leaveOutOld();
    const length = this.#nextMs.length;
    if (this.#headCount < length / 2) return;
    const [positions, nextMs] = [this.#positions, this.#nextMs];
    this.#positions = new Int32Array(length * 2);
    this.#nextMs = new Float64Array(length * 2);
    this.#positions.set(positions);
    this.#nextMs.set(nextMs);
  }

  /** True when the next item of head `a` comes before that of head `b`. */
  #isBefore(a: number, b: number): boolean {
    const timeA = this.#nextMs[a]!;
    const timeB = this.#nextMs[b]!;
    if (timeA !== timeB) return timeA > timeB;
    return isUriAfter(this.#authors[a]!, this.#authors[b]!);
  }

  /** Moves a head from `from` down the heap. */
  #siftDown(from: number, head: number): void {
    const heap = this.#heap;
    const size = this.#heapSize;
    let at = from;
    for (let child = at * 2 + 1; child < size; child = at * 2 + 1) {
      if (child + 1 < size && this.#isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!this.#isBefore(heap[child]!, head)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = head;
  }
}
