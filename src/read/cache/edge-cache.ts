/**
 * Caches whom actors follow, block and mute, the lists to which they subscribe and those that they
 * are on: answers most questions "does A point at B", or "is B on a list of A", without storage.
 *
 * Known followers take probes of hundreds of actors, relationships take both directions of many
 * pairs, and few of those edges exist. Admission: an actor's edges are read only after several
 * messages have asked about the actor, since reading them costs more than a few probes.
 */

import { didLengthMax, didTag } from '../../atproto/compact-key.ts';
import { plcIdBytes } from '../../atproto/did-plc.ts';
import type { ProbedEdgeKind } from '../../atproto/edge-kind.ts';
import { actorEdgeSubjectKeyRest, edgeBySubjectPrefix } from '../../slot/table/edge-by-subject.ts';
import { incomingActorPrefix, listEndOfKey } from '../../slot/table/incoming-edge.ts';
import { mutePrefix } from '../../slot/table/mute.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { prefixEnd } from '../../storage/environment.ts';
import type { DidList } from '../lookup/did-list.ts';
import { blockedListsOf, mutedListsOf } from '../lookup/list-subscriptions.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import { type DidSet, didSetOf } from './did-set.ts';
import { GenerationalCache } from './generational-cache.ts';
import { type KeySet, keySetOf } from './key-set.ts';

const capacityBytesDefault = 96 * 2 ** 20;
/** A cached actor without its edges. */
const actorBytes = 192;
/** More edges of one actor and kind are not cached. */
const edgesMax = 5_000;
const admissionMinHits = 3;

/** Actors on more lists are cached only after several messages. Units: lists. */
const listedShortMax = 64;
/** Whoever is on more lists is looked up in storage, one list after the other. */
const listedMax = 1_000;
/** The object of a list that is cached. */
const listBytes = 96;

/** Whom an actor points at, in public or private. */
export type ProbedKind = ProbedEdgeKind | 'mute';

/** Lists to look for: ranges of their bytes in a message, and the hashes of these. */
export type ListRanges = { readonly starts: number[]; readonly ends: number[]; readonly hashes: number[] };

export type CachedActor = {
  readonly did: string;
  readonly state: SlotState;
  readonly owner: number;
  /** Messages that asked about the actor. */
  hits: number;
  /** Whom the actor points at by kind: undefined until that is read, null when it is not cached. */
  readonly subjects: { [kind in ProbedKind]?: DidSet | null };
  /** The lists to which it subscribes; undefined until they are read. */
  blockedLists: readonly Buffer[] | undefined;
  mutedLists: readonly Buffer[] | undefined;
  /** The lists it is on: undefined until they are read, null for too many. */
  listed: KeySet | null | undefined;
  /** The most lists that were looked for to fill `listed`. */
  listedMax: number;
};

function bytesOfLists(lists: readonly Buffer[] | undefined): number {
  return lists === undefined ? 0 : lists.reduce((sum, list) => sum + listBytes + list.length, 0);
}

function bytesOf({ subjects, blockedLists, mutedLists, listed }: CachedActor): number {
  const lists = bytesOfLists(blockedLists) + bytesOfLists(mutedLists) + (listed?.bytes ?? 0);
  return Object.values(subjects).reduce((sum, dids) => sum + (dids?.bytes ?? 0), actorBytes + lists);
}

