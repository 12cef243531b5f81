/**
 * What a serving thread remembers of actors: the bytes of their ActorInfo.
 *
 * An actor's answer takes seven rows and changes seldom. Bounded by two tables, of which the older is emptied when the younger is full; what
 * a commit changed is forgotten, after this thread's reads were refreshed.
 */

import type { SlotState } from '../../slot/table/slot-state.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import { PlaceTable } from './did-table.ts';

/** Actors remembered by default. One takes about a kilobyte. */
const actorsCachedDefault = 60_000;

/** Makes the bytes of one actor. They must not change afterwards. */
export type InfoReader = (state: SlotState, owner: number) => Buffer;

export class ActorCache {
  readonly #lookup: SlotLookup;
  readonly #read: InfoReader;
  #young: PlaceTable<Buffer>;
  #old: PlaceTable<Buffer>;

  constructor(lookup: SlotLookup, read: InfoReader, actorsMax = actorsCachedDefault) {
    this.#lookup = lookup;
    this.#read = read;
    const each = Math.max(1, Math.floor(actorsMax / 2));
    this.#young = new PlaceTable(each);
    this.#old = new PlaceTable(each);
  }

  /** Returns the bytes of the actor at `source[start..end)`; undefined for one that its slot has never heard of. */
  get(source: Buffer, start: number, end: number): Buffer | undefined {
    const place = this.#young.placeOf(source, start, end);
    const known = place < 0 ? undefined : this.#young.valueAt(place);
    return known ?? this.#fill(source, start, end, place >= 0);
  }

  #fill(source: Buffer, start: number, end: number, hasPlace: boolean): Buffer | undefined {
    const did = source.latin1Slice(start, end);
    const state = this.#lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner === undefined) return undefined;
    const old = this.#old.placeOf(source, start, end);
    const info = (old < 0 ? undefined : this.#old.valueAt(old)) ?? this.#read(state, owner);
    if (!hasPlace && this.#young.isFull) {
      const emptied = this.#old;
      this.#old = this.#young;
      this.#young = emptied;
      emptied.clear();
    }
    this.#young.set({ did, slot: state.index, owner }, info);
    return info;
  }

  /** True when an actor's bytes are remembered. */
  has(source: Buffer, start: number, end: number): boolean {
    return [this.#young, this.#old].some((table) => {
      const place = table.placeOf(source, start, end);
      return place >= 0 && table.valueAt(place) !== undefined;
    });
  }

  /** Forgets what a commit changed. */
  forget(slot: number, owners: readonly number[]): void {
    for (const owner of owners) {
      this.#young.forget(slot, owner);
      this.#old.forget(slot, owner);
    }
  }
}
