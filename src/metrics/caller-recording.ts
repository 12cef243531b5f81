/**
 * Durations by caller and method, and items by caller, of the busiest callers; those of others are
 * `other`.
 *
 * Owns: who is among them. Names of callers come from outside, so they are bounded: a caller takes
 * the place of the least busy one once it asked for more than twice as much lately.
 */
import type { RecordedHistogram, Recording } from './recording.ts';

export const busiestCallersMax = 20;
/** Others of which requests are counted, to see who becomes one of the busiest. */
const candidatesMax = 256;
/** By which counts decay each interval: half of them in half a minute. */
const decay = 0.98;
const otherLabel = 'other';
const unnamedLabel = 'unnamed';

/** `name` is one string for all requests, which a map finds sooner than an equal one. */
type Busy = { readonly name: string; count: number };

export class CallerRecording {
  readonly #durations: RecordedHistogram;
  readonly #items: RecordedHistogram;
  /** Requests of late, by caller. */
  readonly #busiest = new Map<string, Busy>();
  readonly #candidates = new Map<string, number>();

  constructor(recording: Recording) {
    this.#durations = recording.histogram('skyshard_caller_request_duration_seconds');
    this.#items = recording.histogram('skyshard_caller_request_items');
    recording.onTake.push(() => this.#choose());
  }

  /** Records a request of a caller, '' for one without a name. */
  record(caller: string, method: string, durationMs: number): void {
    const name = caller === '' ? unnamedLabel : caller;
    const busy = this.#busyOf(name);
    if (busy !== null) {
      busy.count++;
      return this.#durations.with(busy.name, method).recordMs(durationMs);
    }
    const count = this.#candidates.get(name);
    if (count !== undefined || this.#candidates.size < candidatesMax) this.#candidates.set(name, (count ?? 0) + 1);
    this.#durations.with(otherLabel, method).recordMs(durationMs);
  }

  /** Records how many items a request of a caller asks for. */
  recordItems(caller: string, items: number): void {
    const busy = this.#busyOf(caller === '' ? unnamedLabel : caller);
    this.#items.with(busy?.name ?? otherLabel).record(items);
  }

  /** Returns the entry of one of the busiest, which it becomes while there is room. */
  #busyOf(name: string): Busy | null {
    const known = this.#busiest.get(name);
    if (known !== undefined) return known;
    if (name === otherLabel || this.#busiest.size >= busiestCallersMax) return null;
    const made = { name, count: 0 };
    this.#busiest.set(name, made);
    return made;
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
    const least = [...this.#busiest].reduce((a, b) => (b[1].count < a[1].count ? b : a));
    if (count <= 2 * least[1].count) return;
    this.#busiest.delete(least[0]);
    for (const histogram of [this.#durations, this.#items]) histogram.drop(least[0]);
    this.#candidates.delete(name);
    this.#busiest.set(name, { name, count });
  }
}
