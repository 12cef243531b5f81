/** Who is told of each request that a router answers. */
import type { ErrorCode } from '../../base/data-plane-error.ts';
import type { HedgeOutcome } from './hedges.ts';

/** Hot: all of it is called for each request. */
export interface RequestObserver {
  /**
   * A request was answered; `code` is null unless by an error. `items` is how many it asked for, or
   * 0 if it did not get as far, or shared the answer of another one.
   */
  ended(method: string, caller: string, durationMs: number, code: ErrorCode | null, items: number): void;
  /** A request, or a part of one, had to wait for its turn. */
  waited(durationMs: number): void;
  /** A second attempt ended. */
  hedged(outcome: HedgeOutcome, durationMs: number): void;
}
