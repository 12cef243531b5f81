/**
 * What a process recorded lately: two minutes by the second, ten by five seconds, and an hour by
 * half minutes. It is what dashboards draw.
 *
 * Owns: that it is small, and that answers are, whatever was recorded. Values are rounded down to
 * two significant digits of HdrHistogram (less than 0.8 % off), and series are few: callers over
 * all methods, calls over all slots. An answer has the values only of series that are asked for,
 * merged, and rounded further where there is no room for all of them.
 */
import type { Clock } from '../base/clock.ts';
import type { HistogramStore } from './histogram-store.ts';
import { histogramTable } from './histogram-table.ts';
import { isIn, type LiveFrame, type LiveSeries, type Total } from './live-frame.ts';
import { type Interval, intervalMs } from './recording.ts';

/** Frames of each of these lengths are kept, as many of each. Units: seconds. */
export const spans = [1, 5, 30] as const;
export type SpanS = (typeof spans)[number];
export const framesKept = 120;
/** Of the frames of one length; the oldest go first. */
export const levelBytesMax = 12 * 1024 * 1024;
/** Of one frame. */
const seriesMax = 256;
/** Bits of values: as they are kept, and at least in answers. */
const valueBits = 8;
const valueBitsMin = 1;

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

/** Returns a value without what is below its first bits. */
export function withBits(value: number, bits: number): number {
  const shift = Math.max(0, 32 - bits - Math.clz32(value));
  return (value >>> shift) << shift;
}

/** Returns the least value of two significant digits with the same unit. */
export function twoDigits(value: number): number {
  return withBits(value, valueBits);
}

