/** How far a backfill is, as plain data, and one line of it for people. */
import type { Clock } from '../base/clock.ts';
import type { RepoTotals } from './state/fetch-queue.ts';

/** Figures of all repos that were ever asked for. Rates are those of the last minute or so. */
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
  /** Null while nothing finishes, or nothing waits. */
  readonly etaMs: number | null;
};

/** The figures, and what keeps the rest from going on. */
export type BackfillProgress = BackfillFigures & {
  /** Nothing runs, and every queued repo waits for its next attempt. */
  readonly isWaiting: boolean;
  readonly hostsListing: number;
  /** Those of them whose list cannot be read for now, and why. */
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

  /** Forgets the past, so that idle time before new work does not count as slow work. */
  restart(totals: RepoTotals): void {
    this.#samples = [this.#sampleOf(totals)];
  }

  #sampleOf(totals: RepoTotals): Sample {
    return { atMs: this.#clock.monotonicMs(), repos: endedOf(totals), records: this.#records };
  }

  /** Counts the records of a repo that has just ended. */
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

function durationText(durationMs: number): string {
  const seconds = Math.round(durationMs / 1000);
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  if (hours >= 48) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${seconds % 60} s` : `${seconds} s`;
}

function shareOf(progress: BackfillFigures): number {
  const ended = progress.reposDone + progress.reposGone + progress.reposFailed;
  return progress.reposTotal === 0 ? 0 : ended / progress.reposTotal;
}

function progressText(progress: BackfillFigures): string {
  const ended = progress.reposDone + progress.reposGone + progress.reposFailed;
  const count = (value: number): string => value.toLocaleString('en-US', { maximumFractionDigits: 0 });
  const total = `${count(progress.reposTotal)}${progress.isListing ? '+' : ''}`;
  const eta = progress.etaMs === null ? '' : `, ETA ${durationText(progress.etaMs)}`;
  const problems = progress.reposFailed === 0 ? '' : `, ${count(progress.reposFailed)} failed`;
  const percent = (shareOf(progress) * 100).toFixed(1);
  return `${percent}% ${count(ended)}/${total} repos, ${count(progress.recordsPerS)} records/s${eta}${problems}`;
}

/** Renders progress as one line no wider than `columns`. */
export function progressLine(progress: BackfillFigures, columns: number): string {
  const text = ` ${progressText(progress)}`;
  const barColumns = Math.min(30, columns - text.length - 2);
  if (barColumns < 5) return text.trim().slice(0, columns);
  const filled = Math.round(shareOf(progress) * barColumns);
  return `[${'='.repeat(filled)}${' '.repeat(barColumns - filled)}]${text}`;
}

/** Where progress is shown. */
export type ProgressOutput = {
  write(text: string): unknown;
  readonly form: 'terminal' | 'lines' | 'json';
  readonly columns?: number;
};

/** Shows progress: one line that is rewritten on a terminal, else one line or one JSON line each time. */
export class ProgressPrinter {
  readonly #output: ProgressOutput;

  constructor(output: ProgressOutput) {
    this.#output = output;
  }

  show(progress: BackfillProgress): void {
    const { form } = this.#output;
    if (form === 'json') return void this.#output.write(`${JSON.stringify(progress)}\n`);
    if (form === 'lines') return void this.#output.write(`${progressText(progress)}\n`);
    const columns = this.#output.columns ?? 80;
    this.#output.write(`\r\u001b[2K${progressLine(progress, columns - 1)}`);
  }

  /** Ends the line, so that what is printed next begins on its own. */
  end(): void {
    if (this.#output.form === 'terminal') this.#output.write('\n');
  }
}
