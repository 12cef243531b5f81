/**
 * Divides a walk through the index into windows of row ids that cost little each.
 *
 * SQLite cannot be interrupted from here, so a statement must be cheap by its bounds. A window
 * holds as many rows as may be walked in the time for one, by what the windows before it cost.
 */
import type { Clock } from '../base/clock.ts';

/** Rows of the first window, divided by the terms that are compared for each. */
const firstRows = 100_000;
const rowsMin = 5_000;
const rowsMax = 4_000_000;
/** What a window should cost. Units: ms. */
const windowMs = 3;

/** Counts of rows by ranges of `idsPerRange` row ids, ascending. */
export type Ranges = {
  readonly idsPerRange: number;
  readonly starts: readonly number[];
  readonly rows: readonly number[];
};

/**
 * What queries have done, counted: so a query ends by what it does, and not by its time alone,
 * which says nothing on a machine that is stopped or much faster than most.
 */
export class Work {
  /** Terms that statements looked up; each is a look into every segment of the index. */
  looks = 0;
  /** Rows that statements gave. */
  rows = 0;
  /** Records that were read in their slots; one whose words were read counts by its length. */
  records = 0;

  /** What that takes at least. Units: µs. */
  get us(): number {
    return 20 * this.looks + this.rows + 5 * this.records;
  }
}

/** Returns as how many records one counts whose words were read; undefined was not there. */
export function recordsOf(text: string | undefined): number {
  return 2 + (text?.length ?? 0) / 100;
}

/** Ends a walk that has cost too much: in time, or in work that is counted. */
export class Budget {
  readonly #clock: Clock;
  readonly #work: Work;
  readonly #endMs: number;
  readonly #endUs: number;

  constructor(clock: Clock, work: Work, budgetMs: number) {
    this.#clock = clock;
    this.#work = work;
    this.#endMs = clock.monotonicMs() + budgetMs;
    this.#endUs = work.us + budgetMs * 1_000;
  }

  /** What is left of it. Units: ms. */
  get leftMs(): number {
    return Math.min(this.#endMs - this.#clock.monotonicMs(), (this.#endUs - this.#work.us) / 1_000);
  }

  /** True once it is spent by work, whatever the time: for steps that are many and small. */
  get isWorkSpent(): boolean {
    return this.#work.us >= this.#endUs;
  }

  get isSpent(): boolean {
    return !this.allows(0);
  }

  /** Tells whether something that costs so much ends within it. */
  allows(costMs: number): boolean {
    return costMs < this.leftMs;
  }

  nowMs(): number {
    return this.#clock.monotonicMs();
  }
}

export class Windows {
  readonly #ranges: Ranges;
  readonly #budget: Budget;
  #rows: number;
  #beganMs = 0;

  constructor(ranges: Ranges, terms: number, budget: Budget) {
    this.#ranges = ranges;
    this.#budget = budget;
    this.#rows = Math.max(rowsMin, firstRows / Math.max(1, terms));
  }

  /** Begins a window at `from`. Returns its end (exclusive), at most `end`. */
  begin(from: number, end: number): number {
    this.#beganMs = this.#budget.nowMs();
    return Math.min(end, this.#endAfter(from));
  }

  #endAfter(from: number): number {
    const { idsPerRange, starts, rows } = this.#ranges;
    let left = this.#rows;
    for (let index = firstRangeOf(this.#ranges, from); index < starts.length; index++) {
      const start = Math.max(from, starts[index]!);
      const end = starts[index]! + idsPerRange;
      const inRange = (rows[index]! * (end - start)) / idsPerRange;
      if (inRange > left) return Math.max(from + 1, Math.ceil(start + ((end - start) * left) / inRange));
      left -= inRange;
    }
    return Number.POSITIVE_INFINITY;
  }

  /** Ends the window, whose cost decides the size of the next. Returns that cost. Units: ms. */
  end(): number {
    const costMs = Math.max(0.05, this.#budget.nowMs() - this.#beganMs);
    const factor = Math.min(4, Math.max(0.1, windowMs / costMs));
    this.#rows = Math.min(rowsMax, Math.max(rowsMin, this.#rows * factor));
    return costMs;
  }
}

/** Returns the index of the first range that ends after an id. */
function firstRangeOf({ idsPerRange, starts }: Ranges, id: number): number {
  let low = 0;
  let high = starts.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (starts[middle]! + idsPerRange > id) high = middle;
    else low = middle + 1;
  }
  return low;
}
