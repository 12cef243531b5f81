/** Waits for conditions instead of fixed times. */
import { systemClock } from '../../src/base/clock.ts';

const pauseMsMin = 5;
const pauseMsMax = 20;

/**
 * Resolves with the first truthy value of `probe`, which is called every few milliseconds, less
 * often after a second: many probes cost more than that.
 *
 * Errors: an Error that shows `probe` when there is none within `withinMs`.
 */
export async function until<Value>(
  probe: () => Value | Promise<Value>,
  withinMs = 20_000,
): Promise<NonNullable<Value>> {
  const startMs = systemClock.monotonicMs();
  for (;;) {
    const value = await probe();
    if (value) return value;
    const elapsedMs = systemClock.monotonicMs() - startMs;
    if (elapsedMs > withinMs) throw new Error(`not so within ${withinMs} ms: ${probe}`);
    await systemClock.sleep(Math.min(pauseMsMin + elapsedMs / 50, pauseMsMax));
  }
}
