/**
 * What one thread records: a histogram for each series, of the values since it was last taken.
 *
 * Owns: that no value is lost or counted twice. A thread alone writes and takes its histograms, in
 * one turn of its event loop, so neither needs a lock; `take` gives whole counts, which add up to
 * the same histogram whatever the number of threads and intervals. Past `threadBytesMax` a new
 * series is recorded as `other`.
 */
import { type HistogramName, histogramTable, valueMaxByUnit } from './histogram-table.ts';

/** Of the histograms of one thread. */
export const threadBytesMax = 16 * 1024 * 1024;
/** How often what threads recorded is taken. */
export const intervalMs = 1_000;

const otherLabel = 'other';

/** The values of one series in one interval; can be posted between threads. */
export type IntervalSeries = {
  readonly name: HistogramName;
  /** In the order of the table's labels. */
  readonly labels: readonly string[];
  /** Values, each followed by its count. */
  readonly counts: Uint32Array;
  /** Of all values, before they were rounded. */
  readonly sum: number;
};

/** What one thread recorded in one interval. */
export type Interval = {
  readonly series: readonly IntervalSeries[];
  /** Slots, each followed by how often it was looked into. */
  readonly slotReads: Uint32Array;
  /** Series that became `other` since the thread began. */
  readonly refused: number;
  /** Of the thread's histograms. */
  readonly bytes: number;
};

/**
 * Counts of values in the units of an HdrHistogram: all of its digits below `2 ** (halfBits + 1)`,
 * and from there on units that double with the value. The library's histogram of the same shape has
 * the same units; what this saves beside it, `npm run bench -- recording` says.
 */
class IntervalCounts {
  readonly #halfBits: number;
  readonly #counts: Uint32Array;
  #low: number;
  #high = -1;

  constructor(digits: 2 | 3, valueMax: number) {
    this.#halfBits = digits === 3 ? 10 : 7;
    this.#counts = new Uint32Array(this.#indexOf(valueMax) + 1);
    this.#low = this.#counts.length;
  }

  get bytes(): number {
    return this.#counts.byteLength;
  }

