/** Single edges: whether an actor points at a subject, and who among many actors does. */

import { didLengthMax, parseRecordUri, recordUri } from '../../atproto/compact-key.ts';
import {
  type EdgeKind,
  type EdgeSubject,
  edgeByKind,
  type ProbedEdgeKind,
  probedEdges,
} from '../../atproto/edge-kind.ts';
import { tidBytes } from '../../atproto/tid.ts';
import type { ByteReader } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { copyBytes } from '../../proto/fields.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendRkey } from '../../slot/packing/key-text.ts';
import { findEdge } from '../../slot/table/edge-by-subject.ts';
import { scopeOfMute } from '../../slot/table/mute.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import {
  type EdgeProbe,
  followerTag,
  muteFlag,
  privateBit,
  readProbe,
  valueBits,
  writeSubscriptions,
} from '../../wire/edge-messages.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import type { CachedActor, EdgeCache } from '../cache/edge-cache.ts';
import { DidList } from '../lookup/did-list.ts';
import { ownerOfDid, requireWhole } from '../lookup/slot-lookup.ts';
import { microsPerLook, type SlicedRead, type Turn } from '../lookup/turn.ts';

/** Returns the rkey of the record by which `did` points at an actor, or '' when there is none. */
export function rkeyOfActorEdge(state: SlotState, did: string, kind: EdgeKind, subjectDid: string): string {
  const owner = ownerOfDid(state, did);
  if (owner === undefined || subjectDid.length > didLengthMax) return '';
  return findEdge(state, owner, kind, { did: subjectDid, ref: null }) ?? '';
}

/** Reused once a request is answered; more than one only while reads yield. */
const idleLists: DidList[] = [];
/** About what a known lack, a look into storage and reading all subjects of an actor take. */
const micros = { lack: 1, row: 2, set: 5_000 } as const;
/** Looks into sets of subjects that take a microsecond. */
const setLooksPerMicro = 8;

const subscriptionKind = { [privateBit.listBlocks]: 'blockedLists', [privateBit.listMutes]: 'mutedLists' } as const;
type SubscriptionBit = keyof typeof subscriptionKind;
const subscriptionBits = [privateBit.listBlocks, privateBit.listMutes] as const;

/** Probes being answered: the reader is at the next one. */
type Probing = {
  readonly into: MessageWriter;
  readonly cache: EdgeCache;
  readonly reader: ByteReader;
  readonly dids: DidList;
  /** By index of a DID: null until the actor is looked up, at its first probe. */
  readonly actors: (CachedActor | null | undefined)[];
  /** Slots of actors without an edge: "not blocked" is said by a complete slot only. */
  lacking: Set<SlotState> | null;
  /** Actors that may subscribe to lists, with their indexes in `dids`, by bit of the probe. */
  subscribers: Map<SubscriptionBit, Map<CachedActor, Set<number>>> | null;
  readonly count: number;
  /** Of the cache while the DIDs are located. */
  generation: number;
  /** The index of the reader's probe, and of the last one that found something. */
  next: number;
  lastFound: number;
  /** The probe that is being answered. */
  readonly probe: EdgeProbe;
};

/** Answers probes until the turn is over. Returns true at the end. Hot: no generator. */
function probeSome(probing: Probing, turn: Turn): boolean {
  const { cache, reader, dids, count, probe } = probing;
  for (; probing.next < count; ) {
    if (probing.generation !== cache.cache.generation) probing.generation = cache.beginLocating(dids);
    readProbe(reader, dids.count, probe);
    const index = cache.locate(dids, probe.owner);
    const isLack = index >= 0 && cache.isKnownLack(dids, index, probe.kinds, probe.subject);
    if (isLack) cache.cache.hits++;
    const took = isLack ? micros.lack : probeActor(probing, index);
    probing.next++;
    if (turn.isOver(took)) return false;
  }
  return true;
}

/** Answers a probe by the actor, which may be located. Returns about what that took. Units: µs. */
function probeActor(probing: Probing, index: number): number {
  const { cache, dids, actors, probe } = probing;
  const { owner } = probe;
  if (actors[owner] === null) actors[owner] = cache.get(dids.source, dids.starts[owner]!, dids.ends[owner]!);
  const actor = actors[owner];
  if (actor === undefined) return micros.row;
  const took = answerProbe(probing, actor);
  if (index >= 0) cache.putKnown(index, actor);
  return took;
}

/** Answers a probe of a known actor. Returns about what that took. Units: µs. */
function answerProbe(probing: Probing, actor: CachedActor): number {
  const { kinds } = probing.probe;
  const asked = kinds & ~actor.lacks;
  let found = 0;
  if ((asked & valueBits) !== 0) found = writeValues(probing, actor, asked);
  // What lacks is said by a complete slot only.
  if ((kinds & valueBits) !== found || kinds > valueBits) noteLacking(probing, actor.state);
  if (asked === 0) return micros.lack;
  for (const bit of subscriptionBits) if ((asked & bit) !== 0) noteSubscriber(probing, actor, bit);
  return 2 * micros.row;
}

