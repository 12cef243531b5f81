/** How far a backfill has come, as plain data. */
import type { Clock } from '../base/clock.ts';
import type { RepoTotals } from './state/fetch-queue.ts';

/** Covers all repos ever requested. Rates are averages over about the last minute. */
export type BackfillFigures = {
  readonly isListing: boolean;
  readonly reposTotal: number;
  readonly reposDone: number;
  readonly reposGone: number;
  readonly reposFailed: number;
  readonly reposQueued: number;
  readonly reposRunning: number;
  readonly recordsTotal: number;
  readonly reposPerS: number;
  readonly recordsPerS: number;
  /** Null while nothing finishes or nothing is queued. */
  readonly etaMs: number | null;
};

export type BackfillProgress = BackfillFigures & {
  /** Nothing runs, and every queued repo waits for its next attempt. */
  readonly isWaiting: boolean;
  readonly hostsListing: number;
  /** Hosts whose list cannot be read for now, and why. */
  readonly failingHosts: Readonly<Record<string, string>>;
};

type Sample = { readonly atMs: number; readonly repos: number; readonly records: number };

const windowMs = 60_000;
const sampleEveryMs = 1000;

function endedOf(totals: RepoTotals): number {
  return totals.done + totals.gone + totals.failed;
}

/** Measures rates over a sliding window. */
export class ProgressMeter {
  readonly #clock: Clock;
  #records = 0;
  #samples: Sample[];

  constructor(clock: Clock, totals: RepoTotals) {
    this.#clock = clock;
    this.#samples = [this.#sampleOf(totals)];
  }

  /** Starts a new window, so that idle time before new work does not count as slow work. */
  restart(totals: RepoTotals): void {
    this.#samples = [this.#sampleOf(totals)];
  }

  #sampleOf(totals: RepoTotals): Sample {
    return { atMs: this.#clock.monotonicMs(), repos: endedOf(totals), records: this.#records };
  }

  /** Counts the records of a repo that has just finished. */
  add(records: number): void {
    this.#records += records;
  }

  progress(totals: RepoTotals, reposRunning: number, isListing: boolean): BackfillFigures {
    const ended = endedOf(totals);
    const now = this.#sampleOf(totals);
    const first = this.#samples[0]!;
    const elapsedS = Math.max(now.atMs - first.atMs, 1) / 1000;
    const reposPerS = Math.max(0, now.repos - first.repos) / elapsedS;
    if (now.atMs - this.#samples.at(-1)!.atMs >= sampleEveryMs) this.#samples.push(now);
    while (this.#samples.length > 1 && now.atMs - this.#samples[0]!.atMs > windowMs) this.#samples.shift();
    return {
      isListing,
      reposTotal: ended + totals.queued,
      reposDone: totals.done,
      reposGone: totals.gone,
      reposFailed: totals.failed,
      reposQueued: totals.queued,
      reposRunning,
      recordsTotal: totals.records,
      reposPerS,
      recordsPerS: Math.max(0, now.records - first.records) / elapsedS,
      etaMs: totals.queued === 0 || reposPerS === 0 ? null : (totals.queued / reposPerS) * 1000,
    };
  }
}
