/** Shows the progress of a backfill: a bar on a terminal, lines or JSON elsewhere. */
import type { BackfillFigures, BackfillProgress } from '../ingest/backfill-progress.ts';

/** Returns a duration in its two largest units. */
export function durationText(durationMs: number): string {
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

export type ProgressOutput = {
  write(text: string): unknown;
  readonly form: 'terminal' | 'lines' | 'json';
  readonly columns?: number;
};

/** Rewrites one line on a terminal, else writes one line of text or JSON each time. */
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

  /** Ends the line, so that the next output begins on its own. */
  end(): void {
    if (this.#output.form === 'terminal') this.#output.write('\n');
  }
}
