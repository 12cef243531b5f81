/** Waiting for a condition instead of for time. */
import { setTimeout as pause } from 'node:timers/promises';

/**
 * Resolves when the condition holds; asks again every few milliseconds.
 *
 * Errors: an Error that names the condition when it does not hold within `withinMs`.
 */
export async function until(condition: () => boolean | Promise<boolean>, withinMs = 20_000): Promise<void> {
  const deadlineMs = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadlineMs) throw new Error(`not so within ${withinMs} ms: ${condition}`);
    await pause(10);
  }
}
