/**
 * Tracks a stream's events from receipt until everything they cause is durable.
 *
 * Owns: the unfinished events. They finish in any order; the cursor passes one only when all before
 * it are done.
 */
import { invariant } from '../base/invariant.ts';

export class DoneTracker {
  /** Ascending, since `begin` only ascends and a Set keeps insertion order. */
  readonly #pending = new Set<number>();
  #received: number;
  #waiters: { readonly seq: number; readonly resolve: () => void }[] = [];

  /** Everything up to `start` (inclusive) counts as received and done. */
  constructor(start: number) {
    this.#received = start;
  }

  /** Highest seq received (inclusive). */
  get received(): number {
    return this.#received;
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  /** Highest seq (inclusive) up to which everything is done. */
  get done(): number {
    for (const first of this.#pending) return first - 1;
    return this.#received;
  }

  begin(seq: number): void {
    invariant(seq > this.#received, 'events are tracked in ascending order');
    this.#received = seq;
    this.#pending.add(seq);
  }

  finish(seq: number): void {
    invariant(this.#pending.delete(seq), 'an event finishes once');
    if (this.#waiters.length === 0) return;
    const done = this.done;
    const ready = this.#waiters.filter((waiter) => waiter.seq <= done);
    this.#waiters = this.#waiters.filter((waiter) => waiter.seq > done);
    for (const waiter of ready) waiter.resolve();
  }

  /**
   * Waits until everything up to `seq` (inclusive) is received and done. Returns: false when the
   * signal aborted first.
   */
  async waitDone(seq: number, signal: AbortSignal): Promise<boolean> {
    if (this.done >= seq) return true;
    if (signal.aborted) return false;
    return new Promise((resolve) => {
      const waiter = { seq, resolve: () => finish(true) };
      const onAbort = (): void => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        finish(false);
      };
      const finish = (isDone: boolean): void => {
        signal.removeEventListener('abort', onAbort);
        resolve(isDone);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }
}
