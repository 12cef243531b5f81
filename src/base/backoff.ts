/**
 * How long to wait before another attempt: doubling up to a cap, with jitter so that many who
 * failed at once spread out.
 */
import type { SeededRandom } from './seeded-random.ts';

/** The waits of one caller. */
export type BackoffPolicy = {
  readonly firstMs: number;
  readonly maxMs: number;
  /** Failures whose wait is `firstMs` before the doubling begins; 1 by default. */
  readonly fastFailures?: number;
};

/**
 * Returns the wait after so many failures in a row (from 1): half of its nominal length or more.
 */
export function backoffMs(policy: BackoffPolicy, failures: number, random: SeededRandom): number {
  const doublings = Math.max(0, failures - (policy.fastFailures ?? 1));
  return Math.min(policy.firstMs * 2 ** Math.min(doublings, 40), policy.maxMs) * (0.5 + random.next() / 2);
}
