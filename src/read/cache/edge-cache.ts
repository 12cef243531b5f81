/**
 * What a serving thread remembers of whom actors follow and block, which answers most questions "does A point at B" without the store.
 *
 * Known followers ask for hundreds of actors about a few subjects, relationships for two directions of many pairs, and hardly any of
 * those edges exist. Owns: bounds (two tables, of which the older is emptied when the younger is full), and forgetting what a commit
 * changed, after this thread's reads were refreshed. An actor's edges are read only when it is asked about again and again, since
 * reading them costs more than a few probes.
 */

import { didLengthMax } from '../../atproto/compact-key.ts';
import { plcIdBytes } from '../../atproto/did-plc.ts';
import type { ProbedEdgeKind } from '../../atproto/edge-kind.ts';
import { actorEdgeSubjectKeyRest, edgeBySubjectPrefix } from '../../slot/table/edge-by-subject.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { prefixEnd } from '../../storage/environment.ts';
import type { DidList } from '../lookup/did-list.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import { type DidSet, didSetOf } from './did-set.ts';
import { PlaceTable } from './did-table.ts';

/** Actors remembered by default. */
const actorsCachedDefault = 40_000;
/** Edges of more than this are not remembered. Units: edges of one actor and kind. */
const edgesMax = 5_000;
/** Edges in one of the two tables by default: about 40 MiB. */
const tableEdgesDefault = 2_000_000;
/** An actor's edges are read when so many messages have asked about it. */
const askedMin = 3;
const plcTag = 1;

/** One remembered actor. */
export type KnownActor = {
  readonly state: SlotState;
  readonly owner: number;
  asked: number;
  /** Whom it points at by kind: undefined while that was not read, null when that is not remembered. */
  readonly subjects: { [kind in ProbedEdgeKind]?: DidSet | null };
};

/** Remembers actors that its slots know. */
export class EdgeCache {
  readonly #lookup: SlotLookup;
  #young: PlaceTable<KnownActor>;
  #old: PlaceTable<KnownActor>;
  readonly #tableEdges: number;
  #edgesInYoung = 0;
  #edgesInOld = 0;
  #key: Buffer = Buffer.alloc(0);

  constructor(lookup: SlotLookup, actorsMax = actorsCachedDefault, tableEdges = tableEdgesDefault) {
    this.#lookup = lookup;
    this.#tableEdges = tableEdges;
    const each = Math.max(1, Math.floor(actorsMax / 2));
    this.#young = new PlaceTable(each);
    this.#old = new PlaceTable(each);
  }

  /** Edges in both tables; forgotten ones count until their table is emptied. */
  get edgeCount(): number {
    return this.#edgesInYoung + this.#edgesInOld;
  }

  /**
   * Returns the actor at `source[start..end)`, which a message asks about; undefined for one that its slot does not know.
   *
   * Errors: DataPlaneError `WrongEpoch`.
   */
  ask(source: Buffer, start: number, end: number): KnownActor | undefined {
    const place = this.#young.placeOf(source, start, end);
    const known = (place < 0 ? undefined : this.#young.valueAt(place)) ?? this.#learn(source, start, end, place >= 0);
    if (known !== undefined) known.asked++;
    return known;
  }

  /** Returns whom an actor points at; null while that is not remembered, and the store must be asked. */
  subjectsOf(actor: KnownActor, kind: ProbedEdgeKind): DidSet | null {
    const { subjects } = actor;
    if (subjects[kind] === undefined && actor.asked >= askedMin) subjects[kind] = this.#readSubjects(actor, kind);
    return subjects[kind] ?? null;
  }

  /** Returns the stored row of an actor's edge to a DID of a list. It is overwritten by the next read of any table. */
  rowOf({ state, owner }: KnownActor, kind: ProbedEdgeKind, dids: DidList, index: number): Buffer | undefined {
    const prefix = edgeBySubjectPrefix(owner, kind);
    if (dids.isPlc[index] === 0) {
      const did = dids.text(index);
      if (did.length > didLengthMax) return undefined;
      return state.rows.getVolatile(Buffer.concat([prefix, actorEdgeSubjectKeyRest(kind, did)]));
    }
    const at = prefix.length + 1;
    if (this.#key.length !== at + plcIdBytes) this.#key = Buffer.alloc(at + plcIdBytes, plcTag);
    const key = this.#key;
    key.set(prefix);
    for (let byte = 0; byte < plcIdBytes; byte++) key[at + byte] = dids.ids[index * plcIdBytes + byte]!;
    return state.rows.getVolatile(key);
  }

  /** Returns an actor that the younger table does not know, and puts it there; undefined for one that its slot does not know. */
  #learn(source: Buffer, start: number, end: number, hasPlace: boolean): KnownActor | undefined {
    const did = source.latin1Slice(start, end);
    const state = this.#lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner === undefined) return undefined;
    const old = this.#old.placeOf(source, start, end);
    const known = (old < 0 ? undefined : this.#old.valueAt(old)) ?? {
      state,
      owner,
      asked: 0,
      subjects: {},
    };
    if (!hasPlace && this.#young.isFull) this.#turnOver();
    this.#takeRoom(Object.values(known.subjects).reduce((edges, dids) => edges + (dids?.size ?? 0), 0));
    this.#young.set({ did, slot: state.index, owner }, known);
    return known;
  }

  #readSubjects({ state, owner }: KnownActor, kind: ProbedEdgeKind): DidSet | null {
    const prefix = edgeBySubjectPrefix(owner, kind);
    const keys = [...state.rows.scanKeys({ start: prefix, end: prefixEnd(prefix), limit: edgesMax + 1 })];
    if (keys.length > edgesMax) return null;
    this.#takeRoom(keys.length);
    return didSetOf(keys, prefix.length);
  }

  /** Counts edges that are about to be remembered; where there are too many already, those asked about least lately go first. */
  #takeRoom(edges: number): void {
    if (this.#edgesInYoung > this.#tableEdges) this.#turnOver();
    this.#edgesInYoung += edges;
  }

  /** Empties the older table, which becomes the younger one. */
  #turnOver(): void {
    const emptied = this.#old;
    this.#old = this.#young;
    this.#young = emptied;
    this.#edgesInOld = this.#edgesInYoung;
    this.#edgesInYoung = 0;
    emptied.clear();
  }

  /** Forgets what a commit changed. */
  forget(slot: number, owners: readonly number[]): void {
    for (const owner of owners) {
      this.#young.forget(slot, owner);
      this.#old.forget(slot, owner);
    }
  }
}
