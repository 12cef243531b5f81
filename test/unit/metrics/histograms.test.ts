/** Histograms lose nothing: over threads, intervals, buckets and encodings. */
import { decodeFromCompressedBase64, Int32Histogram } from 'hdr-histogram-js';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { busiestCallersMax, CallerRecording } from '../../../src/metrics/caller-recording.ts';
import { histogramReport } from '../../../src/metrics/histogram-report.ts';
import { HistogramStore, recentMsMax } from '../../../src/metrics/histogram-store.ts';
import {
  boundsByUnit,
  type HistogramName,
  histogramTable,
  valueMaxByUnit,
} from '../../../src/metrics/histogram-table.ts';
import { ProcessHistograms } from '../../../src/metrics/process-histograms.ts';
import { type Interval, Recording } from '../../../src/metrics/recording.ts';
import { slotGroupName } from '../../../src/metrics/slot-group.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const durations: HistogramName = 'skyshard_request_duration_seconds';
const percentiles = [0, 25, 50, 90, 99, 99.9, 99.99, 100];

/** Returns durations from microseconds to seconds, in µs, some of them 0. */
function rawValues(count: number, seed: number): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random.below(10 ** (1 + random.below(7))));
}

/** Returns the raw value at a percentile as HdrHistogram defines it. */
function exactAt(sorted: readonly number[], percentile: number): number {
  return sorted[Math.max(0, Math.ceil((percentile / 100) * sorted.length - 1e-9) - 1)]!;
}

it.each([
  ['skyshard_request_duration_seconds', 2 ** 26, 3],
  ['skyshard_caller_request_duration_seconds', 2 ** 26, 2],
  ['skyshard_call_duration_seconds', 2 ** 26, 2],
  ['skyshard_request_items', 2 ** 21, 3],
] as const)('%s: values have the units of the library', (name, belowMax, digits) => {
  const recording = new Recording();
  const { unit } = histogramTable[name];
  const library = new Int32Histogram(1, valueMaxByUnit[unit], digits);
  const random = seededRandom(7);
  const edges = Array.from({ length: 26 }, (_unused, power) => [2 ** power - 1, 2 ** power, 2 ** power + 1]).flat();
  const values = [...edges, ...Array.from({ length: 20_000 }, () => random.below(2 ** (1 + random.below(26))))];
  for (const value of values.filter((one) => one < belowMax)) {
    recording
      .histogram(name)
      .with('a', 'b')
      .record(value + 0.9);
    library.recordValue(Math.min(value, valueMaxByUnit[unit]));
  }
  const { counts } = recording.take().series[0]!;
  const expected = new Map<number, number>();
  for (let index = 0; index < library.countsArrayLength; index++) {
    const count = library.getCountAtIndex(index);
    if (count > 0) expected.set(library.valueFromIndex(index), count);
  }
  const found = new Map<number, number>();
  for (let at = 0; at < counts.length; at += 2) found.set(counts[at]!, counts[at + 1]!);
  expect(found).toEqual(expected);
  expect(recording.take().series).toEqual([]);
});

