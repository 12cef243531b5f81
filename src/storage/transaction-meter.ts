/** Measures transactions: their work, and how long they then take until they are on disk. */
import type { Clock } from '../base/clock.ts';

/** `commitMs` is from the end of a transaction's work until it was on disk. */
export type TransactionMeter = {
  readonly clock: Clock;
  readonly committed: (workMs: number, commitMs: number) => void;
};

/** Runs `work` in a transaction that `transact` makes, and tells the meter once it is on disk. */
export function measured<T>(transact: (work: () => T) => T, work: () => T, { clock, committed }: TransactionMeter): T {
  const startMs = clock.monotonicMs();
  let doneMs = startMs;
  const result = transact(() => {
    const done = work();
    doneMs = clock.monotonicMs();
    return done;
  });
  committed(doneMs - startMs, clock.monotonicMs() - doneMs);
  return result;
}
