/** Waits for conditions in tests, always with a deadline. */
import { systemClock } from '../../src/base/clock.ts';

/** Resolves with the first truthy value of `probe`; throws with `what` when none comes within `timeoutMs`. */
export async function waitFor<Value>(
  what: string,
  probe: () => Value | Promise<Value>,
  timeoutMs = 10_000,
): Promise<NonNullable<Value>> {
  const endMs = systemClock.monotonicMs() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (systemClock.monotonicMs() > endMs) throw new Error(`waited ${timeoutMs} ms in vain: ${what}`);
    await systemClock.sleep(5);
  }
}