describe('merged histograms', () => {
  it.each([1, 2, 3])('have the percentiles of all raw values within the stated precision, seed %d', (seed) => {
    const store = new HistogramStore(new ManualClock());
    const threads = Array.from({ length: 5 }, () => new Recording());
    const raw = rawValues(50_000, seed);
    const random = seededRandom(seed);
    for (const value of raw) {
      const thread = random.below(threads.length);
      threads[thread]!.histogram(durations).with('Ping', 'ok').record(value);
      if (random.below(1_000) === 0) store.add(threads[thread]!.take(), String(thread));
    }
    for (const [thread, recording] of threads.entries()) store.add(recording.take(), String(thread));
    const [merged, ...others] = store.series();
    expect(others).toEqual([]);
    expect(merged!.labels).toEqual(['Ping', 'ok']);
    expect(merged!.histogram.totalCount).toBe(raw.length);
    expect(merged!.sum).toBe(raw.reduce((a, b) => a + b, 0));
    const sorted = raw.toSorted((a, b) => a - b);
    for (const percentile of percentiles) {
      const exact = exactAt(sorted, percentile);
      const found = merged!.histogram.getValueAtPercentile(percentile);
      expect(Math.abs(found - exact), `${percentile}`).toBeLessThanOrEqual(Math.max(1, exact / 1_000));
    }
  });

  it('give the same counts whatever was taken when', () => {
    const raw = rawValues(5_000, 4);
    const readAfter = (every: number): string => {
      const store = new HistogramStore(new ManualClock());
      const recording = new Recording();
      raw.forEach((value, index) => {
        recording.histogram(durations).with('Ping', 'ok').record(value);
        if (index % every === 0) store.add(recording.take(), 'main');
      });
      store.add(recording.take(), 'main');
      const { histogram } = [...store.series()][0]!;
      return Array.from({ length: histogram.countsArrayLength }, (_unused, at) => histogram.getCountAtIndex(at)).join();
    };
    expect(readAfter(1)).toBe(readAfter(997));
  });

  it('hold the latest intervals apart, and forget them after their time', () => {
    const clock = new ManualClock();
    const store = new HistogramStore(clock);
    const recording = new Recording();
    const record = (value: number): void => {
      recording.histogram(durations).with('Ping', 'ok').record(value);
      store.add(recording.take(), 'main');
    };
    record(100);
    clock.advance(10_000);
    record(200);
    const lately = (ms: number): number[] =>
      store.since(clock.nowMs() - ms).map(({ histogram }) => histogram.totalCount);
    expect(lately(5_000)).toEqual([1]);
    expect(lately(20_000)).toEqual([2]);
    clock.advance(recentMsMax);
    record(300);
    expect(lately(10 * recentMsMax)).toEqual([2]);
    expect([...store.series()][0]!.histogram.totalCount).toBe(3);
  });
});

describe('the buckets of a metric', () => {
  it.each(Object.keys(histogramTable) as HistogramName[])(
    '%s: count exactly what is below each bound',
    async (name) => {
      const histograms = new ProcessHistograms(new ManualClock());
      const registry = new Registry();
      histograms.register(registry, 'node');
      histograms.register(registry, 'router');
      const { unit } = histogramTable[name];
      const bounds = boundsByUnit[unit];
      const scale = unit === 'items' ? 1 : 1e6;
      const raw = [...rawValues(2_000, 5), ...bounds, ...bounds.map((bound) => bound - 1)];
      const values = raw.filter((value) => value <= bounds.at(-1)!);
      for (const value of values) histograms.recording.histogram(name).with('a', 'b').record(value);
      const text = await registry.metrics();
      const counted = [...text.matchAll(new RegExp(`^${name}_bucket\\{le="([^"]+)".*\\} (\\d+)$`, 'gm'))];
      expect(counted.map(([, le]) => le).slice(0, -1)).toHaveLength(bounds.length);
      for (const [index, [, le, count]] of counted.entries()) {
        const bound = bounds[index] ?? Number.POSITIVE_INFINITY;
        expect(Number(count), le).toBe(values.filter((value) => value < bound).length);
      }
      const sum = values.reduce((a, b) => a + b, 0) / scale;
      expect(Number(new RegExp(`^${name}_sum.* (\\S+)$`, 'm').exec(text)![1])).toBeCloseTo(sum, 6);
      histograms[Symbol.dispose]();
    },
  );
});

describe('a report', () => {
  it('holds each series in the encoding that other tools read', async () => {
    const clock = new ManualClock();
    const histograms = new ProcessHistograms(clock);
    const raw = rawValues(1_000, 6);
    for (const value of raw) histograms.recording.histogram(durations).with('GetActors', 'late').record(value);
    histograms.recording.histogram('skyshard_request_items').with('GetActors').record(25);
    const all = await histograms.report('router', { lastMs: null, name: null });
    const { series, memory } = all;
    expect(series.map(({ name, labels, unit, count }) => ({ name, labels, unit, count }))).toEqual([
      { name: durations, labels: { method: 'GetActors', outcome: 'late' }, unit: 'microseconds', count: 1_000 },
      { name: 'skyshard_request_items', labels: { method: 'GetActors' }, unit: 'items', count: 1 },
    ]);
    const decoded = decodeFromCompressedBase64(series[0]!.histogram);
    expect(series[0]!.histogram).toMatch(/^HISTFAAA/);
    expect(decoded.totalCount).toBe(1_000);
    const sorted = raw.toSorted((a, b) => a - b);
    expect(Math.abs(decoded.getValueAtPercentile(99) / exactAt(sorted, 99) - 1)).toBeLessThan(0.001);
    expect(memory.series).toBe(2);
    expect(memory.bytes).toBeLessThan(memory.bytesMax);
    const some = await histogramReport('router', histograms.store, { lastMs: null, name: durations }, clock);
    expect(some.series.map(({ name }) => name)).toEqual([durations]);
    histograms[Symbol.dispose]();
  });
});

