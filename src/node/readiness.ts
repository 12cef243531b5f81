/**
 * Why a node should get no requests although it answers them.
 *
 * What it has may be old, as after a restart, or not all of it, as after a loss. An operator sees
 * which slots in `skyshard status`.
 */
import type { NodeStatus, SlotStatus } from '../wire/node-status.ts';

/** The age of the last applied event beyond which a slot that has more to apply is too old. */
export const readyLagMsMax = 300_000;

function isReady({ condition, waiting, lagMs }: SlotStatus): boolean {
  // Without anything that waits, the last event is the newest.
  const isOld = waiting > 0 && lagMs !== null && lagMs > readyLagMsMax;
  return condition === 'complete' && !isOld;
}

/** Returns the slots of a node that are too old, or incomplete. */
export function unreadySlots({ slots }: NodeStatus): number[] {
  return slots.filter((slot) => !isReady(slot)).map(({ slot }) => slot);
}
