import type { Entry } from '../entry/entry.ts';
import type { LogServerStatus } from '../wire/node-status.ts';

/**
 * Appends entries to the log of the slot that a key hashes to.
 *
 * Keeps the order of calls for each slot, and batches across slots and nodes. When it is over its
 * capacity, `append` still accepts entries, but `waitForCapacity` waits: callers await it between
 * events, so that memory is bounded.
 */
export interface LogAppender {
  /**
   * Queues an entry for the slot of `key`: a DID, or for a handle claim a handle.
   *
   * Returns: once the entry is durable in the slot's log, but not necessarily applied. Retries
   * until the appender closes. Errors: EntriesRefused for good, which names the DIDs.
   */
  append(key: string, entry: Entry): Promise<void>;
  /** False while `waitForCapacity` waits. */
  readonly hasCapacity: boolean;
  /** Resolves once there is capacity: the backpressure of the log. */
  waitForCapacity(): Promise<void>;
  readonly pendingBytes: number;
  /** What is known of the server that has the log; absent where nodes have it. */
  readonly serverStatus?: LogServerStatus | null;
}