/** Returns the prefix of the keys that end with the DIDs of an actor's subjects. */
function subjectPrefix(owner: number, kind: ProbedKind): Buffer {
  return kind === 'mute' ? mutePrefix(owner) : edgeBySubjectPrefix(owner, kind);
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
    const lists = { blockedLists: undefined, mutedLists: undefined, listed: undefined, listedMax: 0 };
    const actor: CachedActor = { did, state, owner, hits: 0, subjects: {}, ...lists };
    this.#set(actor);
    return actor;
  }

  /**
   * Called after an actor's edges were read, which has changed its size. One that was invalidated
   * since a read of several turns began is only used by that read: its other edges may be old.
   */
  #setAgain(actor: CachedActor): void {
    const did = Buffer.from(actor.did, 'latin1');
    if (this.cache.peek(did, 0, did.length) === actor) this.#set(actor);
  }

  #set(actor: CachedActor): void {
    this.cache.set({ did: actor.did, slot: actor.state.index, owner: actor.owner }, actor, bytesOf(actor));
  }

  /** Returns whom an actor points at; null when that is not cached and `rowOf` is to be asked. */
  subjectsOf(actor: CachedActor, kind: ProbedKind): DidSet | null {
    const known = actor.subjects[kind];
    if (known !== undefined) return known;
    return actor.hits < admissionMinHits ? null : this.#readSubjects(actor, kind);
  }

  #readSubjects(actor: CachedActor, kind: ProbedKind): DidSet | null {
    const { state, owner } = actor;
    const prefix = subjectPrefix(owner, kind);
    const keys = [...state.rows.scanKeys({ start: prefix, end: prefixEnd(prefix), limit: edgesMax + 1 })];
    const subjects = keys.length > edgesMax ? null : didSetOf(keys, prefix.length);
    const isAdmitted = subjects !== null && this.cache.admits(bytesOf(actor) + subjects.bytes);
    actor.subjects[kind] = isAdmitted ? subjects : null;
    if (isAdmitted) this.#setAgain(actor);
    return isAdmitted ? subjects : null;
  }

  /** Returns the volatile row of an actor's edge to, or mute of, the list's DID with this index. */
  rowOf({ state, owner }: CachedActor, kind: ProbedKind, dids: DidList, index: number): Buffer | undefined {
    const prefix = subjectPrefix(owner, kind);
    if (dids.isPlc[index] === 0) {
      const did = dids.text(index);
      if (did.length > didLengthMax) return undefined;
      return state.rows.getVolatile(Buffer.concat([prefix, actorEdgeSubjectKeyRest('follow', did)]));
    }
    const at = prefix.length + 1;
    if (this.#key.length !== at + plcIdBytes) this.#key = Buffer.alloc(at + plcIdBytes, didTag.plc);
    const key = this.#key;
    key.set(prefix);
    for (let byte = 0; byte < plcIdBytes; byte++) key[at + byte] = dids.ids[index * plcIdBytes + byte]!;
    return state.rows.getVolatile(key);
  }

  /** Returns the lists whose members an actor blocks. */
  blockedLists(actor: CachedActor): readonly Buffer[] {
    if (actor.blockedLists === undefined) {
      actor.blockedLists = blockedListsOf(actor.state, actor.owner);
      if (actor.blockedLists.length > 0) this.#setAgain(actor);
    }
    return actor.blockedLists;
  }

  /** Returns the lists whose members an actor mutes. */
  mutedLists(actor: CachedActor): readonly Buffer[] {
    if (actor.mutedLists === undefined) {
      actor.mutedLists = mutedListsOf(actor.state, actor.owner);
      if (actor.mutedLists.length > 0) this.#setAgain(actor);
    }
    return actor.mutedLists;
  }

  /** True if the lists that an actor is on are not cached: each is looked for in storage. */
  looksForLists(actor: CachedActor): boolean {
    return this.#listedOf(actor) === null;
  }

  /** Returns the index of the first of some lists in `source` that an actor is on, or -1. */
  firstListed(actor: CachedActor, source: Buffer, { starts, ends, hashes }: ListRanges): number {
    const listed = this.#listedOf(actor);
    if (listed !== null) return listed.firstOf(source, starts, ends, hashes);
    const head = incomingActorPrefix(actor.owner, 'list-item');
    for (let index = 0; index < hashes.length; index++) {
      const start = Buffer.concat([head, source.subarray(starts[index], ends[index])]);
      if (actor.state.rows.hasAny({ start, end: prefixEnd(start) })) return index;
    }
    return -1;
  }

  #listedOf(actor: CachedActor): KeySet | null {
    const { listed, state, owner } = actor;
    const isTriedAgain = listed === null && actor.listedMax < listedMax && actor.hits >= admissionMinHits;
    if (listed !== undefined && !isTriedAgain) return listed;
    const max = isTriedAgain ? listedMax : listedShortMax;
    const prefix = incomingActorPrefix(owner, 'list-item');
    const keys = [...state.rows.scanKeys({ start: prefix, end: prefixEnd(prefix), limit: max + 1 })];
    const listOf = (key: Buffer): Buffer => key.subarray(prefix.length, listEndOfKey(key, prefix.length));
    actor.listedMax = max;
    actor.listed = keys.length > max ? null : keySetOf(keys.map(listOf));
    if (keys.length > 0) this.#setAgain(actor);
    return actor.listed;
  }
}
