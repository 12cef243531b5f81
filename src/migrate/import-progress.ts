/** How far an import is, how fast, and when its ranges will have ended. */
import type { Clock } from '../base/clock.ts';

export type ImportProgress = {
  readonly rangesDone: number;
  readonly ranges: number;
  readonly actors: number;
  readonly records: number;
  readonly labels: number;
  readonly recordsPerS: number;
  readonly etaMs: number | null;
};

const progressEveryMs = 1_000;
/** Speed is that of the last minute. */
const speedWindowMs = 60_000;

/** Measures speed, and says when to show it. */
export class ProgressMeter {
  readonly #clock: Clock;
  readonly #marks: { readonly atMs: number; readonly records: number }[] = [];
  #shownMs = Number.NEGATIVE_INFINITY;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** True when it is time to show how far the import is. */
  get isDue(): boolean {
    return this.#clock.monotonicMs() >= this.#shownMs + progressEveryMs;
  }

  /** Returns what to show, once that far. */
  at(reached: Omit<ImportProgress, 'recordsPerS' | 'etaMs'>): ImportProgress {
    const { records, rangesDone, ranges } = reached;
    const nowMs = this.#clock.monotonicMs();
    this.#shownMs = nowMs;
    this.#marks.push({ atMs: nowMs, records });
    while (this.#marks[0]!.atMs < nowMs - speedWindowMs) this.#marks.shift();
    const [first] = this.#marks;
    const seconds = (nowMs - first!.atMs) / 1000;
    const recordsPerS = seconds === 0 ? 0 : Math.round((records - first!.records) / seconds);
    const left = (records / Math.max(1, rangesDone)) * (ranges - rangesDone);
    const isKnown = recordsPerS > 0 && rangesDone > 0;
    return { ...reached, recordsPerS, etaMs: isKnown ? Math.round((1000 * left) / recordsPerS) : null };
  }
}