/** Writes the values of a probe that finds any. Returns the bits of what it found. */
function writeValues(probing: Probing, actor: CachedActor, asked: number): number {
  const { into, next } = probing;
  const start = into.length;
  into.varint(next - probing.lastFound);
  const foundAt = into.length;
  into.u8(0);
  let found = 0;
  for (const { kind, probeBit } of probedEdges) {
    if ((asked & probeBit) === 0) continue;
    if (writeRkey(probing, actor, kind)) found |= probeBit;
  }
  if ((asked & privateBit.mute) !== 0 && writeMute(probing, actor)) found |= privateBit.mute;
  if (found === 0) {
    into.length = start;
    return 0;
  }
  into.buffer[foundAt] = found;
  probing.lastFound = next;
  return found;
}

/** Writes the rkey of the edge of a probe, whose kind is given. Returns false without one. */
function writeRkey({ into, cache, dids, probe }: Probing, actor: CachedActor, kind: ProbedEdgeKind): boolean {
  const { subject } = probe;
  const subjects = cache.subjectsOf(actor, kind);
  const index = subjects !== null && dids.isPlc(subject) ? subjects.indexOf(dids, subject) : -1;
  if (subjects !== null && index < 0 && !subjects.has(dids, subject)) return false;
  const rkeys = index < 0 ? null : subjects!.rkeyOf(index);
  const row = rkeys ?? cache.rowOf(actor, kind, dids, subject);
  if (row === undefined) return false;
  if (index >= 0 && rkeys === null) subjects!.setRkey(index, row);
  const start = into.beginLengthDelimited();
  appendRkey(into, row, rkeys === null ? 0 : index * tidBytes);
  into.end(start, 1);
  return true;
}

/** Writes how the owner of a probe mutes its subject. Returns false where it does not. */
function writeMute({ into, cache, dids, probe }: Probing, actor: CachedActor): boolean {
  if (cache.subjectsOf(actor, 'mute')?.has(dids, probe.subject) === false) return false;
  const row = cache.rowOf(actor, 'mute', dids, probe.subject);
  const scope = row === undefined ? undefined : scopeOfMute(actor.state, actor.owner, row);
  if (scope === undefined) return false;
  const { onlyReposts, onlyQuoteposts } = scope;
  const { muted, onlyReposts: reposts, onlyQuoteposts: quotes } = muteFlag;
  into.u8(1).u8(muted | (onlyReposts ? reposts : 0) | (onlyQuoteposts ? quotes : 0));
  return true;
}

function noteLacking(probing: Probing, state: SlotState): void {
  if (state.isKnownComplete) return;
  probing.lacking ??= new Set();
  probing.lacking.add(state);
}

/** The lists themselves are read after all probes, in steps. */
function noteSubscriber(probing: Probing, actor: CachedActor, bit: SubscriptionBit): void {
  probing.subscribers ??= new Map();
  const { subscribers, probe } = probing;
  const { owner } = probe;
  const indexesByActor = subscribers.get(bit) ?? new Map<CachedActor, Set<number>>();
  subscribers.set(bit, indexesByActor);
  const indexes = indexesByActor.get(actor);
  if (indexes === undefined) indexesByActor.set(actor, new Set([owner]));
  else indexes.add(owner);
}

/** Answers the probes at the reader's position, as `openProbesAnswer` reads it. */
export function* writeProbed(into: MessageWriter, cache: EdgeCache, reader: ByteReader, turn: Turn): SlicedRead<void> {
  const dids = (idleLists.pop() ?? new DidList()).read(reader);
  const actors = new Array<CachedActor | null | undefined>(dids.count).fill(null);
  const probing: Probing = {
    into,
    cache,
    reader,
    dids,
    actors,
    lacking: null,
    subscribers: null,
    count: reader.count(),
    generation: cache.beginLocating(dids),
    next: 0,
    lastFound: -1,
    probe: { owner: 0, kinds: 0, subject: 0 },
  };
  while (!probeSome(probing, turn)) {
    dids.source = reader.own();
    yield;
  }
  reader.end();
  idleLists.push(dids);
  into.varint(0);
  if (probing.subscribers !== null) yield* writeAllSubscriptions(into, cache, probing.subscribers, turn);
  if (probing.lacking !== null) for (const state of probing.lacking) requireWhole(state);
}

/** Lists in one answer or request; more are refused. */
const listsPerMessageMax = 100_000;
const listBytesPerMicro = 1_000;

function* writeAllSubscriptions(
  into: MessageWriter,
  cache: EdgeCache,
  subscribers: NonNullable<Probing['subscribers']>,
  turn: Turn,
): SlicedRead<void> {
  let left = listsPerMessageMax;
  for (const [bit, indexesByActor] of subscribers) {
    for (const [actor, indexes] of indexesByActor) {
      const lists = yield* cache.subscriptions(actor, subscriptionKind[bit], turn);
      left -= lists.count;
      if (left < 0)
        throw new DataPlaneError('ResourceExhausted', `${nodeCalls.probeEdges}: more than ${listsPerMessageMax} lists`);
      if (lists.count > 0) writeSubscriptions(into, { bit, owners: [...indexes], lists });
      if (turn.isOver(micros.row + Math.trunc(lists.bytes.length / listBytesPerMicro))) yield;
    }
  }
}

