/** Which slot of this node answers for a key. */
import { didLengthMax } from '../../atproto/compact-key.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { xxh32 } from '../../base/xxh32.ts';
import { slotOf } from '../../shardmap/slot-of.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';

/** Finds the states of the slots that this node serves. */
export class SlotLookup {
  readonly #slots: number;
  readonly #stateOf: (slot: number) => SlotState | undefined;

  /** `slots` counts the slots of the cluster; `stateOf` gives undefined for those of other nodes. */
  constructor(slots: number, stateOf: (slot: number) => SlotState | undefined) {
    this.#slots = slots;
    this.#stateOf = stateOf;
  }

  /** Returns the state of the slot of a DID or lower-case handle. Errors: DataPlaneError `WrongEpoch`. */
  stateOf(key: string): SlotState {
    return this.stateOfSlot(slotOf(key, this.#slots));
  }

  /** Returns the state of the slot of a key by the key's hash. Errors: DataPlaneError `WrongEpoch`. */
  stateOfHash(hash: number): SlotState {
    return this.stateOfSlot(hash & (this.#slots - 1));
  }

  /** Returns the slot of the key at `source[start..end)`, of whichever node. */
  slotOfBytes(source: Buffer, start: number, end: number): number {
    return xxh32(source.subarray(start, end)) & (this.#slots - 1);
  }

  /** True for a slot of this node. */
  serves(slot: number): boolean {
    return this.#stateOf(slot) !== undefined;
  }

  stateOfSlot(slot: number): SlotState {
    const state = this.#stateOf(slot);
    if (state === undefined) throw new DataPlaneError('WrongEpoch', `slot ${slot} is not served here`);
    return state;
  }
}

/** Returns the owner number of a DID in its slot, or undefined when it is unknown there or too long to be stored. */
export function ownerOfDid(state: SlotState, did: string): number | undefined {
  return did.length > didLengthMax ? undefined : state.ownerOf(did);
}
