/**
 * Whom actors follow and block: answers most questions "does A point at B" without the store.
 *
 * Known followers ask hundreds of actors about a few subjects, relationships ask about both directions
 * of many pairs, and hardly any of those edges exist. Admission: an actor's edges are read only after
 * several messages have asked about it, since reading them costs more than a few probes.
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
import { GenerationalCache } from './generational-cache.ts';

const capacityBytesDefault = 96 * 2 ** 20;
/** An actor without its edges. */
const actorBytes = 192;
/** Longer lists are not cached. Units: edges of one actor and kind. */
const edgesMax = 5_000;
/** An actor's edges are read once so many messages have asked about it. */
const admissionMinHits = 3;
const plcTag = 1;

export type CachedActor = {
  readonly did: string;
  readonly state: SlotState;
  readonly owner: number;
  /** Messages that asked about it. */
  hits: number;
  /** Whom it points at by kind: undefined while that was not read, null when it is not cached. */
  readonly subjects: { [kind in ProbedEdgeKind]?: DidSet | null };
};

function bytesOf({ subjects }: CachedActor): number {
  return Object.values(subjects).reduce((sum, dids) => sum + (dids?.bytes ?? 0), actorBytes);
}

export class EdgeCache {
  readonly #lookup: SlotLookup;
  readonly cache: GenerationalCache<CachedActor>;
  #key: Buffer = Buffer.alloc(0);

  constructor(lookup: SlotLookup, capacityBytes = capacityBytesDefault) {
    this.#lookup = lookup;
    this.cache = new GenerationalCache({ capacityBytes, valueBytesMin: actorBytes });
  }

  /**
   * Returns the actor at `source[start..end)`, which a message asks about; undefined for one that its slot does not know.
   *
   * Errors: DataPlaneError `WrongEpoch`.
   */
  get(source: Buffer, start: number, end: number): CachedActor | undefined {
    const actor = this.cache.get(source, start, end) ?? this.#fill(source.latin1Slice(start, end));
    if (actor !== undefined) actor.hits++;
    return actor;
  }

  #fill(did: string): CachedActor | undefined {
    const state = this.#lookup.stateOf(did);
    const owner = ownerOfDid(state, did);
    if (owner === undefined) return undefined;
    const actor: CachedActor = { did, state, owner, hits: 0, subjects: {} };
    this.#set(actor);
    return actor;
  }

  /** Sets an actor, and again with its new size when edges were read. */
  #set(actor: CachedActor): void {
    this.cache.set({ did: actor.did, slot: actor.state.index, owner: actor.owner }, actor, bytesOf(actor));
  }

  /** Returns whom an actor points at; null while that is not cached, and the store must be asked. */
  subjectsOf(actor: CachedActor, kind: ProbedEdgeKind): DidSet | null {
    const known = actor.subjects[kind];
    if (known !== undefined) return known;
    return actor.hits < admissionMinHits ? null : this.#readSubjects(actor, kind);
  }

  #readSubjects(actor: CachedActor, kind: ProbedEdgeKind): DidSet | null {
    const { state, owner } = actor;
    const prefix = edgeBySubjectPrefix(owner, kind);
    const keys = [...state.rows.scanKeys({ start: prefix, end: prefixEnd(prefix), limit: edgesMax + 1 })];
    const subjects = keys.length > edgesMax ? null : didSetOf(keys, prefix.length);
    const isAdmitted = subjects !== null && this.cache.admits(bytesOf(actor) + subjects.bytes);
    actor.subjects[kind] = isAdmitted ? subjects : null;
    if (isAdmitted) this.#set(actor);
    return isAdmitted ? subjects : null;
  }

  /** Returns the stored row of an actor's edge to a DID of a list. The next read of any table overwrites it. */
  rowOf({ state, owner }: CachedActor, kind: ProbedEdgeKind, dids: DidList, index: number): Buffer | undefined {
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
}
