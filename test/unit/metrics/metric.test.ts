/** Counted values reach prom-client unchanged, under the names of the table alone. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { LabelledCounter, registerReadout } from '../../../src/metrics/metric.ts';
import { metricTable } from '../../../src/metrics/metric-table.ts';
import { registerProcessMetrics } from '../../../src/metrics/process-metrics.ts';
import { seriesCountMax } from '../../../src/metrics/series.ts';
import { projectRoot } from '../../support/source-scan.ts';

async function linesOf(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
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
