/** The machine's clock, moved ahead by a test: timers run as always. */
import { type Clock, systemClock } from '../../src/base/clock.ts';

export class ShiftedClock implements Clock {
  aheadMs = 0;

  nowMs(): number {
    return systemClock.nowMs() + this.aheadMs;
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.aheadMs;
  }

  sleep(durationMs: number, signal?: AbortSignal): Promise<void> {
    return systemClock.sleep(durationMs, signal);
  }
}
