/** A rate limit: a token for each thing that is done; those of one second at most are saved. */
import type { Clock } from './clock.ts';

export class TokenBucket {
  readonly #perSecond: number;
  readonly #clock: Clock;
  #tokens: number;
  #filledMs: number;

  /** Begins with `tokens`, by default as many as it saves. */
  constructor(perSecond: number, clock: Clock, tokens = perSecond) {
    this.#perSecond = perSecond;
    this.#clock = clock;
    this.#tokens = tokens;
    this.#filledMs = clock.monotonicMs();
  }

  /** Takes a token. Returns false when there is none. */
  tryTake(): boolean {
    const nowMs = this.#clock.monotonicMs();
    this.#tokens = Math.min(this.#perSecond, this.#tokens + ((nowMs - this.#filledMs) * this.#perSecond) / 1000);
    this.#filledMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}
