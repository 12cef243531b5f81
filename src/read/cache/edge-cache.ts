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
import { type ProbedEdgeKind, probeBit } from '../../atproto/edge-kind.ts';
import { actorEdgeSubjectKeyRest, edgeBySubjectPrefix } from '../../slot/table/edge-by-subject.ts';
import { incomingActorPrefix, listEndOfKey } from '../../slot/table/incoming-edge.ts';
import { mutePrefix } from '../../slot/table/mute.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { privateBit, type RawLists } from '../../wire/edge-messages.ts';
import { type DidList, plcIdSpan } from '../lookup/did-list.ts';
import { blockedListsOf, mutedListsOf } from '../lookup/list-subscriptions.ts';
import { scanSteps } from '../lookup/page.ts';
import { ownerOfDid, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';
import { ClassFilters } from './class-filters.ts';
import { type DidSet, didSetOf } from './did-set.ts';
import { GenerationalCache } from './generational-cache.ts';
import { allKeyClasses, type KeySet, keySetOf } from './key-set.ts';

/** A cached actor without its edges, and its filters. */
const actorBytes = 264;
/** More edges of one actor and kind are not cached. */
const edgesMax = 5_000;
const admissionMinHits = 3;

/** Actors on more lists are cached only after several messages. Units: lists. */
const listedShortMax = 64;
/** Whoever is on more lists is looked up in storage, one list after the other. */
const listedMax = 1_000;
/** About what reading a list takes that an actor is on. Units: µs. */
const listedMicros = 1;
/** Lists to which an actor subscribes, without their bytes. */
const listsBytes = 192;

/** Whom an actor points at, in public or private. */
export type ProbedKind = ProbedEdgeKind | 'mute';

const bitOfKind = { ...probeBit, mute: privateBit.mute } as const;

const unlocated = -2;
/** Of no probe: marks what is kept of an actor. */
const knownBit = 128;
/** Bits of an actor's filters. Most block few, and 512 are a line of the processor's cache. */
const filterBits = { block: 64, follow: 512 } as const;
const filteredBits = probeBit.block | probeBit.follow;

/** Whether an actor blocks or mutes the members of the lists to which it subscribes. */
export type SubscriptionKind = 'blockedLists' | 'mutedLists';

const bitOfSubscription = { blockedLists: privateBit.listBlocks, mutedLists: privateBit.listMutes } as const;

/** What most probes need comes first, so that it is in one line of the processor's cache. */
export type CachedActor = {
  readonly state: SlotState;
  /** The bits of probes that are known to find nothing, whatever their subject. */
  lacks: number;
  /** The classes of the lists that the actor is on, see `KeySet`; all until these are read. */
  listClasses: number;
  /** Messages that asked about the actor. */
  hits: number;
  readonly owner: number;
  readonly did: string;
  /** Whom the actor points at by kind: undefined until that is read, null when it is not cached. */
  subjects: { [kind in ProbedKind]: DidSet | null | undefined };
  /** The lists to which it subscribes; undefined until they are read. */
  blockedLists: RawLists | undefined;
  mutedLists: RawLists | undefined;
  /** The lists it is on: undefined until they are read, null when these are not cached. */
  listed: KeySet | null | undefined;
  /** The most lists that were looked for to fill `listed`. */
  listedMax: number;
};

const unreadSubjects: CachedActor['subjects'] = { follow: undefined, block: undefined, mute: undefined };

function bytesOfLists(lists: RawLists | undefined): number {
  return lists === undefined || lists.count === 0 ? 0 : listsBytes + lists.bytes.length;
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
  /** Of all serving threads of a node. */
  static readonly capacityBytes = 96 * 2 ** 20;
  readonly #lookup: SlotLookup;
  readonly cache: GenerationalCache<CachedActor>;
  /**
   * By index, see `locate`: what an actor of a complete slot `lacks`, or less. Most
   * probes find nothing, and are answered by these bytes without a look at the actor.
   */
  readonly #lacksAt: Uint8Array;
  /** By the same index: whom it may block and follow. Meaningless where `#lacksAt` is 0. */
  readonly #blocked: ClassFilters;
  readonly #followed: ClassFilters;
  #knownGeneration = 0;
  #key: Buffer = Buffer.alloc(0);

  constructor(lookup: SlotLookup, capacityBytes: number) {
    this.#lookup = lookup;
    const clear = (index: number): void => {
      this.#lacksAt[index] = 0;
    };
    this.cache = new GenerationalCache({
      capacityBytes,
      valueBytesMin: actorBytes,
      onSet: clear,
      onInvalidate: clear,
    });
    const { entriesMax } = this.cache;
    this.#lacksAt = new Uint8Array(entriesMax);
    this.#blocked = new ClassFilters(entriesMax, filterBits.block);
    this.#followed = new ClassFilters(entriesMax, filterBits.follow);
  }

  /** Begins to locate a message's DIDs. Returns the generation that the indexes are valid in. */
  beginLocating({ indexes, count }: DidList): number {
    const { generation } = this.cache;
    indexes.fill(unlocated, 0, count);
    if (this.#knownGeneration !== generation) this.clearKnown();
    this.#knownGeneration = generation;
    return generation;
  }

  /** Returns the index of a message's DID, or -1 for other than hot ones. */
  locate({ source, starts, ends, indexes }: DidList, did: number): number {
    const known = indexes[did]!;
    if (known !== unlocated) return known;
    const index = this.cache.hotIndexOf(source, starts[did]!, ends[did]!);
    indexes[did] = index;
    return index;
  }

  /** True if it is known without the actor that a probe from a located DID finds nothing. */
  isKnownLack(dids: DidList, index: number, kinds: number, subject: number): boolean {
    const lacks = this.#lacksAt[index]!;
    const asked = kinds & ~lacks;
    if (asked === 0) return true;
    if (lacks === 0 || (asked & ~filteredBits) !== 0 || !dids.isPlcLong(subject)) return false;
    const hash = dids.classHashOf(subject);
    if ((asked & probeBit.block) !== 0 && this.#blocked.mayHave(index, hash)) return false;
    return (asked & probeBit.follow) === 0 || !this.#followed.mayHave(index, hash);
  }

  /** Keeps what `isKnownLack` needs of an actor that was located at an index of this generation. */
  putKnown(index: number, actor: CachedActor): void {
    const known = actor.lacks | knownBit;
    if (this.#lacksAt[index] === known || !actor.state.isKnownComplete) return;
    if (this.#knownGeneration !== this.cache.generation || this.cache.valueAt(index) !== actor) return;
    this.#lacksAt[index] = known;
    this.#blocked.set(index, actor.subjects.block);
    this.#followed.set(index, actor.subjects.follow);
  }

  /** Call it when a slot is no longer complete. */
  clearKnown(): void {
    this.#lacksAt.fill(0);
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
    const actor: CachedActor = {
      state,
      lacks: 0,
      listClasses: allKeyClasses,
      hits: 0,
      owner,
      did,
      subjects: { ...unreadSubjects },
      blockedLists: undefined,
      mutedLists: undefined,
      listed: undefined,
      listedMax: 0,
    };
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
    const isAdmitted =
      subjects !== null && this.#admits({ ...actor, subjects: { ...actor.subjects, [kind]: subjects } });
    actor.subjects[kind] = isAdmitted ? subjects : null;
    if (!isAdmitted) return null;
    if (subjects.size === 0) actor.lacks |= bitOfKind[kind];
    this.#setAgain(actor);
    return subjects;
  }

  /** Returns the volatile row of an actor's edge to, or mute of, the list's DID with this index. */
  rowOf({ state, owner }: CachedActor, kind: ProbedKind, dids: DidList, index: number): Buffer | undefined {
    const prefix = subjectPrefix(owner, kind);
    if (!dids.isPlc(index)) {
      const did = dids.text(index);
      if (did.length > didLengthMax) return undefined;
      return state.rows.getVolatile(Buffer.concat([prefix, actorEdgeSubjectKeyRest('follow', did)]));
    }
    return state.rows.getVolatile(this.#plcKey(prefix, dids.ids, index * plcIdSpan));
  }

  /** True when an actor points at the did:plc whose id is at `source[at..]`. */
  pointsAtPlc(actor: CachedActor, kind: ProbedKind, source: Buffer, at: number): boolean {
    const subjects = this.subjectsOf(actor, kind);
    if (subjects !== null) return subjects.hasPlc(source, at);
    return actor.state.rows.has(this.#plcKey(subjectPrefix(actor.owner, kind), source, at));
  }

  /** Returns the key of the id at `source[at..]` under a prefix; valid until the next one. */
  #plcKey(prefix: Buffer, source: Buffer, at: number): Buffer {
    const idAt = prefix.length + 1;
    if (this.#key.length !== idAt + plcIdBytes) this.#key = Buffer.alloc(idAt + plcIdBytes, didTag.plc);
    const key = this.#key;
    key.set(prefix);
    for (let byte = 0; byte < plcIdBytes; byte++) key[idAt + byte] = source[at + byte]!;
    return key;
  }

  /** Returns the lists to which an actor subscribes, which are read in steps once. */
  *subscriptions(actor: CachedActor, kind: SubscriptionKind, turn: Turn): SlicedRead<RawLists> {
    const known = actor[kind];
    if (known !== undefined) return known;
    const read = kind === 'blockedLists' ? blockedListsOf : mutedListsOf;
    const lists = yield* read(actor.state, actor.owner, turn);
    if (lists.count === 0) actor.lacks |= bitOfSubscription[kind];
    const subjects = this.#subjectsBeside({ ...actor, [kind]: lists });
    // Larger ones are for this read only.
    if (subjects === undefined) return lists;
    actor.subjects = subjects;
    actor[kind] = lists;
    if (lists.count > 0) this.#setAgain(actor);
    return lists;
  }

  /**
   * Returns the sets of subjects that are cached beside an actor's lists; undefined if these are
   * too large by themselves. Sets give way: storage answers for one at a look for each DID, but for
   * lists only with all of their rows. Those that have room are read again.
   */
  #subjectsBeside(actor: CachedActor): CachedActor['subjects'] | undefined {
    if (this.#admits(actor)) return actor.subjects;
    const subjects = { ...unreadSubjects };
    return this.#admits({ ...actor, subjects }) ? subjects : undefined;
  }

  /** True for an actor that is small enough to be cached with all it holds. */
  #admits(actor: CachedActor): boolean {
    return this.cache.admits(bytesOf(actor));
  }

  /** Returns the lists that an actor is on: undefined until they are read, null: ask `isOn`. */
  listed(actor: CachedActor): KeySet | null | undefined {
    const isTriedAgain = actor.listed === null && actor.listedMax < listedMax && actor.hits >= admissionMinHits;
    return isTriedAgain ? undefined : actor.listed;
  }

  /** Reads the lists that an actor is on, in steps. Returns null if uncached: ask `isOn`. */
  *readListed(actor: CachedActor, turn: Turn): SlicedRead<KeySet | null> {
    const max = actor.listed === undefined ? listedShortMax : listedMax;
    const { state, owner } = actor;
    const prefix = incomingActorPrefix(owner, 'list-item');
    const keys: Buffer[] = [];
    for (const rows of scanSteps(state.rows, { start: prefix, end: prefixEnd(prefix), limit: max + 1 })) {
      for (const { key } of rows) keys.push(key.subarray(prefix.length, listEndOfKey(key, prefix.length)));
      if (turn.isOver(rows.length * listedMicros)) yield;
    }
    const listed = keys.length > max ? null : keySetOf(keys);
    actor.listedMax = max;
    actor.listed = this.#admits({ ...actor, listed }) ? listed : null;
    if (actor.listed !== null) actor.listClasses = actor.listed.classes;
    if (keys.length > 0) this.#setAgain(actor);
    return actor.listed;
  }

  /** True if an actor is on the list at `source[start..end)`, which takes a look into storage. */
  isOn({ owner, state }: CachedActor, source: Buffer, start: number, end: number): boolean {
    const key = Buffer.concat([incomingActorPrefix(owner, 'list-item'), source.subarray(start, end)]);
    return state.rows.hasAny({ start: key, end: prefixEnd(key) });
  }
}
