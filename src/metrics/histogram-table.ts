/**
 * Every histogram, once: what is recorded, how precisely, and by which labels.
 *
 * Owns: the range of values and the bounds of Prometheus' buckets. Durations are recorded in whole
 * microseconds, rounded down, so a bound of 100 µs times a power of two is exactly the edge of a
 * histogram's unit: buckets are counted without an error, and may be summed over processes.
 */
import { Float64Histogram } from 'hdr-histogram-js';

type Unit = 'seconds' | 'items';

export type HistogramRow = {
  readonly unit: Unit;
  /** Significant digits: 3 cost 70 KiB a series, 2 cost 10 KiB. */
  readonly digits: 2 | 3;
  readonly labels: readonly string[];
};

function row(unit: Unit, digits: 2 | 3, labels = ''): HistogramRow {
  return { unit, digits, labels: labels === '' ? [] : labels.split(' ') };
}

/** The rows of `metric-table.ts` of type `histogram` say whose they are and what they mean. */
export const histogramTable = {
  skyshard_request_duration_seconds: row('seconds', 3, 'method outcome'),
  skyshard_caller_request_duration_seconds: row('seconds', 2, 'caller method'),
  skyshard_caller_request_items: row('items', 3, 'caller'),
  skyshard_request_items: row('items', 3, 'method'),
  skyshard_request_queue_seconds: row('seconds', 3),
  skyshard_request_hedge_seconds: row('seconds', 3, 'outcome'),
  skyshard_call_duration_seconds: row('seconds', 2, 'method slots'),
  skyshard_apply_delay_seconds: row('seconds', 3),
  skyshard_log_append_seconds: row('seconds', 3),
  skyshard_transaction_seconds: row('seconds', 3),
  skyshard_commit_seconds: row('seconds', 3),
} as const satisfies Readonly<Record<string, HistogramRow>>;

export type HistogramName = keyof typeof histogramTable;

export const histogramNames = Object.keys(histogramTable) as HistogramName[];

/** Greater ones count as this. Units: µs, a minute; items. */
export const valueMaxByUnit: Readonly<Record<Unit, number>> = { seconds: 60_000_000, items: 2 ** 20 - 1 };

/** What a value is divided by to get the unit that Prometheus shows. */
export const scaleByUnit: Readonly<Record<Unit, number>> = { seconds: 1e6, items: 1 };

/** Bounds of buckets: values below them are counted in whole units of the histogram. */
const secondBounds = Array.from({ length: 20 }, (_unused, power) => 100 * 2 ** power);
const itemBounds = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_000].map((items) => items + 1);

/** The least values that a bucket does not hold, in the histogram's unit, ascending. */
export const boundsByUnit: Readonly<Record<Unit, readonly number[]>> = {
  seconds: secondBounds,
  items: [...itemBounds, 2 ** 12, 2 ** 13, 2 ** 14, 2 ** 16],
};

/** Returns what Prometheus calls the bucket below a bound. Items are whole, durations are not. */
export function bucketLabel(unit: Unit, bound: number): string {
  return String(unit === 'items' ? bound - 1 : bound / scaleByUnit[unit]);
}

function shapeOf(name: HistogramName): [lowest: number, highest: number, digits: number] {
  const { unit, digits } = histogramTable[name];
  return [1, valueMaxByUnit[unit], digits];
}

/** Makes an empty histogram for values since the start of the process. */
export function totalHistogram(name: HistogramName): Float64Histogram {
  return new Float64Histogram(...shapeOf(name));
}
