/**
 * What a process recorded lately, second by second, and in steps of five seconds for an hour: what
 * dashboards draw.
 *
 * Owns: that it is small. Values are rounded down to two significant digits of HdrHistogram (less
 * than 0.8 % off), and series are few: callers over all methods, calls over all slots.
 */
import type { Clock } from '../base/clock.ts';
import type { HistogramStore } from './histogram-store.ts';
import { histogramTable } from './histogram-table.ts';
import { type Interval, intervalMs } from './recording.ts';

/** How many intervals are kept one by one, and how many of five seconds: two minutes, an hour. */
const secondsKept = 120;
const stepSeconds = 5;
const stepsKept = 720;
/** Of steps and seconds; the oldest steps go first. */
export const historyBytesMax = 32 * 1024 * 1024;
/** Of one frame. */
const seriesMax = 256;

/** One series. `counts` has its values, each followed by its count, or nothing if not asked for. */
export type LiveSeries = { readonly count: number; readonly sum: number; readonly counts: number[] };

/** What was recorded in `spanMs` up to `endMs`. */
export type LiveFrame = {
  readonly endMs: number;
  readonly spanMs: number;
  /** By `<kind>|<label>|…`, such as `request|GetTimeline|ok`. */
  readonly series: Record<string, LiveSeries>;
  /** Slots, each followed by how often reads looked into it. */
  readonly slotReads: number[];
  /** Figures of the process at the end of the frame, by name. */
  readonly gauges: Gauges;
};

export type Gauges = Record<string, number>;

/** Names of series, by histogram, and the label of which they keep the values; null keeps all. */
const kinds: Readonly<Partial<Record<string, readonly [kind: string, labels: readonly string[]]>>> = {
  skyshard_request_duration_seconds: ['request', ['method', 'outcome']],
  skyshard_caller_request_duration_seconds: ['caller', ['caller']],
  skyshard_caller_request_items: ['caller-items', ['caller']],
  skyshard_request_items: ['items', ['method']],
  skyshard_request_queue_seconds: ['queue', []],
  skyshard_request_hedge_seconds: ['hedge', ['outcome']],
  skyshard_call_duration_seconds: ['call', ['method']],
  skyshard_apply_delay_seconds: ['apply', []],
  skyshard_log_append_seconds: ['append', []],
  skyshard_transaction_seconds: ['transaction', []],
  skyshard_commit_seconds: ['commit', []],
};

/** Returns the least value of two significant digits with the same unit. */
export function twoDigits(value: number): number {
  const shift = Math.max(0, 24 - Math.clz32(value));
  return (value >>> shift) << shift;
}

type Sums = { count: number; sum: number; readonly counts: Map<number, number> };

/** Adds what comes until it is taken as a frame. */
class Accumulator {
  readonly #series = new Map<string, Sums>();
  readonly #slotReads = new Map<number, number>();

