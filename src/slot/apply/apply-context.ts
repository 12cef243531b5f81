import type { ContinueWork, Effect } from '../../entry/entry.ts';
import type { SlotState } from '../table/slot-state.ts';

/** All that an apply rule may use, so that replicas agree: no clock, no randomness, no network. */
export type ApplyContext = {
  readonly state: SlotState;
  /** When the entry was appended. Units: ms. */
  readonly appendMs: number;
  /** Sends an effect to the slot of its key; one to this slot is applied before the next entry. */
  send(effect: Effect): void;
  /** Appends the next chunk of long work to this slot's own log. */
  continueWith(did: string, work: ContinueWork): void;
};

/** Rows that one entry may touch in unbounded work, which then continues in another entry. */
export const chunkRowsMax = 200;