/** More subjects times candidates are refused, so that the answer fits a payload. */
const pairsMax = 500_000;

/** A search for followers: the reader is at the next candidate. */
type FollowerSearch = {
  readonly cache: EdgeCache;
  readonly reader: ByteReader;
  readonly dids: DidList;
  /**
   * By subject: where the candidates that follow it begin, with their lengths, and end in the
   * reader's buffer, one after the other.
   */
  readonly found: number[][];
  left: number;
};

/** Searches until the turn is over. Returns true at the end. Hot: no generator. */
function searchSome(search: FollowerSearch, turn: Turn): boolean {
  const { cache, reader, dids, found } = search;
  const { buffer } = reader;
  const subjectCount = dids.count;
  for (; search.left > 0; ) {
    search.left--;
    const from = reader.position;
    const start = reader.lengthDelimitedRange();
    const actor = cache.get(buffer, start, reader.position);
    if (actor === undefined) continue;
    const wasRead = actor.subjects.follow !== undefined;
    const follows = cache.subjectsOf(actor, 'follow');
    for (let subject = 0; subject < subjectCount; subject++) {
      const isFollowed =
        follows === null ? cache.rowOf(actor, 'follow', dids, subject) !== undefined : follows.has(dids, subject);
      if (isFollowed) found[subject]!.push(from, reader.position);
    }
    const isRead = !wasRead && actor.subjects.follow !== undefined;
    const looks = follows === null ? subjectCount * micros.row : 1 + Math.trunc(subjectCount / setLooksPerMicro);
    if (turn.isOver(looks + (isRead ? micros.set : 0))) return false;
  }
  return true;
}

/**
 * Writes which candidates follow each subject, as `openFollowersAmongAnswer` reads it.
 *
 * Errors: DataPlaneError `ResourceExhausted` for too many pairs.
 */
export function* writeFollowersAmong(
  into: MessageWriter,
  cache: EdgeCache,
  reader: ByteReader,
  turn: Turn,
): SlicedRead<void> {
  const dids = (idleLists.pop() ?? new DidList()).read(reader);
  const candidateCount = reader.count();
  if (dids.count * candidateCount > pairsMax) {
    throw new DataPlaneError('ResourceExhausted', `${nodeCalls.followersAmong}: more than ${pairsMax} pairs`);
  }
  const found = Array.from({ length: dids.count }, (): number[] => []);
  const search = { cache, reader, dids, found, left: candidateCount };
  while (!searchSome(search, turn)) {
    dids.source = reader.own();
    yield;
  }
  reader.end();
  idleLists.push(dids);
  for (const ranges of found) {
    const start = into.beginLengthDelimited();
    for (let at = 0; at < ranges.length; at += 2) {
      const [from, end] = [ranges[at]!, ranges[at + 1]!];
      into.reserve(1 + end - from);
      into.buffer[into.length] = followerTag;
      into.length = copyBytes(into.buffer, into.length + 1, reader.buffer, from, end);
    }
    into.end(start, 1);
    if (turn.isOver(1 + Math.trunc(ranges.length / setLooksPerMicro))) {
      reader.own();
      yield;
    }
  }
}

/** Returns for each subject the URI of the actor's record that points at it, or ''. */
export function* urisOfEdges(
  { state, did }: { readonly state: SlotState; readonly did: string },
  kind: EdgeKind,
  subjects: readonly (EdgeSubject | undefined)[],
  turn: Turn,
): SlicedRead<string[]> {
  const owner = ownerOfDid(state, did);
  const { collection } = edgeByKind[kind];
  const uris: string[] = [];
  let isLacking = false;
  for (const subject of subjects) {
    const rkey = owner === undefined || subject === undefined ? undefined : findEdge(state, owner, kind, subject);
    uris.push(rkey === undefined ? '' : recordUri({ did, collection, rkey }));
    isLacking ||= rkey === undefined;
    // A hit may be a large record, which is parsed.
    if (turn.isOver(rkey === undefined ? micros.row : microsPerLook)) yield;
  }
  if (isLacking) requireWhole(state);
  return uris;
}

/** Returns an actor as the subject of an edge; undefined for a DID too long to be stored. */
export function actorSubject(did: string): EdgeSubject | undefined {
  return did.length > didLengthMax ? undefined : { did, ref: null };
}

/** Returns a record as the subject of an edge; undefined for a malformed URI. */
export function recordSubject(uri: string): EdgeSubject | undefined {
  const ref = parseRecordUri(uri);
  return ref === undefined ? undefined : { did: ref.did, ref };
}
