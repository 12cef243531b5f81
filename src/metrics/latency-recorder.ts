/**
 * A latency recorder: quantiles of the last minute or two, count and sum since the start.
 *
 * Two HdrHistograms take turns, so that a quantile speaks about now and not about the whole life of the process. Values
 * are kept to two significant digits between 1 and `latencyUnitsMax`; what is above is recorded as that.
 */
import { build, type Histogram as HdrHistogram } from 'hdr-histogram-js';

/** The greatest value kept: an hour in µs. */
const latencyUnitsMax = 3_600_000_000;
/** How long one of the two histograms is written before the other takes over. */
export const windowMs = 60_000;

/** What a recorder tells, in the unit of its name. */
export type LatencySummary = {
  readonly count: number;
  readonly sum: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
};

function emptyHistogram(): HdrHistogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: latencyUnitsMax,
    numberOfSignificantValueDigits: 2,
    bitBucketSize: 32,
  });
}

/** Records durations in the unit that the metric's name ends with. */
export class LatencyRecorder {
  readonly #monotonicMs: () => number;
  #current = emptyHistogram();
  #previous: HdrHistogram | null = null;
  #windowStartMs: number;
  #count = 0;
  #sum = 0;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
    this.#windowStartMs = monotonicMs();
  }

  /** Records one duration; fractions are rounded, negative values count as 0. */
  record(value: number): void {
    const whole = value > 0 ? Math.min(Math.round(value), latencyUnitsMax) : 0;
    this.#count += 1;
    this.#sum += whole;
    this.#current.recordValue(whole);
  }

  /** Lets the other histogram take over when the window is over; called at each reading, never while recording. */
  #turn(): void {
    const nowMs = this.#monotonicMs();
    const elapsedMs = nowMs - this.#windowStartMs;
    if (elapsedMs < windowMs) return;
    const reused = this.#previous ?? emptyHistogram();
    reused.reset();
    // After a long silence both are old: nothing is known about the last minute but what is recorded from here on.
    this.#previous = this.#current;
    this.#current = reused;
    this.#windowStartMs = nowMs;
  }

  /** Returns count and sum since the start, and quantiles of the last window or two. */
  summary(): LatencySummary {
    const both = emptyHistogram();
    both.add(this.#current);
    if (this.#previous !== null) both.add(this.#previous);
    this.#turn();
    return {
      count: this.#count,
      sum: this.#sum,
      p50: both.getValueAtPercentile(50),
      p90: both.getValueAtPercentile(90),
      p99: both.getValueAtPercentile(99),
      p999: both.getValueAtPercentile(99.9),
      max: both.totalCount === 0 ? 0 : both.maxValue,
    };
  }
}
