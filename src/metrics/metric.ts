/**
 * Registers the metrics of `metric-table.ts` with prom-client, and counts for them.
 *
 * Counting costs a look-up and an addition: prom-client sees the numbers only at a scrape. The
 * registry is passed in by its owner, which starts the process.
 */
import { Counter, Gauge, type Registry } from 'prom-client';
import { type MetricName, metricTable } from './metric-table.ts';
import { type Series, SeriesSet } from './series.ts';

type Readings = Iterable<Series<number>>;

/** Registers a counter or gauge that is read at each scrape: one number, or one per series. */
export function registerReadout(
  registry: Registry,
  name: MetricName,
  read: () => number | Readings | Promise<number | Readings>,
): void {
  const { type, help, labels } = metricTable[name];
  const description = { name, help, labelNames: labels, registers: [registry] };
  const readings = async (): Promise<Readings> => {
    const value = await read();
    return typeof value === 'number' ? [{ labels: {}, value }] : value;
  };
  if (type === 'counter') {
    new Counter({
      ...description,
      async collect() {
        const taken = await readings();
        this.reset();
        for (const { labels: of, value } of taken) this.inc(of, value);
      },
    });
  } else {
    new Gauge({
      ...description,
      async collect() {
        const taken = await readings();
        this.reset();
        for (const { labels: of, value } of taken) this.set(of, value);
      },
    });
  }
}

/** One series of a counter. */
export class Count {
  value = 0;

  add(count = 1): void {
    this.value += count;
  }
}

/**
 * Returns a reading for several metrics: those of a scrape are read in one turn of the event loop,
 * so they share one answer.
 */
export function sharedReading<Value>(read: () => Promise<Value>): () => Promise<Value> {
  let asked: Promise<Value> | null = null;
  return () => {
    asked ??= read().finally(() => {
      asked = null;
    });
    return asked;
  };
}

/** A counter; `with` returns the series of the given label values, in the order of the table. */
export class LabelledCounter {
  readonly #series: SeriesSet<Count>;

  constructor(registry: Registry, name: MetricName) {
    this.#series = new SeriesSet(metricTable[name].labels, () => new Count());
    registerReadout(registry, name, () => this.#readings());
  }

  *#readings(): Generator<Series<number>> {
    for (const { labels, value } of this.#series.all()) yield { labels, value: value.value };
  }

  with(...labelValues: string[]): Count {
    return this.#series.at(labelValues);
  }
}
