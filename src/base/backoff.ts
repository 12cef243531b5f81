/**
 * Delays between retries: doubling up to a limit, with jitter against simultaneous retries; and
 * between looks at work that others do.
 */
import type { SeededRandom } from './seeded-random.ts';

export type BackoffPolicy = {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Failures that wait `firstMs` before the doubling starts; 1 by default. */
  readonly fastFailures?: number;
};

/** Returns the delay after this many failures in a row (from 1): 50-100% of the nominal one. */
export function backoffMs(policy: BackoffPolicy, failures: number, random: SeededRandom): number {
  const doublings = Math.max(0, failures - (policy.fastFailures ?? 1));
  return Math.min(policy.firstMs * 2 ** Math.min(doublings, 40), policy.maxMs) * (0.5 + random.next() / 2);
}

const lookMs = { min: 10, max: 500 };

/**
 * Returns when to look again at work of others that may take milliseconds or hours: what is done
 * is noticed a quarter later than it could be, or half a second.
 *
 * Units: ms since the work was begun, ms from now.
 */
export function lookAgainMs(tookMs: number): number {
  return Math.min(lookMs.max, Math.max(lookMs.min, tookMs / 4));
}

/** Returns whether the log says so for this many failures in a row: the first, second, fourth … */
export function isSaidAgain(failures: number): boolean {
  return Number.isInteger(Math.log2(failures));
}
