/**
 * The histograms of the table as Prometheus sees them: classic buckets, counted exactly, and a sum.
 *
 * Buckets are counted when an interval is merged, so that a scrape reads a few numbers a series.
 */
import { Histogram, type MetricObjectWithValues, type MetricValueWithName, type Registry } from 'prom-client';
import type { HistogramStore } from './histogram-store.ts';
import {
  boundsByUnit,
  bucketLabel,
  type HistogramName,
  histogramNames,
  histogramTable,
  scaleByUnit,
} from './histogram-table.ts';
import { metricTable } from './metric-table.ts';
import type { IntervalSeries } from './recording.ts';

/** `counts` are of the values below each bound and not below the one before, and of the rest. */
type BucketSeries = { readonly labels: readonly string[]; readonly counts: Float64Array; sum: number };

/** Returns the place of the bucket that holds a value. */
function bucketOf(bounds: readonly number[], value: number): number {
  let bucket = 0;
  while (bucket < bounds.length && value >= bounds[bucket]!) bucket++;
  return bucket;
}

/** The buckets of one histogram, of the labels that its metric shows; others are summed. */
class Buckets {
  readonly #bounds: readonly number[];
  readonly #places: readonly number[];
  readonly #seriesByKey = new Map<string, BucketSeries>();

  constructor(name: HistogramName) {
    const names: readonly string[] = histogramTable[name].labels;
    this.#bounds = boundsByUnit[histogramTable[name].unit];
    this.#places = metricTable[name].labels.map((label) => names.indexOf(label));
  }

  add({ labels, counts, sum }: IntervalSeries): void {
    const shown = this.#places.map((place) => labels[place]!);
    const key = shown.join('\u0000');
    const series = this.#seriesByKey.get(key) ?? {
      labels: shown,
      counts: new Float64Array(this.#bounds.length + 1),
      sum: 0,
    };
    this.#seriesByKey.set(key, series);
    for (let at = 0; at < counts.length; at += 2) {
      series.counts[bucketOf(this.#bounds, counts[at]!)]! += counts[at + 1]!;
    }
    series.sum += sum;
  }

  all(): Iterable<BucketSeries> {
    return this.#seriesByKey.values();
  }
}

class StoredHistogram extends Histogram {
  readonly #name: HistogramName;
  readonly #buckets: Buckets;
  readonly #flush: () => void;

  constructor(registry: Registry, name: HistogramName, store: HistogramStore, flush: () => void) {
    const { help, labels } = metricTable[name];
    super({ name, help, labelNames: [...labels], registers: [registry] });
    this.#name = name;
    this.#flush = flush;
    this.#buckets = new Buckets(name);
    store.listeners.add(({ series }) => {
      for (const one of series) if (one.name === name) this.#buckets.add(one);
    });
  }

  override async get(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    this.#flush();
    const name = this.#name;
    const { unit } = histogramTable[name];
    const bounds = boundsByUnit[unit];
    const values: MetricValueWithName<string>[] = [];
    for (const series of this.#buckets.all()) {
      const labels = Object.fromEntries(metricTable[name].labels.map((label, index) => [label, series.labels[index]!]));
      let total = 0;
      for (const [index, count] of series.counts.entries()) {
        total += count;
        const le = index === bounds.length ? '+Inf' : bucketLabel(unit, bounds[index]!);
        values.push({ labels: { le, ...labels }, value: total, metricName: `${name}_bucket` });
      }
      values.push({ labels, value: series.sum / scaleByUnit[unit], metricName: `${name}_sum` });
      values.push({ labels, value: total, metricName: `${name}_count` });
    }
    const described = { name, help: metricTable[name].help, type: 'histogram', aggregator: 'sum', values };
    return described as unknown as MetricObjectWithValues<MetricValueWithName<string>>;
  }

  /** The library asks so for text; its type declarations lack it. */
  getForPromString(): Promise<MetricObjectWithValues<MetricValueWithName<string>>> {
    return this.get();
  }
}

/** Registers the histograms of a process of this kind; `flush` brings the store up to now. */
export function registerHistograms(
  registry: Registry,
  process: 'node' | 'router',
  store: HistogramStore,
  flush: () => void,
): void {
  for (const name of histogramNames) {
    if (!(metricTable[name].of as readonly string[]).includes(process)) continue;
    new StoredHistogram(registry, name, store, flush);
  }
}
