/** Rates and the remaining time of a backfill. */
import { describe, expect, it } from 'vitest';
import { ProgressMeter } from '../../../src/ingest/backfill-progress.ts';
import { ManualClock } from '../../support/manual-clock.ts';

describe('backfill progress', () => {
  it('measures rates over the last minute and estimates the remaining time', () => {
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
});
