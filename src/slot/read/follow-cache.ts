/**
 * What a serving thread remembers of whom actors follow: hashes, which answer most questions "does A follow B" with no look at the store.
 *
 * Known followers ask for hundreds of actors about a few subjects, and hardly any of those edges exist. A hash that is absent says no; one
 * that is there is checked in the store. Owns: bounds (two tables, of which the older is emptied when the younger is full), and
 * forgetting what a commit changed, after this thread's reads were refreshed. An actor's follows are read only when it is asked about
 * again and again, since reading them costs more than a few probes.
 */
import { prefixEnd } from '../../storage/environment.ts';
import { actorEdgeSubjectKeyRest, edgeBySubjectPrefix } from '../outgoing-edge.ts';
import { keyHead, type SlotState, tableCode } from '../slot-state.ts';
import { PlaceTable } from './place-table.ts';
import { ownerOfDid, type SlotLookup } from './slot-lookup.ts';

/** Actors remembered by default. One takes 4 bytes a follow. */
const actorsCachedDefault = 40_000;
/** Follows of more than this are not remembered. Units: follows of one actor. */
const followsMax = 5_000;
/** Follows in one table. */
const followsInTableMax = 4_000_000;
/** An actor's follows are read when it is asked about for so many times. */
const askedMin = 3;

type Known = {
  readonly state: SlotState;
  readonly owner: number;
  asked: number;
  /** Ascending; null while they have not been read, or are too many. */
  hashes: Uint32Array | null;
};

function hashOf(key: Buffer, start: number): number {
  let hash = 0x811c9dc5;
  for (let index = start; index < key.length; index++) hash = Math.imul(hash ^ key[index]!, 0x01000193);
  return (hash ^ (hash >>> 15)) >>> 0;
}

function holds(hashes: Uint32Array, hash: number): boolean {
  let low = 0;
  let high = hashes.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (hashes[middle]! < hash) low = middle + 1;
    else high = middle;
  }
  return hashes[low] === hash;
}

/** A followed actor as it is asked about: its part of a key, with room for the owner before it. */
export type FollowSubject = { readonly key: Buffer; readonly hash: number };

/** Returns an actor as a subject of follows. Shape: `did` is short enough to be stored. */
export function followSubject(did: string): FollowSubject {
  const prefix = edgeBySubjectPrefix(0, 'follow');
  const key = Buffer.concat([prefix, actorEdgeSubjectKeyRest('follow', did)]);
  return { key, hash: hashOf(key, prefix.length) };
}

export class FollowCache {
  readonly #lookup: SlotLookup;
  #young: PlaceTable<Known>;
  #old: PlaceTable<Known>;
  #followsInYoung = 0;

  constructor(lookup: SlotLookup, actorsMax = actorsCachedDefault) {
    this.#lookup = lookup;
    const each = Math.max(1, Math.floor(actorsMax / 2));
    this.#young = new PlaceTable(each);
    this.#old = new PlaceTable(each);
  }

  /**
   * Calls `found` with the index of each subject that the actor at `source[start..end)` follows.
   *
   * Errors: DataPlaneError `WrongEpoch`.
   */
  subjectsFollowedBy(
    source: Buffer,
    start: number,
    end: number,
    subjects: readonly FollowSubject[],
    found: (subject: number) => void,
  ): void {
    const place = this.#young.placeOf(source, start, end);
    const known = (place < 0 ? undefined : this.#young.valueAt(place)) ?? this.#learn(source, start, end, place >= 0);
    if (known === undefined) return;
    if (known.hashes === null && ++known.asked === askedMin) this.#readFollows(known);
    const { hashes, state, owner } = known;
    for (let index = 0; index < subjects.length; index++) {
      const { key, hash } = subjects[index]!;
      if (hashes !== null && !holds(hashes, hash)) continue;
      key.writeUInt32BE(keyHead(owner, tableCode.edgeBySubject), 0);
      if (state.rows.has(key)) found(index);
    }
  }

  /** Returns an actor that the younger table does not know, and puts it there; undefined for one that its slot does not know. */
  #learn(source: Buffer, start: number, end: number, hasPlace: boolean): Known | undefined {
    const did = source.latin1Slice(start, end);
    const state = this.#lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner === undefined) return undefined;
    const old = this.#old.placeOf(source, start, end);
    const known = (old < 0 ? undefined : this.#old.valueAt(old)) ?? { state, owner, asked: 0, hashes: null };
    if (!hasPlace && (this.#young.isFull || this.#followsInYoung > followsInTableMax)) {
      const emptied = this.#old;
      this.#old = this.#young;
      this.#young = emptied;
      this.#followsInYoung = 0;
      emptied.clear();
    }
    this.#followsInYoung += known.hashes?.length ?? 0;
    this.#young.set({ did, slot: state.index, owner }, known);
    return known;
  }

  #readFollows(known: Known): void {
    const prefix = edgeBySubjectPrefix(known.owner, 'follow');
    const hashes: number[] = [];
    const range = { start: prefix, end: prefixEnd(prefix), limit: followsMax + 1 };
    for (const key of known.state.rows.scanKeys(range)) hashes.push(hashOf(key, prefix.length));
    if (hashes.length > followsMax) return;
    known.hashes = Uint32Array.from(hashes).sort();
    this.#followsInYoung += hashes.length;
  }

  /** Forgets what a commit changed. */
  forget(slot: number, owners: readonly number[]): void {
    for (const owner of owners) {
      this.#young.forget(slot, owner);
      this.#old.forget(slot, owner);
    }
  }
}
