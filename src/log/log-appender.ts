import type { Entry } from '../entry/entry.ts';

/**
 * Where ingest and routers put entries: the log of the slot that a key hashes to.
 *
 * Keeps the order of calls for each slot, batches across slots and nodes, and is bounded: past
 * `pendingBytesMax`, `append` still takes entries but `waitForCapacity` waits, so a reader that
 * awaits it between events never overruns memory.
 */
export interface LogAppender {
  /**
   * Queues one entry for the slot of `key` (a DID, or a handle for a handle claim).
   *
   * Returns: once the entry is durable in the slot's log (not: applied). Attempts go on until the
   * appender closes.
   */
  append(key: string, entry: Entry): Promise<void>;
  /** False while `waitForCapacity` waits. */
  readonly hasCapacity: boolean;
  /** Resolves when the queue has capacity: the backpressure of the log. */
  waitForCapacity(): Promise<void>;
  readonly pendingBytes: number;
}
