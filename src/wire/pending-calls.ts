/**
 * The calls of one link that wait for their answers.
 *
 * Owns: their ids, their deadlines, and the count of their bytes. A call is removed once: by
 * `take`, by `takeAll`, or by its deadline, which rejects it.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';

/** A call that was sent, or that waits for its link to open. */
export type PendingCall = {
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: DataPlaneError) => void;
  readonly method: string;
  readonly requestBytes: number;
  readonly deadlineMs: number;
};

/** A sweep checks all deadlines, so that a call needs no timer of its own. */
const sweepMs = 10;

/** `onSweep` gets the number of calls that a sweep timed out. */
export class PendingCalls {
  readonly #node: string;
  readonly #clock: Clock;
  readonly #onSweep: (timeoutCount: number, nowMs: number) => void;
  readonly #callById = new Map<number, PendingCall>();
  #lastId = 0;
  #bytes = 0;
  #sweepTimer: NodeJS.Timeout | null = null;

  constructor(node: string, clock: Clock, onSweep: (timeoutCount: number, nowMs: number) => void) {
    this.#node = node;
    this.#clock = clock;
    this.#onSweep = onSweep;
  }

  get count(): number {
    return this.#callById.size;
  }

  /** Units: bytes of the requests. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Returns the id of the call. */
  add(call: PendingCall): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#callById.has(this.#lastId));
    this.#callById.set(this.#lastId, call);
    this.#bytes += call.requestBytes;
    this.#sweepTimer ??= setTimeout(this.#sweep, sweepMs);
    return this.#lastId;
  }

  /** Removes and returns a call; undefined if it was removed before. */
  take(id: number): PendingCall | undefined {
    const call = this.#callById.get(id);
    if (call === undefined) return undefined;
    this.#callById.delete(id);
    this.#bytes -= call.requestBytes;
    return call;
  }

  takeAll(): PendingCall[] {
    const calls = [...this.#callById.values()];
    this.#callById.clear();
    this.#bytes = 0;
    if (this.#sweepTimer !== null) clearTimeout(this.#sweepTimer);
    this.#sweepTimer = null;
    return calls;
  }

  readonly #sweep = (): void => {
    const nowMs = this.#clock.monotonicMs();
    let timeoutCount = 0;
    for (const [id, { deadlineMs, method, reject }] of this.#callById) {
      if (deadlineMs > nowMs) continue;
      this.take(id);
      timeoutCount++;
      reject(deadlineExceeded(this.#node, method));
    }
    this.#sweepTimer = this.#callById.size > 0 ? setTimeout(this.#sweep, sweepMs) : null;
    this.#onSweep(timeoutCount, nowMs);
  };
}

/** Returns the error of a call whose deadline has passed. */
export function deadlineExceeded(node: string, method: string): DataPlaneError {
  return new DataPlaneError('DeadlineExceeded', `node ${node}: ${method}`);
}