/** Returns under which name a series is summed. */
function totalNameOf(key: string): string {
  const parts = key.split('|');
  return parts[0] === 'request' ? `request|${parts.at(-1)}` : parts[0]!;
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
    const totals: Record<string, Total> = {};
    for (const [key, { count, sum, counts }] of this.#series) {
      series[key] = { count, sum, counts: [...counts].flat() };
      const name = totalNameOf(key);
      const [countBefore, sumBefore] = totals[name] ?? [0, 0];
      totals[name] = [countBefore + count, sumBefore + sum];
    }
    const frame = { endMs, spanMs, series, totals, slotReads: [...this.#slotReads].flat(), gauges };
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

/** The last frames of one length, and what adds up to the next one. */
class Level {
  readonly #accumulator = new Accumulator();
  readonly #framesOfOne: number;
  #frames: LiveFrame[] = [];
  #bytes = 0;
  #added = 0;
  #lastEndMs: number;

  /** `framesOfOne` shorter frames make one of this length. */
  constructor(framesOfOne: number, startMs: number) {
    this.#framesOfOne = framesOfOne;
    this.#lastEndMs = startMs;
  }

  get frames(): readonly LiveFrame[] {
    return this.#frames;
  }

  /** Adds a frame of this length. */
  push(frame: LiveFrame): void {
    this.#frames.push(frame);
    this.#bytes += bytesOf(frame);
    while (this.#frames.length > framesKept || this.#bytes > levelBytesMax)
      this.#bytes -= bytesOf(this.#frames.shift()!);
  }

  /** Adds a shorter frame. Returns the one that it completes, if it does. */
  add(frame: LiveFrame): LiveFrame | null {
    this.#accumulator.addFrame(frame);
    if (++this.#added < this.#framesOfOne) return null;
    const { endMs, gauges } = frame;
    const made = this.#accumulator.take(endMs, endMs - this.#lastEndMs, gauges);
    this.#lastEndMs = endMs;
    this.#added = 0;
    this.push(made);
    return made;
  }
}

/**
 * Only frames of one length that ended later than `sinceMs` are meant (ms since 1970). Each prefix
 * gives one series of that name, which merges those whose keys begin with its parts; one that ends
 * with `|` gives each of them by itself. An answer has at most `numbersMax` values and counts.
 */
export type LiveQuestion = {
  readonly spanS: number;
  readonly sinceMs: number;
  readonly prefixes: readonly string[];
  readonly numbersMax: number;
};

export type LiveAnswer = {
  readonly frames: LiveFrame[];
  /** Of all series in these frames, whether or not these have their values. */
  readonly names: string[];
  /** What the values have: 8 for less than 0.8 % off, 3 for 20 %, 1 for 50 %. */
  readonly bits: number;
};

type NamedSeries = readonly [key: string, series: LiveSeries];

/** Returns series as one, with values of so many bits. */
function merged(all: readonly LiveSeries[], bits: number): LiveSeries {
  const into: Sums = { count: 0, sum: 0, counts: new Map() };
  for (const { count, sum, counts } of all) {
    into.count += count;
    into.sum += sum;
    for (let at = 0; at < counts.length; at += 2) addTo(into.counts, withBits(counts[at]!, bits), counts[at + 1]!);
  }
  return { ...into, counts: [...into.counts].flat() };
}

/** Returns the series of a frame that prefixes mean. */
function meantOf({ series }: LiveFrame, prefixes: ReadonlySet<string>): NamedSeries[] {
  const all = Object.entries(series);
  return [...prefixes].flatMap((prefix): readonly NamedSeries[] => {
    if (prefix.endsWith('|')) return all.filter(([key]) => key.startsWith(prefix));
    const found = all.filter(([key]) => isIn(key, prefix)).map(([, one]) => one);
    return found.length === 0 ? [] : [[prefix, found.length === 1 ? found[0]! : merged(found, valueBits)]];
  });
}

function numbersOf(all: readonly (readonly NamedSeries[])[]): number {
  return all.reduce((total, series) => total + series.reduce((sum, [, { counts }]) => sum + counts.length, 0), 0);
}

/**
 * Rounds values until they have room. One series has room at a bit a value, of which there are 27
 * up to a minute; if more have not, the oldest frames go without.
 */
function fitted(all: readonly NamedSeries[][], numbersMax: number): { series: NamedSeries[][]; bits: number } {
  let [series, bits] = [[...all], valueBits];
  while (numbersOf(series) > numbersMax && bits > valueBitsMin) {
    bits--;
    series = series.map((named) => named.map(([key, one]) => [key, merged([one], bits)]));
  }
  for (let index = 0, left = numbersOf(series) - numbersMax; left > 0; index++) {
    left -= numbersOf([series[index]!]);
    series[index] = [];
  }
  return { series, bits };
}

export class LiveHistory implements Disposable {
  readonly #clock: Clock;
  readonly #now = new Accumulator();
  readonly #levels: readonly Level[];
  readonly #timer: NodeJS.Timeout;
  readonly #readGauges: () => Promise<Gauges>;
  #lastEndMs: number;
  #isReading = false;
  #gauges: Gauges = {};

  /** `readGauges` is called every five seconds, or every second while it is watched. */
  constructor(store: HistogramStore, readGauges: () => Promise<Gauges>, clock: Clock) {
    this.#clock = clock;
    this.#readGauges = readGauges;
    const startMs = clock.nowMs();
    this.#lastEndMs = startMs;
    this.#levels = spans.map((span, index) => new Level(span / (spans[index - 1] ?? span), startMs));
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
    const [seconds, ...longer] = this.#levels;
    seconds!.push(frame);
    let ended: LiveFrame | null = frame;
    let hasLonger = false;
    for (const level of longer) {
      ended = level.add(ended);
      if (ended === null) break;
      hasLonger = true;
    }
    if (hasLonger || endMs < this.watchedUntilMs) void this.#refreshGauges();
  }

  async #refreshGauges(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      this.#gauges = await this.#readGauges();
    } catch {
      // A process that is stopping cannot be read any more: what it said last stays.
    } finally {
      this.#isReading = false;
    }
  }

  /** Returns the frames that a question is about, the oldest first. */
  answer({ spanS, sinceMs, prefixes, numbersMax }: LiveQuestion): LiveAnswer {
    const level = this.#levels[spans.indexOf(spanS as SpanS)];
    const frames = (level?.frames ?? []).filter(({ endMs }) => endMs > sinceMs);
    const names = new Set<string>();
    for (const { series } of frames) for (const key of Object.keys(series)) names.add(key);
    // A series is in few prefixes, so each is read few times, however many are asked for.
    const meant = new Set(prefixes);
    const { series, bits } = fitted(
      frames.map((frame) => meantOf(frame, meant)),
      numbersMax,
    );
    const made = frames.map(
      (frame, index): LiveFrame => ({
        ...frame,
        series: Object.fromEntries(series[index]!),
        slotReads: spanS === spans[0] ? frame.slotReads : [],
      }),
    );
    return { frames: made, names: [...names], bits };
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
