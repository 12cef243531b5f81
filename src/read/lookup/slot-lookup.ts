/** Which slot of this node answers for a key. */
import { didLengthMax } from '../../atproto/compact-key.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { xxh32 } from '../../base/xxh32.ts';
import { slotOf } from '../../shardmap/slot-of.ts';
import { conditionOf } from '../../slot/slot-meta.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { SlotTouches } from './slot-touches.ts';

/**
 * A slot for which this node answers calls to all nodes. `isOwn` says of which DIDs: while slots
 * are doubled, one that has split still holds what its child answers for, and the other way round.
 */
export type AnsweredSlot = {
  readonly slot: number;
  readonly state: SlotState;
  readonly isOwn: (did: string) => boolean;
};

export class SlotLookup {
  #slots: number;
  readonly #stateOf: (slot: number) => SlotState | undefined;
  readonly #isPrimaryOf: (slot: number) => boolean;
  readonly #touches: SlotTouches;

  /**
   * `slots` counts those of the cluster; `stateOf` returns undefined for slots of other nodes, and
   * for a child that is still to be made its parent's; `isPrimaryOf` says of which this node is the
   * primary, by default of all that it serves.
   */
  constructor(
    slots: number,
    stateOf: (slot: number) => SlotState | undefined,
    isPrimaryOf: (slot: number) => boolean = () => true,
    touches: SlotTouches = new SlotTouches(slots),
  ) {
    this.#slots = slots;
    this.#stateOf = stateOf;
    this.#isPrimaryOf = isPrimaryOf;
    this.#touches = touches;
  }

  /** Takes a DID or a handle in lower case. Errors: DataPlaneError `WrongEpoch`. */
  stateOf(key: string): SlotState {
    return this.stateOfSlot(slotOf(key, this.#slots));
  }

  /** Takes a key's `xxh32`. Errors: DataPlaneError `WrongEpoch`. */
  stateOfHash(hash: number): SlotState {
    return this.stateOfSlot(hash & (this.#slots - 1));
  }

  /** Returns the slot of the key at `source[start..end)`, served here or not. */
  slotOfBytes(source: Buffer, start: number, end: number): number {
    return xxh32(source.subarray(start, end)) & (this.#slots - 1);
  }

  /** Returns the states of the slots that are served here. */
  states(): SlotState[] {
    return Array.from({ length: this.#slots }, (_unused, slot) => this.#stateOf(slot)).filter(
      (state) => state !== undefined,
    );
  }

  /** Takes the number of slots of the cluster, which may become more. */
  useSlots(slots: number): void {
    this.#slots = slots;
    this.#touches.useSlots(slots);
  }

  /**
   * Returns the slots for which this node answers calls to all nodes: those that it is the primary
   * of, so that none is answered for twice. From `first` on, in their order.
   */
  primariesFrom(first: number): AnsweredSlot[] {
    const slots = this.#slots;
    const states = Array.from({ length: slots }, (_unused, slot) =>
      this.#isPrimaryOf(slot) ? this.#stateOf(slot) : undefined,
    );
    return states.flatMap((state, slot) => {
      // Its parent answers for it.
      if (slot < first || state === undefined || state.index !== slot) return [];
      return { slot, state, isOwn: (did: string) => states[slotOf(did, slots)] === state };
    });
  }

  /** How many slots this node is the primary of and serves, made or not. */
  get primaryCount(): number {
    let count = 0;
    for (let slot = 0; slot < this.#slots; slot++) if (this.#isPrimaryOf(slot) && this.serves(slot)) count++;
    return count;
  }

  /** Of the cluster. */
  get slots(): number {
    return this.#slots;
  }

  serves(slot: number): boolean {
    return this.#stateOf(slot) !== undefined;
  }

  stateOfSlot(slot: number): SlotState {
    this.#touches.touch(slot);
    const state = this.#stateOf(slot);
    if (state === undefined) throw new DataPlaneError('WrongEpoch', `slot ${slot} is not served here`);
    return state;
  }
}

/**
 * Called where a slot has nothing, before that is said to a caller. Lists that are not empty are
 * served as they are, and so are counts.
 *
 * Errors: DataPlaneError `Unavailable` for a slot that may lack what it should have.
 */
export function requireWhole(state: SlotState): void {
  if (state.isKnownComplete) return;
  const condition = conditionOf(state);
  state.isKnownComplete = condition === 'complete';
  if (state.isKnownComplete) return;
  const { index } = state;
  const isNew = condition === 'new';
  const why = isNew ? 'is new, and not all nodes have said so yet' : 'has lost what it held and is not repaired';
  const hint = isNew
    ? 'Run `skyshard status` to see which node is down.'
    : `Run \`skyshard repair slot ${index}\`; until then the slot serves only what it has.`;
  throw new DataPlaneError('Unavailable', `slot ${index} ${why}`, { hint });
}

/**
 * Returns the owner number of a DID in its slot; undefined for an unknown or too long one.
 *
 * Errors: see `requireWhole`.
 */
export function ownerOfDid(state: SlotState, did: string): number | undefined {
  if (did.length > didLengthMax) return undefined;
  const owner = state.ownerOf(did);
  if (owner === undefined) requireWhole(state);
  return owner;
}
