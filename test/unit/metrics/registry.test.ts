import { describe, expect, it } from 'vitest';
import type { Clock } from '../../../src/base/clock.ts';
import { windowMs } from '../../../src/metrics/latency-recorder.ts';
import { registerProcessMetrics } from '../../../src/metrics/process-metrics.ts';
import { createRegistry } from '../../../src/metrics/registry.ts';
import { seriesCountMax } from '../../../src/metrics/series.ts';

function manualClock(): Clock & { passMs(durationMs: number): void } {
  let nowMs = 0;
  return {
    nowMs: () => nowMs,
    monotonicMs: () => nowMs,
    sleep: () => Promise.resolve(),
    passMs: (durationMs) => {
      nowMs += durationMs;
    },
  };
}

describe('a registry', () => {
  it('prints counters and gauges with their labels', () => {
    const registry = createRegistry();
    registry
      .counter('skyshard_ingest_events_total', 'Events.', ['kind', 'reason'])
      .with('commit', 'bad "cid"\n')
      .add(3);
    const gauge = registry.gauge('skyshard_log_waiting_bytes', 'Waiting.');
    gauge.set(7);
    gauge.add(-2);
    expect(registry.prometheusText()).toBe(
      '# HELP skyshard_ingest_events_total Events.\n# TYPE skyshard_ingest_events_total counter\n' +
        'skyshard_ingest_events_total{kind="commit",reason="bad \\"cid\\"\\n"} 3\n' +
        '# HELP skyshard_log_waiting_bytes Waiting.\n# TYPE skyshard_log_waiting_bytes gauge\n' +
        'skyshard_log_waiting_bytes 5\n',
    );
  });

  it('returns the same metric for the same name and refuses another kind under it', () => {
    const registry = createRegistry();
    registry.counter('skyshard_wire_calls_total', 'Calls.').add();
    registry.counter('skyshard_wire_calls_total', 'Calls.').add();
    expect(registry.snapshot()['skyshard_wire_calls_total']).toEqual({ '': 2 });
    expect(() => registry.gauge('skyshard_wire_calls_total', 'Calls.')).toThrow('one kind of metric');
    expect(() => registry.counter('calls', 'Calls.')).toThrow('skyshard_<folder>_<noun>_<unit>');
  });

  it('counts label values past the bound under "other"', () => {
    const registry = createRegistry();
    const counter = registry.counter('skyshard_ingest_dropped_total', 'Dropped.', ['collection']);
    for (let index = 0; index < seriesCountMax + 50; index++) counter.with(`c${index}`).add();
    const series = registry.snapshot()['skyshard_ingest_dropped_total']!;
    expect(Object.keys(series)).toHaveLength(seriesCountMax + 1);
    expect(series['collection="other"']).toBe(50);
  });

  it('gives quantiles of the last two windows, count and sum of all time', () => {
    const clock = manualClock();
    const registry = createRegistry(clock);
    const histogram = registry.histogram('skyshard_router_call_us', 'Calls.', ['method']).with('Ping');
    for (let value = 1; value <= 1000; value++) histogram.record(value);
    const read = () => registry.snapshot()['skyshard_router_call_us']!['method="Ping"'] as { [name: string]: number };
    const first = read();
    expect(first['count']).toBe(1000);
    expect(first['sum']).toBe(500_500);
    expect(Math.abs(first['p50']! - 500)).toBeLessThanOrEqual(5);
    expect(Math.abs(first['p99']! - 990)).toBeLessThanOrEqual(10);
    expect(first['max']).toBeGreaterThanOrEqual(1000);
    clock.passMs(windowMs + 1);
    read();
    clock.passMs(windowMs + 1);
    read();
    expect(read()).toMatchObject({ count: 1000, sum: 500_500, p50: 0, max: 0 });
    expect(registry.prometheusText()).toContain('skyshard_router_call_us{method="Ping",quantile="0.99"} 0\n');
    expect(registry.prometheusText()).toContain('skyshard_router_call_us_count{method="Ping"} 1000\n');
  });

  it('keeps a duration out of range at the bound instead of failing', () => {
    const histogram = createRegistry().histogram('skyshard_router_call_us', 'Calls.');
    expect(() => {
      histogram.record(-5);
      histogram.record(1e15);
      histogram.record(0.4);
    }).not.toThrow();
  });

  it('reads the process when it prints', () => {
    const registry = createRegistry();
    registerProcessMetrics(registry);
    const text = registry.prometheusText();
    const resident = Number(/^skyshard_process_resident_bytes (\d+)$/m.exec(text)?.[1]);
    expect(resident).toBeGreaterThan(10_000_000);
    expect(text).toMatch(/^skyshard_process_page_faults_major \d+$/m);
  });
});
