/**
 * Durations by caller and method, and items by caller, of the busiest callers; those of others are
 * `other`.
 *
 * Owns: who is among them. Names of callers come from outside, so they are bounded: a caller takes
 * the place of the least busy one once it asked for more than twice as much lately.
 */
import type { RecordedHistogram, Recording, SeriesRecorder } from './recording.ts';

export const busiestCallersMax = 20;
/** Others of which requests are counted, to see who becomes one of the busiest. */
const candidatesMax = 256;
/** By which counts decay each interval: half of them in half a minute. */
const decay = 0.98;
const otherLabel = 'other';
const unnamedLabel = 'unnamed';

/** The series of one caller, looked up once and not for each request. */
class RecordedCaller {
  readonly name: string;
  /** Requests of late. */
  count = 0;
  readonly items: SeriesRecorder;
  readonly #durations: RecordedHistogram;
  readonly #durationsByMethod = new Map<string, SeriesRecorder>();

  constructor(name: string, durations: RecordedHistogram, items: RecordedHistogram) {
    this.name = name;
    this.items = items.with(name);
    this.#durations = durations;
  }

  durationsOf(method: string): SeriesRecorder {
    return this.#durationsByMethod.get(method) ?? this.#addDurations(method);
  }

  #addDurations(method: string): SeriesRecorder {
    const series = this.#durations.with(this.name, method);
    this.#durationsByMethod.set(method, series);
    return series;
  }
}

export class CallerRecording {
  readonly #durations: RecordedHistogram;
  readonly #items: RecordedHistogram;
  readonly #busiest = new Map<string, RecordedCaller>();
  #others: RecordedCaller | null = null;
  /** Requests of late, by caller. */
  readonly #candidates = new Map<string, number>();

  constructor(recording: Recording) {
    this.#durations = recording.histogram('skyshard_caller_request_duration_seconds');
    this.#items = recording.histogram('skyshard_caller_request_items');
    recording.onTake.push(() => this.#choose());
  }

  /** Records a request of a caller, '' for one without a name. 0 items: not known. */
  record(caller: string, method: string, durationMs: number, items: number): void {
    const recorded = this.#recordedOf(caller === '' ? unnamedLabel : caller);
    recorded.count++;
    recorded.durationsOf(method).recordMs(durationMs);
    if (items > 0) recorded.items.record(items);
  }

  /** Returns one of the busiest, as which a caller is added while there is room, or the others. */
  #recordedOf(name: string): RecordedCaller {
    const known = this.#busiest.get(name);
    if (known !== undefined) return known;
    if (name !== otherLabel && this.#busiest.size < busiestCallersMax) return this.#add(name, 0);
    const count = this.#candidates.get(name);
    if (count !== undefined || this.#candidates.size < candidatesMax) this.#candidates.set(name, (count ?? 0) + 1);
    this.#others ??= this.#recorded(otherLabel);
    return this.#others;
  }

  #recorded(name: string): RecordedCaller {
    return new RecordedCaller(name, this.#durations, this.#items);
  }

  #add(name: string, count: number): RecordedCaller {
    const added = this.#recorded(name);
    added.count = count;
    this.#busiest.set(name, added);
    return added;
  }

  /** Gives the place of the least busy caller to one that is much busier. */
  #choose(): void {
    for (const caller of this.#busiest.values()) caller.count *= decay;
    for (const [name, count] of this.#candidates) {
      if (name !== otherLabel) this.#offer(name, count);
    }
    for (const [name, count] of this.#candidates) {
      if (count * decay < 1) this.#candidates.delete(name);
      else this.#candidates.set(name, count * decay);
    }
  }

  #offer(name: string, count: number): void {
    const least = [...this.#busiest.values()].reduce((a, b) => (b.count < a.count ? b : a));
    if (count <= 2 * least.count) return;
    this.#busiest.delete(least.name);
    for (const histogram of [this.#durations, this.#items]) histogram.drop(least.name);
    this.#candidates.delete(name);
    this.#add(name, count);
  }
}
