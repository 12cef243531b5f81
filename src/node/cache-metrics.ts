import type { Registry } from 'prom-client';
import { registerReadout } from '../metrics/metric.ts';
import type { MetricName } from '../metrics/metric-table.ts';
import type { CacheStats } from '../read/cache/cache-stats.ts';

/** Registers the metrics of a serving thread's caches, with one series for each cache. */
export function registerCacheMetrics(registry: Registry, cacheByName: Readonly<Record<string, CacheStats>>): void {
  const one = (name: MetricName, field: keyof CacheStats): void =>
    registerReadout(registry, name, () =>
      Object.entries(cacheByName).map(([cache, stats]) => ({ labels: { cache }, value: stats[field] })),
    );
  one('skyshard_cache_hits_total', 'hits');
  one('skyshard_cache_misses_total', 'misses');
  one('skyshard_cache_evictions_total', 'evictions');
  one('skyshard_cache_bytes', 'bytes');
  one('skyshard_cache_capacity_bytes', 'capacityBytes');
}
