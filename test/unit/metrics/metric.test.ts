/** Counted values reach prom-client unchanged, under the names of the table alone. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/base/clock.ts';
import { LatencyRecorder, windowMs } from '../../../src/metrics/latency-recorder.ts';
import { DurationSummary, LabelledCounter, registerReadout } from '../../../src/metrics/metric.ts';
import { metricTable } from '../../../src/metrics/metric-table.ts';
import { registerProcessMetrics } from '../../../src/metrics/process-metrics.ts';
import { seriesCountMax } from '../../../src/metrics/series.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { projectRoot } from '../../support/source-scan.ts';

async function linesOf(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
}

function summaryOf(clock: Clock): { registry: Registry; summary: DurationSummary } {
  const registry = new Registry();
  return { registry, summary: new DurationSummary(registry, 'skyshard_call_duration_seconds', clock) };
}

describe('a registry', () => {
  it('shows counters and gauges with their labels, help and type', async () => {
    const registry = new Registry();
    const dropped = new LabelledCounter(registry, 'skyshard_events_dropped_total');
    dropped.with('host', 'bad "cid"\n').add(3);
    dropped.with('host', 'bad "cid"\n').add();
    registerReadout(registry, 'skyshard_appends_pending_bytes', () => 5);
    expect(await registry.metrics()).toBe(
      '# HELP skyshard_events_dropped_total Whole events that were dropped.\n' +
        '# TYPE skyshard_events_dropped_total counter\n' +
        'skyshard_events_dropped_total{source="host",reason="bad \\"cid\\"\\n"} 4\n\n' +
        '# HELP skyshard_appends_pending_bytes Entries on their way to the log.\n' +
        '# TYPE skyshard_appends_pending_bytes gauge\n' +
        'skyshard_appends_pending_bytes 5\n',
    );
    expect(await linesOf(registry)).toHaveLength(2);
  });

  it('refuses a name twice', () => {
    const registry = new Registry();
    registerReadout(registry, 'skyshard_calls_total', () => 1);
    expect(() => new LabelledCounter(registry, 'skyshard_calls_total')).toThrow('already been registered');
  });

  it('refuses a wrong number of label values', () => {
    const counter = new LabelledCounter(new Registry(), 'skyshard_records_kept_total');
    expect(() => counter.with()).toThrow('one value for each of its labels');
  });

  it('counts label values past the bound under "other"', async () => {
    const registry = new Registry();
    const counter = new LabelledCounter(registry, 'skyshard_records_kept_total');
    for (let index = 0; index < seriesCountMax + 50; index++) counter.with(`c${index}`).add();
    const lines = await linesOf(registry);
    expect(lines).toHaveLength(seriesCountMax + 1);
    expect(lines).toContain('skyshard_records_kept_total{collection="other"} 50');
  });

  it('shows quantiles of the last two windows, count and sum of all time, in seconds', async () => {
    const clock = new ManualClock();
    const { registry, summary } = summaryOf(clock);
    for (let durationMs = 1; durationMs <= 1000; durationMs++) summary.with('Ping').record(durationMs);
    const read = async (suffix: string): Promise<number> => {
      const name = `skyshard_call_duration_seconds${suffix}`;
      const line = (await linesOf(registry)).find((text) => text.startsWith(name));
      return Number(line!.split(' ')[1]);
    };
    expect(await read('_count{method="Ping"}')).toBe(1000);
    expect(await read('_sum{method="Ping"}')).toBe(500.5);
    expect(Math.abs((await read('{method="Ping",quantile="0.5"}')) - 0.5)).toBeLessThanOrEqual(0.005);
    expect(Math.abs((await read('{method="Ping",quantile="0.99"}')) - 0.99)).toBeLessThanOrEqual(0.01);
    expect(await read('{method="Ping",quantile="1"}')).toBeGreaterThanOrEqual(1);
    for (let turn = 0; turn < 2; turn++) {
      clock.advance(windowMs + 1);
      await registry.metrics();
    }
    expect(await linesOf(registry)).toEqual([
      ...['0.5', '0.9', '0.99', '0.999', '1'].map(
        (quantile) => `skyshard_call_duration_seconds{method="Ping",quantile="${quantile}"} 0`,
      ),
      'skyshard_call_duration_seconds_sum{method="Ping"} 500.5',
      'skyshard_call_duration_seconds_count{method="Ping"} 1000',
    ]);
  });

  it('shows no series of a summary before the first duration', async () => {
    expect(await linesOf(summaryOf(new ManualClock()).registry)).toEqual([]);
  });

  it('reads the process at a scrape', async () => {
    const registry = new Registry();
    registerProcessMetrics(registry);
    const text = await registry.metrics();
    expect(Number(/^process_resident_memory_bytes (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(10_000_000);
    expect(text).toMatch(/^skyshard_page_faults_total\{kind="major"\} \d+$/m);
    expect(text).toMatch(/^nodejs_eventloop_lag_p99_seconds /m);
    expect(text).toMatch(/^# TYPE nodejs_gc_duration_seconds histogram$/m);
  });
});

it('a recorder clamps a duration out of range', () => {
  const recorder = new LatencyRecorder(() => 0);
  for (const durationMs of [-5, 1e15, 0.0004]) recorder.record(durationMs);
  expect(recorder.summary()).toMatchObject({ count: 3, sum: 3600 });
});

describe('ops/metrics.md', () => {
  it('has each metric of the table, and no other', () => {
    const document = readFileSync(join(projectRoot, 'ops', 'metrics.md'), 'utf8');
    const code = (words: readonly string[]): string => words.map((word) => `\`${word}\``).join(', ');
    const rows = Object.entries(metricTable).map(
      ([name, { type, of, labels, help }]) =>
        `| \`${name}\` | ${type} | ${of.join(', ')} | ${code(labels)} | ${help} |`,
    );
    expect(document.split('\n').filter((line) => line.startsWith('| `skyshard_'))).toEqual(rows);
  });
});
