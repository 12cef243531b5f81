/**
 * The histograms of a process: what its threads recorded, merged, since the start and lately.
 *
 * Owns: that merging is lossless. Counts of the same values are added; percentiles are never
 * averaged. Past `storedBytesMax` a new series is stored as `other`.
 */
import type { Float64Histogram } from 'hdr-histogram-js';
import type { Clock } from '../base/clock.ts';
import { type HistogramName, histogramTable, totalHistogram } from './histogram-table.ts';
import type { Interval, IntervalSeries } from './recording.ts';

/** Of the histograms since the start, and of the intervals that are kept. */
export const storedBytesMax = 64 * 1024 * 1024;
const recentBytesMax = 16 * 1024 * 1024;
/** How long intervals are kept. */
export const recentMsMax = 120_000;
const otherLabel = 'other';

/** A histogram of one series. `sum` is of the values before they were rounded. */
export type StoredSeries = {
  readonly name: HistogramName;
  readonly labels: readonly string[];
  readonly histogram: Float64Histogram;
  sum: number;
};

/** How much memory histograms take, of that which they may. */
export type HistogramMemory = {
  readonly series: number;
  /** Of the process: of what its threads record, and of what is stored. */
  readonly bytes: number;
  readonly bytesMax: number;
  /** Series that were taken for `other` for want of room. */
  readonly refused: number;
};

type Recent = { readonly endMs: number; readonly interval: Interval };
type ThreadState = { readonly refused: number; readonly bytes: number };

/** Adds an interval's counts of a series. */
export function addCounts(to: StoredSeries, { counts, sum }: IntervalSeries): void {
  for (let at = 0; at < counts.length; at += 2) to.histogram.recordValueWithCount(counts[at]!, counts[at + 1]!);
  to.sum += sum;
}

function keyOf(name: HistogramName, labels: readonly string[]): string {
  return [name, ...labels].join('\u0000');
}

function bytesOf({ series, slotReads }: Interval): number {
  return series.reduce((total, { counts }) => total + counts.byteLength + 64, slotReads.byteLength);
}

function emptySeries(name: HistogramName, labels: readonly string[]): StoredSeries {
  return { name, labels, histogram: totalHistogram(name), sum: 0 };
}

export class HistogramStore {
  readonly #clock: Clock;
  readonly #bytesMax: number;
  readonly #seriesByKey = new Map<string, StoredSeries>();
  readonly #recent: Recent[] = [];
  readonly #threads = new Map<string, ThreadState>();
  readonly #readsBySlot = new Map<number, number>();
  readonly startMs: number;
  #seriesBytes = 0;
  #recentBytes = 0;
  #refused = 0;
  /** Called with each interval, once it is merged. */
  readonly listeners = new Set<(interval: Interval, endMs: number) => void>();

  constructor(clock: Clock, bytesMax = storedBytesMax) {
    this.#clock = clock;
    this.#bytesMax = bytesMax;
    this.startMs = clock.nowMs();
  }

  /** Merges what one thread, by its name, recorded in an interval that ends now. */
  add(interval: Interval, thread: string): void {
    const endMs = this.#clock.nowMs();
    this.#threads.set(thread, { refused: interval.refused, bytes: interval.bytes });
    for (const taken of interval.series) addCounts(this.#seriesOf(taken), taken);
    for (let at = 0; at < interval.slotReads.length; at += 2) {
      const slot = interval.slotReads[at]!;
      this.#readsBySlot.set(slot, (this.#readsBySlot.get(slot) ?? 0) + interval.slotReads[at + 1]!);
    }
    this.#recent.push({ endMs, interval });
    this.#recentBytes += bytesOf(interval);
    while (this.#recent.length > 0 && this.#isOld(this.#recent[0]!, endMs)) {
      this.#recentBytes -= bytesOf(this.#recent.shift()!.interval);
    }
    for (const listener of this.listeners) listener(interval, endMs);
  }

  #isOld({ endMs }: Recent, nowMs: number): boolean {
    return nowMs - endMs > recentMsMax || this.#recentBytes > recentBytesMax;
  }

  #seriesOf({ name, labels }: IntervalSeries): StoredSeries {
    const key = keyOf(name, labels);
    const known = this.#seriesByKey.get(key);
    if (known !== undefined) return known;
    const made = emptySeries(name, labels);
    const bytes = made.histogram.estimatedFootprintInBytes;
    const others = labels.map(() => otherLabel);
    if (this.#seriesBytes + bytes > this.#bytesMax && keyOf(name, others) !== key) {
      this.#refused++;
      return this.#seriesOf({ name, labels: others, counts: new Uint32Array(0), sum: 0 });
    }
    this.#seriesByKey.set(key, made);
    this.#seriesBytes += bytes;
    return made;
  }

  /** Returns all series since the start. */
  series(): Iterable<StoredSeries> {
    return this.#seriesByKey.values();
  }

  /** Returns the series of the intervals that ended since a time, at most `recentMsMax` ago. */
  since(startMs: number): StoredSeries[] {
    const merged = new Map<string, StoredSeries>();
    for (const { endMs, interval } of this.#recent) {
      if (endMs <= startMs) continue;
      for (const taken of interval.series) {
        const key = keyOf(taken.name, taken.labels);
        const into = merged.get(key) ?? emptySeries(taken.name, taken.labels);
        merged.set(key, into);
        addCounts(into, taken);
      }
    }
    return [...merged.values()];
  }

  /** How often each slot was looked into, since the start. */
  get readsBySlot(): ReadonlyMap<number, number> {
    return this.#readsBySlot;
  }

  get memory(): HistogramMemory {
    const threads = [...this.#threads.values()];
    const sum = (field: keyof ThreadState): number => threads.reduce((total, thread) => total + thread[field], 0);
    return {
      series: this.#seriesByKey.size,
      bytes: this.#seriesBytes + this.#recentBytes + sum('bytes'),
      bytesMax: this.#bytesMax + recentBytesMax,
      refused: this.#refused + sum('refused'),
    };
  }
}

/** Merges series that differ only in labels other than these, which a histogram's row has. */
export function mergedBy(
  series: Iterable<StoredSeries>,
  name: HistogramName,
  labelNames: readonly string[],
): StoredSeries[] {
  const names: readonly string[] = histogramTable[name].labels;
  const places = labelNames.map((label) => names.indexOf(label));
  const merged = new Map<string, StoredSeries>();
  for (const one of series) {
    if (one.name !== name) continue;
    const labels = places.map((place) => one.labels[place]!);
    const key = keyOf(name, labels);
    const into = merged.get(key) ?? emptySeries(name, labels);
    merged.set(key, into);
    into.histogram.add(one.histogram);
    into.sum += one.sum;
  }
  return [...merged.values()];
}
