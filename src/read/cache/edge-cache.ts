/**
 * Caches whom actors follow and block: answers most questions "does A point at B" without storage.
 *
 * Known followers take probes of hundreds of actors, relationships take both directions of many
 * pairs, and few of those edges exist. Admission: an actor's edges are read only after several
 * messages have asked about the actor, since reading them costs more than a few probes.
 */

import { didLengthMax, didTag } from '../../atproto/compact-key.ts';
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
/** A cached actor without its edges. */
const actorBytes = 192;
/** More edges of one actor and kind are not cached. */
const edgesMax = 5_000;
const admissionMinHits = 3;

export type CachedActor = {
  readonly did: string;
  readonly state: SlotState;
  readonly owner: number;
  /** Messages that asked about the actor. */
  hits: number;
  /** Whom the actor points at by kind: undefined until that is read, null when it is not cached. */
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
   * Returns the actor at `source[start..end)` and counts its hit; undefined for an unknown actor.
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

  /** Called again, with the new size, after an actor's edges were read. */
  #set(actor: CachedActor): void {
    this.cache.set({ did: actor.did, slot: actor.state.index, owner: actor.owner }, actor, bytesOf(actor));
  }

  /** Returns whom an actor points at; null when that is not cached and `rowOf` is to be asked. */
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

  /** Returns the volatile row of an actor's edge to the list's DID with this index. */
  rowOf({ state, owner }: CachedActor, kind: ProbedEdgeKind, dids: DidList, index: number): Buffer | undefined {
    const prefix = edgeBySubjectPrefix(owner, kind);
    if (dids.isPlc[index] === 0) {
      const did = dids.text(index);
      if (did.length > didLengthMax) return undefined;
      return state.rows.getVolatile(Buffer.concat([prefix, actorEdgeSubjectKeyRest(kind, did)]));
    }
    const at = prefix.length + 1;
    if (this.#key.length !== at + plcIdBytes) this.#key = Buffer.alloc(at + plcIdBytes, didTag.plc);
    const key = this.#key;
    key.set(prefix);
    for (let byte = 0; byte < plcIdBytes; byte++) key[at + byte] = dids.ids[index * plcIdBytes + byte]!;
    return state.rows.getVolatile(key);
  }
}
