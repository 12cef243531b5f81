/**
 * Divides a walk through the posts of several words into windows of time, each with a term.
 *
 * SQLite cannot be interrupted from here, and FTS5 looks for the next post that has all of several
 * words wherever that is: it heeds a bound on row ids only once it has found one. So each post has
 * a term for each of the windows in which it is, from a minute to six days, and a statement asks
 * for one of them besides the words: it ends with the posts of that window, of which there may be
 * no more than may be walked if the words never meet. Where one of the words has few posts, they
 * bound a statement as well, and a window is as long as that holds.
 */
import { idsPerSpan } from './index-file.ts';
import type { Budget } from './windows.ts';

/** Log2 of the row ids of a window, of 4 ms each; of the first, even if each id has a post. */
const windowBits = [14, 17, 20, 23, 27] as const;

function termOf(bits: number, id: number): string {
  return `=w${bits.toString(36)}_${Math.floor(id / 2 ** bits).toString(36)}`;
}

function endOf(bits: number, id: number): number {
  return (Math.floor(id / 2 ** bits) + 1) * 2 ** bits;
}

/** Returns the terms of the windows in which a row id is. */
export function windowTerms(id: number): string {
  return windowBits.map((bits) => termOf(bits, id)).join(' ');
}

/**
 * Rows of a window, times the terms that are compared for each: 60 to 80 ns each where all posts
 * have a word that hardly ever meets the others, or the words of a phrase in another order.
 */
const rowsOfTermDefault = 80_000;
const rareRowsMax = 6_000;
/** What a window may cost. Units: ms. */
const windowMs = 6;
/** What a term costs however few rows there are: a look into each segment. Units: ms. */
const termMs = 0.1;
/** Rows of `span` that are read at a time, at least those of the largest window. */
const spansRead = 256;
/** A word that was not rare is looked at again after so many windows, and then twice as many. */
const firstPause = 4;

/** How many posts there are in a range of row ids. */
export type Span = { readonly bucket: number; readonly rows: number };

/** From `from` to `end` (exclusive); what finds no other posts has all of `anchors`. */
export type PostWindow = { readonly from: number; readonly end: number; readonly anchors: readonly string[] };

/** The rarest word, and the id (exclusive) up to which it has few posts from another on. */
export type RareWord = { readonly word: string; readonly end: number };

export type PostCounts = {
  /** Returns ascending ranges that have posts, from one on. */
  readonly spansFrom: (bucket: number, limit: number) => readonly Span[];
  /** Returns how many posts there are, about. */
  readonly total: () => number;
  /** For tests: rows of a window, times terms. */
  readonly rowsOfTerm?: number | undefined;
};

/** Returns how many posts a window of a walk for so many terms may have. */
export function windowRowsMax({ rowsOfTerm = rowsOfTermDefault }: PostCounts, terms: number): number {
  return rowsOfTerm / Math.max(1, terms);
}

/** Returns how many rows of a word bound a statement without a window. */
export function rareRowsOf({ rowsOfTerm = rareRowsMax }: Pick<PostCounts, 'rowsOfTerm'>): number {
  return Math.min(rareRowsMax, rowsOfTerm);
}

export class PostWindows {
  readonly #counts: PostCounts;
  readonly #rowsMax: number;
  readonly #terms: number;
  readonly #budget: Budget;
  readonly #rareFrom: (from: number) => RareWord | null;
  #spans: readonly Span[] = [];
  #areLast = false;
  #rows: number;
  #windowRows = 0;
  #beganMs = 0;
  #rare: RareWord | null = null;
  /** Windows until a rare word is asked for, first after one window. */
  #pauseLeft = 1;
  #pause = firstPause;

  /** `rareFrom` costs as much as a window; null if there is no word of which to tell. */
  constructor(counts: PostCounts, terms: number, budget: Budget, rareFrom: (from: number) => RareWord | null) {
    this.#counts = counts;
    this.#terms = terms;
    this.#budget = budget;
    this.#rareFrom = rareFrom;
    this.#rowsMax = windowRowsMax(counts, terms);
    this.#rows = this.#rowsMax;
  }

  /** How many posts a statement of the window under way may look at, for each of its terms. */
  get rows(): number {
    return this.#rare === null ? this.#windowRows : rareRowsOf(this.#counts);
  }

  /** Begins the next window with posts, at `from` or later; null if none is below `end`. */
  begin(from: number, end: number): PostWindow | null {
    this.#beganMs = this.#budget.nowMs();
    this.#readSpans(Math.floor(from / idsPerSpan.post));
    const [first] = this.#spans;
    const start = first === undefined ? end : Math.max(from, first.bucket * idsPerSpan.post);
    if (first === undefined || start >= end) return null;
    if (this.#counts.total() <= this.#rowsMax) {
      this.#windowRows = this.#counts.total();
      return { from: start, end, anchors: [] };
    }
    const bits = this.#bitsOf(start, first);
    const next = Math.min(end, endOf(bits, start));
    const rare = this.#rareAt(start, next);
    if (rare !== null) return { from: start, end: Math.min(end, rare.end), anchors: [rare.word] };
    return { from: start, end: next, anchors: [termOf(bits, start)] };
  }

  /** Returns the log2 of the ids of the longest window that has few enough posts. */
  #bitsOf(start: number, first: Span): number {
    const [least, ...others] = windowBits;
    let bits: number = least;
    this.#windowRows = Math.min(2 ** least, (first.rows * 2 ** least) / idsPerSpan.post);
    for (const larger of others) {
      const rows = this.#rowsBefore(endOf(larger, start));
      if (rows > this.#rows) break;
      bits = larger;
      this.#windowRows = rows;
    }
    return bits;
  }

  /** Returns a word that has few posts up to beyond the end of a window, at times. */
  #rareAt(start: number, end: number): RareWord | null {
    if (this.#rare !== null && this.#rare.end <= end) this.#rare = null;
    if (this.#rare === null && this.#pauseLeft-- <= 0) {
      this.#rare = this.#rareFrom(start);
      if (this.#rare !== null && this.#rare.end <= end) this.#rare = null;
      if (this.#rare === null) {
        this.#pauseLeft = this.#pause;
        this.#pause *= 2;
      }
    }
    return this.#rare;
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
    this.#rows = Math.min(this.#rowsMax, 4 * this.#rows, nextMs / rowMs);
    return costMs;
  }
}
