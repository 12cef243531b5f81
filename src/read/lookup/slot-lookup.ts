/** Which slot of this node answers for a key. */
import { didLengthMax } from '../../atproto/compact-key.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { xxh32 } from '../../base/xxh32.ts';
import { slotOf } from '../../shardmap/slot-of.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';

export class SlotLookup {
  readonly #slots: number;
  readonly #stateOf: (slot: number) => SlotState | undefined;

  /** `slots` counts those of the cluster; `stateOf` returns undefined for slots of other nodes. */
  constructor(slots: number, stateOf: (slot: number) => SlotState | undefined) {
    this.#slots = slots;
    this.#stateOf = stateOf;
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

  serves(slot: number): boolean {
    return this.#stateOf(slot) !== undefined;
  }

  stateOfSlot(slot: number): SlotState {
    const state = this.#stateOf(slot);
    if (state === undefined) throw new DataPlaneError('WrongEpoch', `slot ${slot} is not served here`);
    return state;
  }
}

/** Returns the owner number of a DID in its slot; undefined for an unknown or too long one. */
export function ownerOfDid(state: SlotState, did: string): number | undefined {
  return did.length > didLengthMax ? undefined : state.ownerOf(did);
}
