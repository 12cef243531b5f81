import { microsOf, tidOf } from '../../atproto/tid.ts';

/** Gives out TIDs that ascend, near the times asked for. */
export class TidClock {
  #lastMicros = 0;
  readonly #clock: number;

  constructor(clock: number) {
    this.#clock = clock & 1023;
  }

  /** Returns a TID above all that were given out before, at `timeMs` or as soon after it as that allows. */
  next(timeMs: number): string {
    this.#lastMicros = Math.max(this.#lastMicros + 1, timeMs * 1000);
    return tidOf(this.#lastMicros, this.#clock);
  }

  /** Makes sure that all TIDs from now on are above this one. */
  pass(tid: string): void {
    this.#lastMicros = Math.max(this.#lastMicros, microsOf(tid));
  }
}
