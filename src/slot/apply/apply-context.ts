import type { ContinueWork, Effect } from '../../entry/entry.ts';
import type { SlotState } from '../table/slot-state.ts';

/**
 * What an apply rule may use: the slot's state and the entry's own times. No clock, no randomness,
 * no network.
 */
export type ApplyContext = {
  readonly state: SlotState;
  /** When the entry was appended. Units: ms. */
  readonly appendMs: number;
  /**
   * Sends an effect to the slot of its routing key; one to this slot is applied before the next
   * entry.
   */
  send(effect: Effect): void;
  /** Appends the next chunk of long work to this slot's own log. */
  continueWith(did: string, work: ContinueWork): void;
};

/**
 * Rows that one entry may touch in work of unbounded size before it continues in an entry of its
 * own.
 */
export const chunkRowsMax = 200;
