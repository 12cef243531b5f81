/**
 * The histograms of a process that has them: its main thread's recording, and the store of all
 * threads.
 *
 * Owns: the timer that takes the main thread's intervals. Others' are given to `store.add`.
 */
import type { Registry } from 'prom-client';
import type { Clock } from '../base/clock.ts';
import { type HistogramQuestion, type HistogramReport, histogramReport } from './histogram-report.ts';
import { HistogramStore } from './histogram-store.ts';
import { type Gauges, type LiveAnswer, LiveHistory, type LiveQuestion } from './live-history.ts';
import { registerReadout } from './metric.ts';
import { everyInterval, Recording } from './recording.ts';
import { registerHistograms } from './stored-histogram.ts';

/** How long after a question a process counts as watched. */
const watchMs = 10_000;

/** What a process recorded lately, and since when it runs. */
export type Live = LiveAnswer & { readonly startMs: number };

export type LiveSource = (question: LiveQuestion) => Promise<Live>;

export class ProcessHistograms implements Disposable {
  readonly recording = new Recording();
  readonly store: HistogramStore;
  readonly #clock: Clock;
  readonly #timer: Disposable;
  #history: LiveHistory | null = null;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.store = new HistogramStore(clock);
    this.#timer = everyInterval(this.recording, (interval) => this.store.add(interval, 'main'));
  }

  /** Has the store hold all that the main thread has recorded so far. */
  flush(): void {
    const interval = this.recording.take();
    if (interval.series.length > 0 || interval.slotReads.length > 0) this.store.add(interval, 'main');
  }

  register(registry: Registry, process: 'node' | 'router'): void {
    registerHistograms(registry, process, this.store, () => this.flush());
    // A node with an edge is registered as both.
    if (registry.getSingleMetric('skyshard_recording_bytes') !== undefined) return;
    registerReadout(registry, 'skyshard_recording_bytes', () => this.store.memory.bytes);
    registerReadout(registry, 'skyshard_recording_refused_series_total', () => this.store.memory.refused);
  }

  /** Returns what this process, of this name, has recorded until now. */
  report(process: string, question: HistogramQuestion): Promise<HistogramReport> {
    this.flush();
    return histogramReport(process, this.store, question, this.#clock);
  }

  /** Keeps what is recorded from now on for dashboards, with figures of the process. */
  keepHistory(readGauges: () => Promise<Gauges>): void {
    this.#history ??= new LiveHistory(this.store, readGauges, this.#clock);
  }

  /** Returns what was recorded lately. */
  live(question: LiveQuestion): Live {
    const { startMs } = this.store;
    const history = this.#history;
    if (history === null) return { startMs, frames: [], names: [], bits: 0 };
    history.watchedUntilMs = this.#clock.nowMs() + watchMs;
    return { startMs, ...history.answer(question) };
  }

  [Symbol.dispose](): void {
    this.#history?.[Symbol.dispose]();
    this.#timer[Symbol.dispose]();
  }
}