  add({ series, slotReads }: Interval): void {
    for (const { name, labels, counts, sum } of series) {
      const kind = kinds[name];
      if (kind === undefined) continue;
      const places = kind[1].map((label) => (histogramTable[name].labels as readonly string[]).indexOf(label));
      const into = this.#at([kind[0], ...places.map((place) => labels[place]!)].join('|'));
      if (into === null) continue;
      into.sum += sum;
      for (let at = 0; at < counts.length; at += 2) {
        into.count += counts[at + 1]!;
        addTo(into.counts, twoDigits(counts[at]!), counts[at + 1]!);
      }
    }
    for (let at = 0; at < slotReads.length; at += 2) addTo(this.#slotReads, slotReads[at]!, slotReads[at + 1]!);
  }

  addFrame({ series, slotReads }: LiveFrame): void {
    for (const [key, { count, sum, counts }] of Object.entries(series)) {
      const into = this.#at(key);
      if (into === null) continue;
      into.count += count;
      into.sum += sum;
      for (let at = 0; at < counts.length; at += 2) addTo(into.counts, counts[at]!, counts[at + 1]!);
    }
    for (let at = 0; at < slotReads.length; at += 2) addTo(this.#slotReads, slotReads[at]!, slotReads[at + 1]!);
  }

  #at(key: string): Sums | null {
    const known = this.#series.get(key);
    if (known !== undefined) return known;
    if (this.#series.size >= seriesMax) return null;
    const made = { count: 0, sum: 0, counts: new Map<number, number>() };
    this.#series.set(key, made);
    return made;
  }

  take(endMs: number, spanMs: number, gauges: Gauges): LiveFrame {
    const series: Record<string, LiveSeries> = {};
    for (const [key, { count, sum, counts }] of this.#series) series[key] = { count, sum, counts: [...counts].flat() };
    const frame = { endMs, spanMs, series, slotReads: [...this.#slotReads].flat(), gauges };
    this.#series.clear();
    this.#slotReads.clear();
    return frame;
  }
}

function addTo(counts: Map<number, number>, key: number, count: number): void {
  counts.set(key, (counts.get(key) ?? 0) + count);
}

/** About what a frame takes: numbers of arrays are 8 bytes. */
function bytesOf({ series, slotReads, gauges }: LiveFrame): number {
  const counts = Object.values(series).reduce((total, one) => total + one.counts.length, 0);
  return 8 * (counts + slotReads.length) + 96 * (Object.keys(series).length + Object.keys(gauges).length);
}

export class LiveHistory implements Disposable {
  readonly #clock: Clock;
  readonly #now = new Accumulator();
  readonly #step = new Accumulator();
  readonly #timer: NodeJS.Timeout;
  readonly #readGauges: () => Promise<Gauges>;
  #seconds: LiveFrame[] = [];
  #steps: LiveFrame[] = [];
  #bytes = 0;
  #lastEndMs: number;
  #secondsOfStep = 0;
  #isReading = false;
  #gauges: Gauges = {};

  /** `readGauges` is called every five seconds, or every second while `isWatched`. */
  constructor(store: HistogramStore, readGauges: () => Promise<Gauges>, clock: Clock) {
    this.#clock = clock;
    this.#readGauges = readGauges;
    this.#lastEndMs = clock.nowMs();
    store.listeners.add((interval) => this.#now.add(interval));
    this.#timer = setInterval(() => this.#close(), intervalMs).unref();
  }

  /** Until when somebody watches. Units: ms since 1970. */
  watchedUntilMs = 0;

  /** Ends a second. */
  #close(): void {
    const endMs = this.#clock.nowMs();
    const frame = this.#now.take(endMs, endMs - this.#lastEndMs, this.#gauges);
    this.#lastEndMs = endMs;
    this.#seconds.push(frame);
    if (this.#seconds.length > secondsKept) this.#seconds.shift();
    this.#step.addFrame(frame);
    this.#secondsOfStep++;
    const isStep = this.#secondsOfStep === stepSeconds;
    if (isStep) this.#endStep(endMs);
    if (isStep || endMs < this.watchedUntilMs) void this.#refreshGauges();
  }

  #endStep(endMs: number): void {
    const startMs = this.#steps.at(-1)?.endMs ?? endMs - stepSeconds * intervalMs;
    const step = this.#step.take(endMs, endMs - startMs, this.#gauges);
    this.#secondsOfStep = 0;
    this.#steps.push(step);
    this.#bytes += bytesOf(step);
    while (this.#steps.length > stepsKept || this.#bytes > historyBytesMax)
      this.#bytes -= bytesOf(this.#steps.shift()!);
  }

  async #refreshGauges(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      this.#gauges = await this.#readGauges();
    } finally {
      this.#isReading = false;
    }
  }

  /** Returns the seconds that ended after a time. */
  secondsSince(sinceMs: number): LiveFrame[] {
    return this.#seconds.filter(({ endMs }) => endMs > sinceMs);
  }

  /**
   * Returns the steps of the last hour that ended after a time. Only series whose key begins with
   * `prefix` have their values.
   */
  stepsSince(sinceMs: number, prefix: string): LiveFrame[] {
    const withoutCounts = ([key, { count, sum, counts }]: [string, LiveSeries]): [string, LiveSeries] => [
      key,
      { count, sum, counts: key.startsWith(prefix) ? counts : [] },
    ];
    return this.#steps
      .filter(({ endMs }) => endMs > sinceMs)
      .map((step) => ({ ...step, series: Object.fromEntries(Object.entries(step.series).map(withoutCounts)) }));
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
