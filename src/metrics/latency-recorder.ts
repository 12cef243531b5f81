/**
 * Records latencies: quantiles of the last minute or two, count and sum since the start.
 *
 * Two HdrHistograms alternate, so that quantiles describe the recent past and not the whole life of
 * the process. Durations are recorded in microseconds to two significant digits, capped at an hour.
 */
import { build, type Histogram as HdrHistogram } from 'hdr-histogram-js';

const hourMicros = 3_600_000_000;
/** How long one of the two histograms is written before the other. */
export const windowMs = 60_000;
const quantilesShown = [0.5, 0.9, 0.99, 0.999] as const;

/** Units: seconds. */
export type LatencySummary = {
  readonly count: number;
  readonly sum: number;
  /** By quantile; 1 is the maximum. */
  readonly quantiles: ReadonlyMap<number, number>;
};

function emptyHistogram(): HdrHistogram {
  return build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: hourMicros,
    numberOfSignificantValueDigits: 2,
    bitBucketSize: 32,
  });
}

export class LatencyRecorder {
  readonly #monotonicMs: () => number;
  #current = emptyHistogram();
  #previous: HdrHistogram | null = null;
  #windowStartMs: number;
  #count = 0;
  #sumMicros = 0;

  constructor(monotonicMs: () => number) {
    this.#monotonicMs = monotonicMs;
    this.#windowStartMs = monotonicMs();
  }

  /** Records one duration, rounded to microseconds; negative ones count as 0. */
  record(durationMs: number): void {
    const micros = durationMs > 0 ? Math.min(Math.round(durationMs * 1000), hourMicros) : 0;
    this.#count += 1;
    this.#sumMicros += micros;
    this.#current.recordValue(micros);
  }

  /** Switches histograms when the window is over. Called at each scrape. */
  #rotate(): void {
    const nowMs = this.#monotonicMs();
    if (nowMs - this.#windowStartMs < windowMs) return;
    const reused = this.#previous ?? emptyHistogram();
    reused.reset();
    this.#previous = this.#current;
    this.#current = reused;
    this.#windowStartMs = nowMs;
  }

  /** Returns count and sum since the start, and quantiles of the last window or two. */
  summary(): LatencySummary {
    const both = emptyHistogram();
    both.add(this.#current);
    if (this.#previous !== null) both.add(this.#previous);
    this.#rotate();
    const quantiles = new Map<number, number>();
    for (const quantile of quantilesShown) quantiles.set(quantile, both.getValueAtPercentile(quantile * 100) / 1e6);
    quantiles.set(1, both.totalCount === 0 ? 0 : both.maxValue / 1e6);
    return { count: this.#count, sum: this.#sumMicros / 1e6, quantiles };
  }
}
