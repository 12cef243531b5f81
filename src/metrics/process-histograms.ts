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
import { registerReadout } from './metric.ts';
import { everyInterval, Recording } from './recording.ts';
import { registerHistograms } from './stored-histogram.ts';

export class ProcessHistograms implements Disposable {
  readonly recording = new Recording();
  readonly store: HistogramStore;
  readonly #clock: Clock;
  readonly #timer: Disposable;

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

  [Symbol.dispose](): void {
    this.#timer[Symbol.dispose]();
  }
}
