/** What `node.status` says of each slot: nodes answer it, routers settle by it, operators read it. */

/** One slot as operators see it. Counts of effects are since the slot was made. */
export type SlotStatus = {
  readonly slot: number;
  /** Last seq applied and durable; inclusive. */
  readonly cursor: number;
  /** Last seq in the log; inclusive. */
  readonly head: number;
  /** Entries that wait to be applied, in memory or in the log. */
  readonly waiting: number;
  readonly outbox: number;
  /** Effects up to this mark (inclusive) are at their targets; null when none is owed. */
  readonly deliveredMark: number | null;
  /** No effect of an entry up to `cursor` has a greater mark. */
  readonly lastMark: number;
  /** True while long work of the slot goes on in entries of its own. */
  readonly isContinuing: boolean;
  readonly sentEffects: number;
  readonly receivedEffects: number;
  /** Now minus the event time of the last entry applied; null before the first. */
  readonly lagMs: number | null;
  readonly bytes: number;
  /** `full` while writes are refused for lack of room. */
  readonly state: 'applying' | 'full';
};
