/**
 * Divides a walk through the posts of several words into windows of time, each with a term.
 *
 * SQLite cannot be interrupted from here, and FTS5 looks for the next post that has all of several
 * words wherever that is: it heeds a bound on row ids only once it has found one. So each post has
 * a term for each of the windows in which it is, from nine minutes to three days, and a statement
 * asks for one of them besides the words: it ends with the posts of that window. Which length it
 * has follows from how many posts there are, and what the windows before it cost; where all posts
 * are few enough, there is one window without a term.
 */
import { idsPerSpan } from './index-file.ts';
import type { Budget } from './windows.ts';

/** Log2 of the row ids of a window, of 4 ms each; the second as a row of `span` counts them. */
const windowBits = [17, 20, 23, 26] as const;

function termOf(bits: number, id: number): string {
  return `=w${bits.toString(36)}_${Math.floor(id / 2 ** bits).toString(36)}`;
}

/** Returns the terms of the windows in which a row id is. */
export function windowTerms(id: number): string {
  return windowBits.map((bits) => termOf(bits, id)).join(' ');
}

/**
 * Rows of the first window, divided by the terms that are compared for each: a million for three,
 * which take 2 to 8 ms; shorter windows would cost more together.
 */
const firstRowsDefault = 3_000_000;
const rowsMin = 6_000;
const rowsMax = 4_000_000;
/** What a window may cost. Units: ms. */
const windowMs = 10;
/** What a term costs however few rows there are: a look into each segment. Units: ms. */
const termMs = 0.1;
/** Rows of `span` that are read at a time, at least those of the largest window. */
const spansRead = 128;

/** How many posts there are in a range of row ids. */
export type Span = { readonly bucket: number; readonly rows: number };

/** From `from` to `end` (exclusive) all posts have the term, if there is one. */
export type PostWindow = { readonly from: number; readonly end: number; readonly term: string | null };

export type PostCounts = {
  /** Returns ascending ranges that have posts, from one on. */
  readonly spansFrom: (bucket: number, limit: number) => readonly Span[];
  /** Returns how many posts there are, about. */
  readonly total: () => number;
  /** For tests: rows of the first window. */
  readonly firstRows?: number;
};

/** Returns how many posts the first window of a walk for so many terms has, about. */
export function firstRowsOf({ firstRows = firstRowsDefault }: PostCounts, terms: number): number {
  return Math.max(Math.min(rowsMin, firstRows), firstRows / Math.max(1, terms));
}

export class PostWindows {
  readonly #counts: PostCounts;
  readonly #rowsMin: number;
  readonly #terms: number;
  readonly #budget: Budget;
  #spans: readonly Span[] = [];
  #areLast = false;
  #rows: number;
  #windowRows = 0;
  #beganMs = 0;

  constructor(counts: PostCounts, terms: number, budget: Budget) {
    this.#counts = counts;
    this.#terms = terms;
    this.#budget = budget;
    this.#rowsMin = Math.min(rowsMin, counts.firstRows ?? rowsMin);
    this.#rows = firstRowsOf(counts, terms);
  }

  /** Begins the next window with posts, at `from` or later; null if none is below `end`. */
  begin(from: number, end: number): PostWindow | null {
    this.#beganMs = this.#budget.nowMs();
    this.#readSpans(Math.floor(from / idsPerSpan.post));
    const [first] = this.#spans;
    const start = first === undefined ? end : Math.max(from, first.bucket * idsPerSpan.post);
    if (first === undefined || start >= end) return null;
    const total = this.#counts.total();
    if (total <= this.#rows) {
      this.#windowRows = total;
      return { from: start, end, term: null };
    }
    const [least, ...others] = windowBits;
    let bits: number = least;
    this.#windowRows = first.rows / (idsPerSpan.post / 2 ** least);
    for (const larger of others) {
      const rows = this.#rowsBefore((Math.floor(start / 2 ** larger) + 1) * 2 ** larger);
      if (rows > this.#rows) break;
      bits = larger;
      this.#windowRows = rows;
    }
    const next = (Math.floor(start / 2 ** bits) + 1) * 2 ** bits;
    return { from: start, end: Math.min(end, next), term: termOf(bits, start) };
  }

  #readSpans(bucket: number): void {
    const at = this.#spans.findIndex((span) => span.bucket >= bucket);
    this.#spans = at < 0 ? [] : this.#spans.slice(at);
    if (this.#areLast || this.#spans.length >= spansRead / 2) return;
    this.#spans = this.#counts.spansFrom(bucket, spansRead);
    this.#areLast = this.#spans.length < spansRead;
  }

  #rowsBefore(id: number): number {
    let rows = 0;
    for (const span of this.#spans) {
      if (span.bucket * idsPerSpan.post >= id) break;
      rows += span.rows;
    }
    return rows;
  }

  /** Ends the window, whose cost decides the size of the next. Returns that cost. Units: ms. */
  end(): number {
    const costMs = this.#budget.nowMs() - this.#beganMs;
    const rowMs = Math.max(0.005, costMs - this.#terms * termMs) / Math.max(1, this.#windowRows);
    const nextMs = Math.min(windowMs, this.#budget.leftMs);
    this.#rows = Math.min(rowsMax, Math.max(this.#rowsMin, Math.min(4 * this.#rows, nextMs / rowMs)));
    return costMs;
  }
}
