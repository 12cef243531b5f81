/** What a router records, or the process that it shares with others of a node. */
import type { Registry } from 'prom-client';
import type { Note } from '../base/bounded-notes.ts';
import type { Clock } from '../base/clock.ts';
import type { HistogramSource } from '../metrics/histogram-report.ts';
import type { HistogramMemory } from '../metrics/histogram-store.ts';
import { readGauges } from '../metrics/process-gauges.ts';
import { type LiveSource, ProcessHistograms } from '../metrics/process-histograms.ts';
import type { Recording } from '../metrics/recording.ts';
import { SlowLog } from './slow-log.ts';

/** Absent parts are the router's own. */
export type RecordingParts = {
  readonly recording?: Recording;
  readonly histograms?: HistogramSource;
  readonly live?: LiveSource;
  readonly registry: Registry;
  readonly note?: Note;
};

export class RouterRecording implements Disposable {
  readonly recording: Recording;
  readonly histograms: HistogramSource;
  readonly live: LiveSource;
  readonly slow: SlowLog;
  readonly #own: ProcessHistograms | null;

  constructor({ recording, histograms, live, registry, note = () => {} }: RecordingParts, clock: Clock) {
    this.slow = new SlowLog(note, clock);
    if (recording !== undefined && histograms !== undefined && live !== undefined) {
      this.#own = null;
      this.recording = recording;
      this.histograms = histograms;
      this.live = live;
      return;
    }
    const own = new ProcessHistograms(clock);
    own.register(registry, 'router');
    own.keepHistory(() => readGauges(registry));
    this.#own = own;
    this.recording = own.recording;
    this.histograms = (question) => own.report('router', question);
    this.live = async (question) => own.live(question);
  }

  /** Of the router's own histograms, else null. */
  get memory(): HistogramMemory | null {
    return this.#own?.store.memory ?? null;
  }

  [Symbol.dispose](): void {
    this.#own?.[Symbol.dispose]();
  }
}
