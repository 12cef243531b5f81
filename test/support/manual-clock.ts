/** A clock that advances only when the test moves it. */
import type { Clock } from '../../src/base/clock.ts';

type Sleeper = { readonly atMs: number; readonly wake: () => void };

export class ManualClock implements Clock {
  #timeMs: number;
  #sleepers: Sleeper[] = [];

  constructor(startMs = 1_700_000_000_000) {
    this.#timeMs = startMs;
  }

  nowMs(): number {
    return this.#timeMs;
  }

  monotonicMs(): number {
    return this.#timeMs;
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    if (signal?.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#sleepers.push({ atMs: this.#timeMs + durationMs, wake: resolve });
      signal?.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  get sleeperCount(): number {
    return this.#sleepers.length;
  }

  /** Advances the time and wakes the sleepers that are due. */
  advance(durationMs: number): void {
    this.#timeMs += durationMs;
    const awake = this.#sleepers.filter(({ atMs }) => atMs <= this.#timeMs);
    this.#sleepers = this.#sleepers.filter(({ atMs }) => atMs > this.#timeMs);
    for (const { wake } of awake) wake();
  }
}
