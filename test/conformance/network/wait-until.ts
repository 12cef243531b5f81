/** Polling with a deadline, for conditions that no event announces. */
import { setTimeout as pause } from 'node:timers/promises';

const pollEveryMs = 20;

/** Thrown by a condition that can no longer come true. */
export class Hopeless extends Error {}

/**
 * Polls a condition.
 *
 * Returns: its first value that is neither undefined nor false.
 * Errors: rejects at once when it throws `Hopeless`, else at the deadline, naming what was awaited
 * and the condition's last error.
 */
export async function waitUntil<T>(
  what: string,
  deadlineMs: number,
  condition: () => Promise<T | undefined | false> | T | undefined | false,
): Promise<T> {
  const end = performance.now() + deadlineMs;
  let lastError: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (value !== undefined && value !== false) return value;
    } catch (error) {
      if (error instanceof Hopeless) throw error;
      lastError = error;
    }
    if (performance.now() > end) throw new Error(`waited ${deadlineMs} ms in vain for ${what}`, { cause: lastError });
    await pause(pollEveryMs);
  }
}
