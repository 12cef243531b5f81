/** What queries have done, by which they end: work that is counted, and time. */
import type { Clock } from '../base/clock.ts';

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
  /** Rows that the statement of the most may have walked, for each of its terms. */
  walkedMax = 0;

  /** Counts a statement of some terms, and the rows of each that it may walk at most. */
  look(terms: number, rows: number): void {
    this.looks += terms;
    this.walkedMax = Math.max(this.walkedMax, terms * rows);
  }

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
