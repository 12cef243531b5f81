import { microsOf, tidOf } from '../../atproto/tid.ts';

/** Issues ascending TIDs near the requested times. */
export class TidClock {
  #lastMicros = 0;
  readonly #clock: number;

  constructor(clock: number) {
    this.#clock = clock & 1023;
  }

  /** Returns a TID above all issued before: at `timeMs`, or as soon after it as possible. */
  next(timeMs: number): string {
    this.#lastMicros = Math.max(this.#lastMicros + 1, timeMs * 1000);
    return tidOf(this.#lastMicros, this.#clock);
  }

  /** Makes all later TIDs sort above this one. */
  pass(tid: string): void {
    this.#lastMicros = Math.max(this.#lastMicros, microsOf(tid));
  }
}
