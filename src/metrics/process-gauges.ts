/**
 * Figures of a process for dashboards, read from its metrics. Counters are as since the start.
 *
 * CPU and event loop are measured here: prom-client reads them when Prometheus asks, and begins a
 * new measurement then.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { Registry } from 'prom-client';
import type { Gauges } from './live-history.ts';
import type { MetricName } from './metric-table.ts';

type Source = { readonly metric: MetricName | string; readonly label?: string };

/** By the names that dashboards know; with a label, one figure for each of its values. */
const sources: Readonly<Record<string, Source>> = {
  residentBytes: { metric: 'process_resident_memory_bytes' },
  slotsBytes: { metric: 'skyshard_slots_bytes' },
  pageFaults: { metric: 'skyshard_page_faults_total', label: 'kind' },
  cacheHits: { metric: 'skyshard_cache_hits_total' },
  cacheMisses: { metric: 'skyshard_cache_misses_total' },
  hedged: { metric: 'skyshard_requests_hedged_total', label: 'outcome' },
  refused: { metric: 'skyshard_requests_refused_total', label: 'limit' },
  eventsReceived: { metric: 'skyshard_events_received_total', label: 'source' },
  eventsDropped: { metric: 'skyshard_events_dropped_total', label: 'source' },
  eventsPending: { metric: 'skyshard_events_pending', label: 'source' },
  sourceLagSeconds: { metric: 'skyshard_source_lag_seconds', label: 'source' },
  appendsPendingBytes: { metric: 'skyshard_appends_pending_bytes' },
};

/** Of the timer that measures the event loop: as that of the metrics. */
const eventLoopTimerMs = 100;
let eventLoop: ReturnType<typeof monitorEventLoopDelay> | null = null;

/** Returns the CPU of all threads, and how late the main thread was at most since the last call. */
function measured(): Gauges {
  const { user, system } = process.cpuUsage();
  if (eventLoop === null) {
    eventLoop = monitorEventLoopDelay({ resolution: eventLoopTimerMs });
    eventLoop.enable();
  }
  const latestSeconds = Math.max(0, eventLoop.max / 1e9 - eventLoopTimerMs / 1000);
  eventLoop.reset();
  return { cpuSeconds: (user + system) / 1e6, eventLoopSeconds: latestSeconds };
}

type Read = { readonly name: string; readonly values: readonly { labels: object; value: number }[] };

/**
 * Sums the series of each metric, of a registry and of those of other threads as they were read; a
 * metric that none has is left out.
 */
export async function readGauges(registry: Registry, others: readonly Read[] = []): Promise<Gauges> {
  const gauges: Gauges = measured();
  for (const [name, { metric, label }] of Object.entries(sources)) {
    const own = (await registry.getSingleMetric(metric)?.get())?.values ?? [];
    const values = [...own, ...others.filter((read) => read.name === metric).flatMap((read) => read.values)];
    for (const { labels, value } of values) {
      const key = label === undefined ? name : `${name}.${(labels as Record<string, unknown>)[label] ?? ''}`;
      gauges[key] = (gauges[key] ?? 0) + value;
    }
  }
  return gauges;
}
