/** Whether the operator has a source paused: durable, and in force at once. */
import type { Clock } from '../base/clock.ts';
import type { PausedSources } from './state/paused-sources.ts';

/** The end of a pause ends this wait. */
const waitMsMax = 60_000;

export type SourcePauseOptions = {
  readonly name: string;
  readonly state: { readonly pausedSources: PausedSources };
  readonly clock: Clock;
};

export class SourcePause {
  readonly #name: string;
  readonly #paused: PausedSources;
  readonly #clock: Clock;
  readonly #onBegin: () => void;
  #ended = new AbortController();

  /** `onBegin` ends the connection. */
  constructor({ name, state, clock }: SourcePauseOptions, onBegin: () => void) {
    this.#name = name;
    this.#paused = state.pausedSources;
    this.#clock = clock;
    this.#onBegin = onBegin;
  }

  /** Since when the source is paused, or null. */
  get sinceMs(): number | null {
    return this.#paused.get(this.#name) ?? null;
  }

  /** Nothing is taken of the source from now on, also after a restart. */
  async begin(): Promise<void> {
    await this.#paused.put(this.#name, this.#clock.nowMs());
    this.#onBegin();
  }

  /** The source is followed again, at its cursor. */
  async end(): Promise<void> {
    await this.#paused.put(this.#name, null);
    this.#ended.abort();
  }

  /** Returns: once the source is not paused, or the signal aborts. */
  async wait(signal: AbortSignal): Promise<void> {
    while (this.sinceMs !== null && !signal.aborted) {
      this.#ended = new AbortController();
      await this.#clock.sleep(waitMsMax, AbortSignal.any([signal, this.#ended.signal]));
    }
  }
}
