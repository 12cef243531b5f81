/** What is recorded of each request: how long, by whom, how it ended, how much it asked for. */
import type { Registry } from 'prom-client';
import type { ErrorCode } from '../base/data-plane-error.ts';
import { CallerRecording } from '../metrics/caller-recording.ts';
import { LabelledCounter, registerReadout } from '../metrics/metric.ts';
import type { RecordedHistogram, Recording, SeriesRecorder } from '../metrics/recording.ts';
import type { HedgeOutcome } from './plan/hedges.ts';
import type { RequestObserver } from './plan/request-observer.ts';
import { outcomeOf } from './request-outcome.ts';

/** The series of one method's requests, looked up once and not for each of them. */
type RecordedMethod = { readonly ok: SeriesRecorder; readonly items: SeriesRecorder };

export class RequestMetrics implements RequestObserver {
  readonly #durations: RecordedHistogram;
  readonly #items: RecordedHistogram;
  readonly #queue: RecordedHistogram;
  readonly #hedges: RecordedHistogram;
  readonly #callers: CallerRecording;
  readonly #recordedByMethod = new Map<string, RecordedMethod>();
  readonly #errors: LabelledCounter;

  constructor(recording: Recording, registry: Registry) {
    this.#durations = recording.histogram('skyshard_request_duration_seconds');
    this.#items = recording.histogram('skyshard_request_items');
    this.#queue = recording.histogram('skyshard_request_queue_seconds');
    this.#hedges = recording.histogram('skyshard_request_hedge_seconds');
    this.#callers = new CallerRecording(recording);
    this.#errors = new LabelledCounter(registry, 'skyshard_request_errors_total');
    registerReadout(registry, 'skyshard_requests_total', () => {
      const countByMethod = new Map<string, number>();
      for (const { labels, total } of this.#durations.all()) {
        countByMethod.set(labels[0]!, (countByMethod.get(labels[0]!) ?? 0) + total);
      }
      return Array.from(countByMethod, ([method, value]) => ({ labels: { method }, value }));
    });
  }

  ended(method: string, caller: string, durationMs: number, code: ErrorCode | null, items: number): void {
    const recorded = this.#recordedByMethod.get(method) ?? this.#addMethod(method);
    this.#callers.record(caller, method, durationMs, items);
    if (items > 0) recorded.items.record(items);
    if (code === null) return recorded.ok.recordMs(durationMs);
    this.#durations.with(method, outcomeOf(code)).recordMs(durationMs);
    this.#errors.with(method, code).add();
  }

  #addMethod(method: string): RecordedMethod {
    const recorded = { ok: this.#durations.with(method, 'ok'), items: this.#items.with(method) };
    this.#recordedByMethod.set(method, recorded);
    return recorded;
  }

  waited(durationMs: number): void {
    this.#queue.with().recordMs(durationMs);
  }

  hedged(outcome: HedgeOutcome, durationMs: number): void {
    this.#hedges.with(outcome).recordMs(durationMs);
  }
}