  #indexOf(value: number): number {
    const doublings = Math.max(0, 31 - Math.clz32(value) - this.#halfBits);
    return (doublings << this.#halfBits) + (value >>> doublings);
  }

  #valueAt(index: number): number {
    const doublings = Math.max(0, (index >>> this.#halfBits) - 1);
    return (index - (doublings << this.#halfBits)) << doublings;
  }

  /** Counts a whole value from 0 to the greatest. */
  add(value: number): void {
    const index = this.#indexOf(value);
    this.#counts[index]!++;
    if (index < this.#low) this.#low = index;
    if (index > this.#high) this.#high = index;
  }

  /** Returns values, each followed by its count, and begins anew. */
  take(): Uint32Array {
    const taken: number[] = [];
    for (let index = this.#low; index <= this.#high; index++) {
      const count = this.#counts[index]!;
      if (count > 0) taken.push(this.#valueAt(index), count);
    }
    this.#counts.fill(0, this.#low, this.#high + 1);
    this.#low = this.#counts.length;
    this.#high = -1;
    return Uint32Array.from(taken);
  }
}

/** How many values wait to be counted at most. */
const valuesWaitingMax = 1_024;

/**
 * Values that are not counted yet. A request leaves little of a histogram in the processor's caches
 * for the next one, so what is recorded is counted many values at a time.
 */
class WaitingValues {
  readonly #series: (SeriesRecorder | null)[] = [];
  readonly #numbers = new Uint32Array(valuesWaitingMax);
  readonly #values = new Float64Array(valuesWaitingMax);
  #count = 0;

  /** Returns the number by which a series gives its values until it is removed. */
  register(series: SeriesRecorder): number {
    const free = this.#series.indexOf(null);
    if (free < 0) return this.#series.push(series) - 1;
    this.#series[free] = series;
    return free;
  }

  remove(number: number): void {
    this.flush();
    this.#series[number] = null;
  }

  add(number: number, value: number): void {
    this.#numbers[this.#count] = number;
    this.#values[this.#count] = value;
    if (++this.#count === valuesWaitingMax) this.flush();
  }

  /** Has the series count them. */
  flush(): void {
    for (let at = 0; at < this.#count; at++) this.#series[this.#numbers[at]!]!.count(this.#values[at]!);
    this.#count = 0;
  }
}

/** One series. Hot: called for each request. */
export class SeriesRecorder {
  readonly #name: HistogramName;
  readonly #labels: readonly string[];
  readonly #waiting: WaitingValues;
  #number = -1;
  readonly #counts: IntervalCounts;
  readonly #valueMax: number;
  #sum = 0;
  /** Since the last interval, and before. */
  #count = 0;
  #takenCount = 0;

  constructor(name: HistogramName, labels: readonly string[], waiting: WaitingValues) {
    this.#name = name;
    this.#labels = labels;
    this.#waiting = waiting;
    const { digits, unit } = histogramTable[name];
    this.#valueMax = valueMaxByUnit[unit];
    this.#counts = new IntervalCounts(digits, this.#valueMax);
  }

  get labels(): readonly string[] {
    return this.#labels;
  }

  get bytes(): number {
    return this.#counts.bytes;
  }

  /** Begins or ends to take values; without that, they are not counted. */
  set isRecorded(isRecorded: boolean) {
    if (this.#number >= 0) this.#waiting.remove(this.#number);
    this.#number = isRecorded ? this.#waiting.register(this) : -1;
  }

  /** Values since the start. */
  get total(): number {
    this.#waiting.flush();
    return this.#takenCount + this.#count;
  }

  /** Records items, or µs; rounded down, at least 0. */
  record(value: number): void {
    if (this.#number >= 0) this.#waiting.add(this.#number, value);
  }

  /** Counts a value that has waited. */
  count(value: number): void {
    const counted = value > 0 ? value : 0;
    // All values fit 32 bits, so this rounds down.
    this.#counts.add(counted < this.#valueMax ? counted | 0 : this.#valueMax);
    this.#count++;
    this.#sum += counted;
  }

  recordMs(durationMs: number): void {
    this.record(durationMs * 1000);
  }

  /** Returns the values since the last call, or null for none. */
  take(): IntervalSeries | null {
    this.#waiting.flush();
    if (this.#count === 0) return null;
    const taken = { name: this.#name, labels: this.#labels, counts: this.#counts.take(), sum: this.#sum };
    this.#takenCount += this.#count;
    this.#count = 0;
    this.#sum = 0;
    return taken;
  }
}

/** The series of one histogram of the table, made on first use. */
export class RecordedHistogram {
  readonly #name: HistogramName;
  readonly #recording: Recording;
  /** By label values; a second label's are one level deeper. */
  readonly #byLabel = new Map<string, Map<string, SeriesRecorder>>();

  constructor(name: HistogramName, recording: Recording) {
    this.#name = name;
    this.#recording = recording;
  }

  /** Returns the series of these label values; '' for a label that the table does not have. */
  with(first = '', second = ''): SeriesRecorder {
    return this.#byLabel.get(first)?.get(second) ?? this.#add(first, second);
  }

  #add(first: string, second: string): SeriesRecorder {
    const labels = [first, second].slice(0, histogramTable[this.#name].labels.length);
    const isNeeded = labels.every((label) => label === otherLabel);
    const own = new SeriesRecorder(this.#name, labels, this.#recording.waiting);
    const series = this.#recording.add(own, isNeeded) ? own : this.with(...labels.map(() => otherLabel));
    const bySecond = this.#byLabel.get(first) ?? new Map<string, SeriesRecorder>();
    // A series that is recorded as `other` costs a place in this map: of methods there are few.
    this.#byLabel.set(first, bySecond.set(second, series));
    return series;
  }

  /** Forgets the series of a first label's value, of which nothing is recorded any more. */
  drop(first: string): void {
    for (const series of this.#byLabel.get(first)?.values() ?? []) {
      if (series.labels[0] === first) this.#recording.drop(series);
    }
    this.#byLabel.delete(first);
  }

  all(): SeriesRecorder[] {
    return [...new Set([...this.#byLabel.values()].flatMap((bySecond) => [...bySecond.values()]))];
  }
}

export class Recording {
  readonly #series = new Set<SeriesRecorder>();
  /** Of series that were dropped since the last interval. */
  readonly #last: IntervalSeries[] = [];
  readonly #histogramByName = new Map<HistogramName, RecordedHistogram>();
  readonly #bytesMax: number;
  /** Of all series. */
  readonly waiting = new WaitingValues();
  #bytes = 0;
  #refused = 0;
  /** Set by the owner of reads; by slot, since the last interval. */
  slotReads: Uint32Array = new Uint32Array(0);
  /** Called before an interval is taken. */
  readonly onTake: (() => void)[] = [];

  constructor(bytesMax = threadBytesMax) {
    this.#bytesMax = bytesMax;
  }

  histogram(name: HistogramName): RecordedHistogram {
    let histogram = this.#histogramByName.get(name);
    if (histogram === undefined) {
      histogram = new RecordedHistogram(name, this);
      this.#histogramByName.set(name, histogram);
    }
    return histogram;
  }

  /** Returns whether a new series has room, as one that is needed always has. */
  add(series: SeriesRecorder, isNeeded: boolean): boolean {
    if (!isNeeded && this.#bytes + series.bytes > this.#bytesMax) {
      this.#refused++;
      return false;
    }
    this.#series.add(series);
    series.isRecorded = true;
    this.#bytes += series.bytes;
    return true;
  }

  drop(series: SeriesRecorder): void {
    if (!this.#series.delete(series)) return;
    series.isRecorded = false;
    const last = series.take();
    if (last !== null) this.#last.push(last);
    this.#bytes -= series.bytes;
  }

  /** Returns what was recorded since the last call; from here on the next interval is recorded. */
  take(): Interval {
    for (const call of this.onTake) call();
    const series = this.#last.splice(0);
    for (const one of this.#series) {
      const taken = one.take();
      if (taken !== null) series.push(taken);
    }
    const reads: number[] = [];
    this.slotReads.forEach((count, slot) => {
      if (count > 0) reads.push(slot, count);
    });
    this.slotReads.fill(0);
    return { series, slotReads: Uint32Array.from(reads), refused: this.#refused, bytes: this.#bytes };
  }
}

/** Takes the intervals of a recording, one a second, until it is disposed. */
export function everyInterval(recording: Recording, take: (interval: Interval) => void): Disposable {
  const timer = setInterval(() => {
    const interval = recording.take();
    if (interval.series.length > 0 || interval.slotReads.length > 0) take(interval);
  }, intervalMs).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}
