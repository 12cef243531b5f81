/** How long to wait before another attempt: fast at first, then doubling to a ceiling, spread by jitter. */
import type { SeededRandom } from '../base/seeded-random.ts';

/** The shape of the waits between attempts. */
export type RetryPolicy = {
  /** Delay of the first attempts. */
  readonly firstMs: number;
  /** How many attempts keep that first delay. */
  readonly fastAttempts: number;
  readonly maxMs: number;
};

/** Returns the wait before attempt `attempt` (from 0), within a quarter of its nominal length either way. */
export function retryDelayMs(policy: RetryPolicy, attempt: number, random: SeededRandom): number {
  const doublings = Math.min(Math.max(0, attempt - policy.fastAttempts + 1), 40);
  const nominalMs = Math.min(policy.firstMs * 2 ** doublings, policy.maxMs);
  return nominalMs * (0.75 + random.next() / 2);
}
