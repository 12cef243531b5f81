/** The progress of a backfill on a terminal, in lines and as JSON. */
import { describe, expect, it } from 'vitest';
import { ProgressPrinter, progressLine } from '../../../src/cli/progress-printer.ts';
import type { BackfillProgress } from '../../../src/ingest/backfill-progress.ts';

const progress: BackfillProgress = {
  isListing: true,
  reposTotal: 40_000,
  reposDone: 9_990,
  reposGone: 10,
  reposFailed: 0,
  reposQueued: 30_000,
  reposRunning: 8,
  recordsTotal: 1_000_000,
  reposPerS: 100,
  recordsPerS: 12_345.6,
  etaMs: 300_000,
  isWaiting: false,
  hostsListing: 1,
  failingHosts: {},
};

describe('backfill progress', () => {
  it('is one line with a bar that fits', () => {
    expect(progressLine(progress, 100)).toBe(
      '[========                      ] 25.0% 10,000/40,000+ repos, 12,346 records/s, ETA 5 min 0 s',
    );
    for (const columns of [20, 40, 79]) expect(progressLine(progress, columns).length).toBeLessThanOrEqual(columns);
  });

  it('rewrites its line on a terminal, and is a line of text or JSON elsewhere', () => {
    const written: string[] = [];
    const output = { write: (text: string) => written.push(text), columns: 100 };
    const terminal = new ProgressPrinter({ ...output, form: 'terminal' });
    terminal.show(progress);
    terminal.end();
    expect(written[0]!.startsWith('\r\u001b[2K[===')).toBe(true);
    expect(written[1]).toBe('\n');
    written.length = 0;
    new ProgressPrinter({ ...output, form: 'json' }).show(progress);
    expect(JSON.parse(written[0]!)).toEqual(progress);
    new ProgressPrinter({ ...output, form: 'lines' }).show(progress);
    expect(written[1]).toBe('25.0% 10,000/40,000+ repos, 12,346 records/s, ETA 5 min 0 s\n');
  });
});
