/**
 * Every metric of one process, and their Prometheus text.
 *
 * Owns: names (`skyshard_<folder>_<noun>_<unit>`, each once), help lines, bounded label sets. Refuses: a name used for
 * two kinds, and names outside the pattern. There is no global registry: whoever starts a process makes one and passes it on.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import { invariant } from '../base/invariant.ts';
import { LatencyRecorder, type LatencySummary } from './latency-recorder.ts';
import { SeriesSet } from './series.ts';

/** Only rises. */
export interface Counter {
  add(count?: number): void;
}

/** Goes up and down. */
export interface Gauge {
  set(value: number): void;
  add(value: number): void;
}

/** Records durations, or other sizes, for quantiles. */
export interface Histogram {
  record(value: number): void;
}

/** A metric with labels: `with` returns the series of those label values, in the order that the labels were named. */
export interface Family<Metric> {
  with(...labelValues: string[]): Metric;
}

/** A reading for a gauge that is read only when asked. */
export type Reading = { readonly labelValues: readonly string[]; readonly value: number };

/** Makes metrics and prints them. Asking again for the same name returns the same metric. */
export interface Registry {
  counter(name: string, help: string): Counter;
  counter(name: string, help: string, labels: readonly string[]): Family<Counter>;
  gauge(name: string, help: string): Gauge;
  gauge(name: string, help: string, labels: readonly string[]): Family<Gauge>;
  histogram(name: string, help: string): Histogram;
  histogram(name: string, help: string, labels: readonly string[]): Family<Histogram>;
  /** A gauge or counter whose readings are taken when the text is printed. */
  readout(
    kind: 'gauge' | 'counter',
    name: string,
    help: string,
    labels: readonly string[],
    read: () => Iterable<Reading>,
  ): void;
  /** Returns all metrics in the Prometheus text format 0.0.4. */
  prometheusText(): string;
  /** Returns the values as plain data, for `/v1/status` and benches: by name, then by label text. */
  snapshot(): Record<string, Record<string, number | LatencySummary>>;
}

class Cell implements Counter, Gauge {
  value = 0;

  add(count = 1): void {
    this.value += count;
  }

  set(value: number): void {
    this.value = value;
  }
}

type Kind = 'counter' | 'gauge' | 'summary';
type Metric = {
  readonly kind: Kind;
  readonly help: string;
  readonly labelNames: readonly string[];
  readonly series: SeriesSet<Cell | LatencyRecorder>;
  readonly read?: () => Iterable<Reading>;
};

/** Returns an empty registry. */
export function createRegistry(clock: Clock = systemClock): Registry {
  return new MetricRegistry(clock);
}

function withLabel(labelText: string, extra: string): string {
  return labelText === '' ? extra : `${labelText},${extra}`;
}

function line(name: string, labelText: string, value: number): string {
  const printed = Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : 'NaN';
  return labelText === '' ? `${name} ${printed}\n` : `${name}{${labelText}} ${printed}\n`;
}

function summaryLines(name: string, labelText: string, summary: LatencySummary): string {
  const atQuantile: readonly (readonly [string, number])[] = [
    ['0.5', summary.p50],
    ['0.9', summary.p90],
    ['0.99', summary.p99],
    ['0.999', summary.p999],
    ['1', summary.max],
  ];
  return (
    atQuantile.map(([q, value]) => line(name, withLabel(labelText, `quantile="${q}"`), value)).join('') +
    line(`${name}_sum`, labelText, summary.sum) +
    line(`${name}_count`, labelText, summary.count)
  );
}

class MetricRegistry implements Registry {
  readonly #clock: Clock;
  readonly #metricByName = new Map<string, Metric>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  #metric(kind: Kind, name: string, help: string, labels: readonly string[], read?: () => Iterable<Reading>): Metric {
    const known = this.#metricByName.get(name);
    if (known !== undefined) {
      invariant(known.kind === kind && known.labelNames.join() === labels.join(), `"${name}" is one kind of metric`);
      return known;
    }
    invariant(/^skyshard_[a-z0-9]+(_[a-z0-9]+)+$/.test(name), `"${name}" reads skyshard_<folder>_<noun>_<unit>`);
    const create = (): Cell | LatencyRecorder =>
      kind === 'summary' ? new LatencyRecorder(() => this.#clock.monotonicMs()) : new Cell();
    const series = new SeriesSet<Cell | LatencyRecorder>(labels, create);
    const metric: Metric = { kind, help, labelNames: labels, series, ...(read === undefined ? {} : { read }) };
    this.#metricByName.set(name, metric);
    return metric;
  }

  #family(metric: Metric): Cell & Family<Cell> & LatencyRecorder & Family<LatencyRecorder> {
    const found =
      metric.labelNames.length === 0 ? metric.series.at([]) : { with: (...v: string[]) => metric.series.at(v) };
    return found as Cell & Family<Cell> & LatencyRecorder & Family<LatencyRecorder>;
  }

  counter(name: string, help: string, labels: readonly string[] = []): Counter & Family<Counter> {
    return this.#family(this.#metric('counter', name, help, labels));
  }

  gauge(name: string, help: string, labels: readonly string[] = []): Gauge & Family<Gauge> {
    return this.#family(this.#metric('gauge', name, help, labels));
  }

  histogram(name: string, help: string, labels: readonly string[] = []): Histogram & Family<Histogram> {
    return this.#family(this.#metric('summary', name, help, labels));
  }

  readout(
    kind: 'gauge' | 'counter',
    name: string,
    help: string,
    labels: readonly string[],
    read: () => Iterable<Reading>,
  ): void {
    this.#metric(kind, name, help, labels, read);
  }

  #refresh(metric: Metric): void {
    if (metric.read === undefined) return;
    for (const { labelValues, value } of metric.read()) (metric.series.at(labelValues) as Cell).set(value);
  }

  prometheusText(): string {
    let text = '';
    for (const [name, metric] of this.#metricByName) {
      this.#refresh(metric);
      text += `# HELP ${name} ${metric.help.replace(/[\\\n]/g, ' ')}\n# TYPE ${name} ${metric.kind}\n`;
      for (const { labelText, value } of metric.series.all()) {
        text +=
          value instanceof Cell ? line(name, labelText, value.value) : summaryLines(name, labelText, value.summary());
      }
    }
    return text;
  }

  snapshot(): Record<string, Record<string, number | LatencySummary>> {
    const byName: Record<string, Record<string, number | LatencySummary>> = {};
    for (const [name, metric] of this.#metricByName) {
      this.#refresh(metric);
      const byLabel: Record<string, number | LatencySummary> = {};
      for (const { labelText, value } of metric.series.all()) {
        byLabel[labelText] = value instanceof Cell ? value.value : value.summary();
      }
      byName[name] = byLabel;
    }
    return byName;
  }
}
