/** Waits for conditions instead of fixed times. */
import { systemClock } from '../../src/base/clock.ts';

/**
 * Resolves with the first truthy value of `probe`, which is called every few milliseconds.
 *
 * Errors: an Error that shows `probe` when there is none within `withinMs`.
 */
export async function until<Value>(
  probe: () => Value | Promise<Value>,
  withinMs = 20_000,
): Promise<NonNullable<Value>> {
  const endMs = systemClock.monotonicMs() + withinMs;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (systemClock.monotonicMs() > endMs) throw new Error(`not so within ${withinMs} ms: ${probe}`);
    await systemClock.sleep(5);
  }
}
