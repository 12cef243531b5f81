/**
 * Why a node should get no requests although it answers them.
 *
 * What it has may be old, as after a restart, or not all of it, as after a loss. An operator sees
 * which slots in `skyshard status`.
 */
import type { Clock } from '../base/clock.ts';
import type { NodeStatus, SlotStatus } from '../wire/node-status.ts';

/** The age of the last applied event beyond which a slot that has more to apply is too old. */
export const readyLagMsMax = 300_000;

function isReady({ role, condition, waiting, lagMs }: SlotStatus): boolean {
  // It is asked only while it is close to its log, and other nodes have the slot.
  if (role === 'replica') return true;
  // Without anything that waits, the last event is the newest.
  const isOld = waiting > 0 && lagMs !== null && lagMs > readyLagMsMax;
  return condition === 'complete' && !isOld;
}

/** Returns the slots of a node that are too old, or incomplete. */
export function unreadySlots({ slots }: NodeStatus): number[] {
  return slots.filter((slot) => !isReady(slot)).map(({ slot }) => slot);
}

/** An answer of this age is given again: the status of all slots is much, and anyone may ask. */
export const readinessAgeMsMax = 1_000;

/** Whether a node is ready, looked at once a second at most. */
export class NodeReadiness {
  readonly #look: () => Promise<boolean>;
  readonly #clock: Clock;
  #answer: Promise<boolean> | null = null;
  #lookedMs = 0;

  constructor(look: () => Promise<boolean>, clock: Clock) {
    this.#look = look;
    this.#clock = clock;
  }

  /** Errors: those of `look`. */
  isReady(): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#answer !== null && nowMs - this.#lookedMs < readinessAgeMsMax) return this.#answer;
    this.#lookedMs = nowMs;
    this.#answer = this.#look();
    return this.#answer;
  }
}
