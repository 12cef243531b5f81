import { describe, expect, it } from 'vitest';
import {
  type BackfillProgress,
  ProgressMeter,
  ProgressPrinter,
  progressLine,
} from '../../../src/ingest/backfill-progress.ts';
import { ManualClock } from '../../support/manual-clock.ts';

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
  it('measures rates over the last minute and how long the rest will take', () => {
    const clock = new ManualClock();
    const totals = { queued: 100, done: 50, failed: 0, gone: 0, records: 5000 };
    const meter = new ProgressMeter(clock, totals);
    expect(meter.progress(totals, 0, false)).toMatchObject({ reposPerS: 0, etaMs: null, reposTotal: 150 });
    clock.advance(10_000);
    meter.add(3000);
    const later = meter.progress({ ...totals, queued: 80, done: 70, records: 8000 }, 4, false);
    expect(later).toMatchObject({ reposPerS: 2, recordsPerS: 300, etaMs: 40_000, recordsTotal: 8000, reposRunning: 4 });
  });

  it('does not count idle time before new work', () => {
    const clock = new ManualClock();
    const totals = { queued: 0, done: 50, failed: 0, gone: 0, records: 5000 };
    const meter = new ProgressMeter(clock, totals);
    clock.advance(50_000);
    meter.restart(totals);
    clock.advance(1000);
    meter.add(500);
    expect(meter.progress({ ...totals, done: 55 }, 0, false)).toMatchObject({ reposPerS: 5, recordsPerS: 500 });
  });

  it('is one line with a bar that fits', () => {
    expect(progressLine(progress, 100)).toBe(
      '[========                      ] 25.0% 10,000/40,000+ repos, 12,346 records/s, ETA 5 min 0 s',
    );
    for (const columns of [20, 40, 79]) expect(progressLine(progress, columns).length).toBeLessThanOrEqual(columns);
  });

  it('is rewritten in place on a terminal, and a line or a JSON line elsewhere', () => {
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