describe('memory', () => {
  it('of a thread is bounded: later series are recorded as other, and none is lost', () => {
    const recording = new Recording(1_000_000);
    for (let method = 0; method < 100; method++) {
      for (let turn = 0; turn < 2; turn++) recording.histogram(durations).with(`m${method}`, 'ok').record(5);
    }
    const interval: Interval = recording.take();
    const countOf = ({ counts }: Interval['series'][number]): number => counts[1]!;
    expect(interval.series.reduce((total, one) => total + countOf(one), 0)).toBe(200);
    const other = interval.series.find(({ labels }) => labels[0] === 'other')!;
    expect(other.labels).toEqual(['other', 'other']);
    expect(interval.refused).toBe(countOf(other) / 2);
    expect(interval.series.length).toBeLessThan(20);
    expect(interval.bytes).toBeLessThan(1_100_000);
  });

  it('of a process is bounded in the same way', () => {
    const store = new HistogramStore(new ManualClock(), 1_000_000);
    const recording = new Recording();
    for (let method = 0; method < 50; method++) recording.histogram(durations).with(`m${method}`, 'ok').record(5);
    store.add(recording.take(), 'main');
    const series = [...store.series()];
    expect(series.reduce((total, { histogram }) => total + histogram.totalCount, 0)).toBe(50);
    expect(series.some(({ labels }) => labels[0] === 'other')).toBe(true);
    expect(store.memory.refused).toBe(51 - series.length);
  });
});

describe('callers', () => {
  const totals = (interval: Interval): Map<string, number> => {
    const byCaller = new Map<string, number>();
    for (const { name, labels, counts } of interval.series) {
      if (name !== 'skyshard_caller_request_duration_seconds') continue;
      for (let at = 1; at < counts.length; at += 2) {
        byCaller.set(labels[0]!, (byCaller.get(labels[0]!) ?? 0) + counts[at]!);
      }
    }
    return byCaller;
  };

  it('beyond the busiest are one series, and one that is much busier takes a place', () => {
    const recording = new Recording();
    const callers = new CallerRecording(recording);
    for (let caller = 0; caller < busiestCallersMax; caller++) {
      for (let turn = 0; turn <= caller; turn++) callers.record(`c${caller}`, 'Ping', 1, 1);
    }
    for (let turn = 0; turn < 50; turn++) callers.record('late', 'Ping', 1, 1);
    callers.record('', 'Ping', 1, 1);
    const first = totals(recording.take());
    expect(first.get('c19')).toBe(20);
    expect(first.get('late')).toBeUndefined();
    expect(first.get('other')).toBe(51);
    callers.record('late', 'Ping', 1, 1);
    callers.record('c0', 'Ping', 1, 1);
    const second = totals(recording.take());
    expect(Object.fromEntries(second)).toEqual({ late: 1, other: 1 });
  });

  it('have their items apart, from the first request on', () => {
    const recording = new Recording();
    const callers = new CallerRecording(recording);
    const ask = (caller: string, items: number): void => callers.record(caller, 'GetActors', 1, items);
    ask('bulk', 5_000);
    for (let caller = 1; caller < busiestCallersMax; caller++) ask(`c${caller}`, 1);
    ask('late', 9_000);
    const items = recording.take().series.filter(({ name }) => name === 'skyshard_caller_request_items');
    const sums = Object.fromEntries(items.map(({ labels, sum }) => [labels[0], sum]));
    expect([sums['bulk'], sums['c1'], sums['late'], sums['other']]).toEqual([5_000, 1, undefined, 9_000]);
  });

  it('whose series goes lose no value', () => {
    const recording = new Recording();
    const callers = new CallerRecording(recording);
    for (let caller = 0; caller < busiestCallersMax; caller++) callers.record(`c${caller}`, 'Ping', 1, 1);
    for (let turn = 0; turn < 100; turn++) callers.record('busy', 'Ping', 1, 1);
    let counted = 0;
    for (let turn = 0; turn < 3; turn++) for (const count of totals(recording.take()).values()) counted += count;
    expect(counted).toBe(busiestCallersMax + 100);
  });
});

it('groups of slots are sixteenths of all', () => {
  expect(slotGroupName(3, 4)).toBe('3');
  expect(slotGroupName(17, 16 * 16)).toBe('16-31');
  expect(slotGroupName(255, 256)).toBe('240-255');
});
