/** The machine's clock, moved ahead by a test, or with pauses that are cut short. */
import { type Clock, systemClock } from '../../src/base/clock.ts';

export class ShiftedClock implements Clock {
  aheadMs = 0;
  readonly #sleepMsMax: number;

  /** No pause is longer than `sleepMsMax`, so that windows end soon. */
  constructor(sleepMsMax = Number.POSITIVE_INFINITY) {
    this.#sleepMsMax = sleepMsMax;
  }

  nowMs(): number {
    return systemClock.nowMs() + this.aheadMs;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.aheadMs;
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(Math.min(durationMs, this.#sleepMsMax), signal);
  }
}
