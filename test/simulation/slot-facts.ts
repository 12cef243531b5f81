/** Reads the facts of `model-facts.ts` from the tables of slots, with owners named by DID. */

import { Cid } from '../../src/atproto/cid.ts';
import {
  type RecordRef,
  readCollection,
  readDid,
  readRecordRef,
  readRkey,
  recordUri,
} from '../../src/atproto/compact-key.ts';
import { type EdgeSubject, edgeOfCode, readSubject } from '../../src/atproto/edge-kind.ts';
import { privateNamespace } from '../../src/atproto/private-namespace.ts';
import { ByteReader } from '../../src/base/bytes.ts';
import { readEntryTime } from '../../src/base/time-bytes.ts';
import { getActor, getRepo } from '../../src/slot/table/actor-row.ts';
import { jsonOfRow } from '../../src/slot/table/applied-record.ts';
import { findEdge } from '../../src/slot/table/edge-by-subject.ts';
import { readEdgePage } from '../../src/slot/table/edge-walk.ts';
import { readFeedRow } from '../../src/slot/table/feed-item.ts';
import { didOfHandle } from '../../src/slot/table/handle-claim.ts';
import { findMute, hasListMute, readListedMute } from '../../src/slot/table/mute.ts';
import { clearCount } from '../../src/slot/table/mute-clears.ts';
import { readNotice } from '../../src/slot/table/notice.ts';
import { duplicatesOf } from '../../src/slot/table/outgoing-edge.ts';
import { getPrivateRow, isIndexedRow, readPrivateItem, subscriptionOf } from '../../src/slot/table/private-data.ts';
import { getRecordRow, readRecordRefOfKey, sortMsOf } from '../../src/slot/table/record-row.ts';
import { beginKey, beginSlotKey, readKey, type SlotState, tableCode } from '../../src/slot/table/slot-state.ts';
import { hasThreadMute } from '../../src/slot/table/thread-mute.ts';
import { postUri, readThreadReply } from '../../src/slot/table/thread-reply.ts';
import { getNotificationSeen, getUnreadCount } from '../../src/slot/table/unread-count.ts';
import { getVerifiedBy } from '../../src/slot/table/verified-by.ts';
import { prefixEnd, type Row } from '../../src/storage/environment.ts';
import { actorCountsOf, recordCountsOf, unreadByCounting } from '../support/stored-rows.ts';
import type { Facts } from './model-facts.ts';
import type { Comparable } from './model-gates.ts';
import { readActorFacts, readSuggestions } from './slot-operators.ts';

const postCollection = 'app.bsky.feed.post';

type Scope = { readonly state: SlotState; readonly owner: number; readonly did: string; readonly facts: Facts };

/** Reads the facts about these DIDs and handles. `stateOf` returns the slot of a key. */
export function factsOfSlots(
  stateOf: (key: string) => SlotState,
  dids: readonly string[],
  handles: readonly string[],
  compared: Comparable,
): Facts {
  const facts: Facts = new Map();
  for (const did of dids) {
    const state = stateOf(did);
    const owner = state.ownerOf(did);
    if (owner === undefined) continue;
    const scope = { state, owner, did, facts };
    readAccount(scope);
    readMutes(scope);
    readPrivate(scope);
    readActorFacts(scope, (key, value) => put(facts, key, value));
    readRecords(scope, compared);
    readEdges(scope);
    readIncoming(scope);
    readVerifications(scope);
    readJoins(scope);
    readFeed(scope);
    readThreads(scope);
    readNotices(scope, compared.isNoticeCompared);
  }
  readSuggestions(stateOf, (key, value) => put(facts, key, value));
  for (const handle of handles) {
    const holder = didOfHandle(stateOf(handle), handle);
    if (holder !== undefined) put(facts, `handle ${handle}`, holder);
  }
  return facts;
}

function put(facts: Facts, key: string, value: unknown): void {
  if (facts.has(key)) throw new Error(`two rows say the same: ${key}`);
  facts.set(key, JSON.stringify(value));
}

function rowsOf(scope: Scope, table: number): Row[] {
  const prefix = beginKey(scope.owner, table).finish();
  return [...scope.state.rows.scan({ start: prefix, end: prefixEnd(prefix) })];
}

function readAccount(scope: Scope): void {
  const { state, owner, did, facts } = scope;
  const actor = getActor(state, owner);
  if (actor !== undefined) {
    put(facts, `actor ${did}`, {
      handle: actor.handle,
      status: actor.upstreamStatus,
      takedownRef: actor.takedownRef,
      isTrusted: actor.isTrustedVerifier,
    });
  }
  const rev = getRepo(state, owner)?.rev ?? '';
  if (rev !== '') put(facts, `repo ${did}`, rev);
  const seenMs = getNotificationSeen(state, owner);
  if (seenMs !== null) put(facts, `seen ${did}`, seenMs);
  for (const { key, value } of rowsOf(scope, tableCode.blobTakedown))
    put(facts, `blob ${did} ${readKey(key).text()}`, value.toString());
  const resync = beginSlotKey(tableCode.resyncNeeded).finish();
  for (const key of state.rows.scanKeys({ start: resync, end: prefixEnd(resync) })) {
    if (readDid(readKey(key)) === did) put(facts, `resync ${did}`, true);
  }
  const counts = Object.entries(actorCountsOf(state, owner)).filter(
    ([name, count]) => count > 0 && name !== 'askedAbout',
  );
  if (counts.length > 0) put(facts, `counts ${did}`, Object.fromEntries(counts.sort()));
}

function readMutes(scope: Scope): void {
  const { state, owner, did, facts } = scope;
  const clears = clearCount(state, owner, 'actor');
  for (const { key, value } of rowsOf(scope, tableCode.muteByTime)) {
    const { subject, scope: muteScope, clears: ownClears } = readListedMute(key, value);
    if (ownClears === clears) put(facts, `mute ${did} ${subject}`, muteScope);
  }
  for (const { key } of rowsOf(scope, tableCode.mute)) {
    const subject = readDid(readKey(key));
    const found = findMute(state, owner, subject);
    if (JSON.stringify(found) !== facts.get(`mute ${did} ${subject}`))
      throw new Error(`the mute of ${subject} by ${did} is not what the order in time says`);
  }
  for (const { key } of rowsOf(scope, tableCode.listMute)) {
    const list = readRecordRef(readKey(key));
    if (hasListMute(state, owner, list)) put(facts, `list-mute ${did} ${recordUri(list)}`, true);
  }
  for (const { key } of rowsOf(scope, tableCode.threadMute)) {
    const root = readRecordRef(readKey(key));
    if (hasThreadMute(state, owner, root)) put(facts, `thread-mute ${did} ${recordUri(root)}`, true);
  }
}

function readPrivate(scope: Scope): void {
  const { state, owner, did, facts } = scope;
  for (const { key, value } of rowsOf(scope, tableCode.privateData)) {
    const item = readPrivateItem(key);
    if (item === undefined) continue;
    const { payload } = getPrivateRow(state, owner, item)!;
    put(facts, `private ${did} ${item.namespace} ${item.key}`, { isIndexed: isIndexedRow(value), payload });
  }
  for (const { value } of rowsOf(scope, tableCode.bookmarkBySubject)) {
    const item = { namespace: privateNamespace.bookmark, key: value.toString() };
    if (getPrivateRow(state, owner, item)?.indexedPayload == null)
      throw new Error(`${did} has no bookmark ${item.key}`);
  }
  for (const { key, value } of rowsOf(scope, tableCode.subscriptionBySubject)) {
    const row = getPrivateRow(state, owner, {
      namespace: privateNamespace.activitySubscription,
      key: value.toString(),
    });
    const subject = readDid(readKey(key));
    if (subscriptionOf(row?.indexedPayload ?? '{}')?.did !== subject)
      throw new Error(`${did} is not subscribed to ${subject} by ${value}`);
    put(facts, `subscription ${did} ${subject}`, value.toString());
  }
  const drafts = [...rowsOf(scope, tableCode.draftByTime)].length;
  if (drafts !== (actorCountsOf(state, owner)['drafts'] ?? 0))
    throw new Error(`${did} has ${drafts} drafts in time order`);
}

function readRecords(scope: Scope, compared: Comparable): void {
  const { state, owner, did, facts } = scope;
  for (const { key } of rowsOf(scope, tableCode.record)) {
    const ref = readRecordRefOfKey(did, key);
    const row = getRecordRow(state, owner, ref.collection, ref.rkey)!;
    const { indexedMs, takedownRef, tags = [], postFlags } = row;
    const gates = postFlags & (compared.isVerdictCompared(recordUri(ref)) ? 15 : 12);
    const cid = new Cid(row.cid).text;
    const json = jsonOfRow(row);
    put(facts, `record ${recordUri(ref)}`, { cid, json, indexedMs, sortMs: sortMsOf(row), takedownRef, tags, gates });
  }
  for (const { key } of rowsOf(scope, tableCode.recordCounts)) {
    const ref = readRecordRefOfKey(did, key);
    const isCompared = (name: string): boolean => name !== 'replies' || compared.isReplyCountCompared(recordUri(ref));
    const counts = Object.entries(recordCountsOf(state, key)).filter(([name, count]) => count > 0 && isCompared(name));
    if (counts.length > 0) put(facts, `record-counts ${recordUri(ref)}`, Object.fromEntries(counts.sort()));
  }
}

/** Kinds made by whole records; quotes and replies are no edges of their author. */
const outgoingKinds = ['follow', 'like', 'repost', 'block', 'list-block', 'verification', 'list-opt-out'] as const;
const edgesMax = 1_000_000;

function textOfSubject({ did, ref }: EdgeSubject): string {
  return ref === null ? did : `${did} ${ref.did}/${ref.collection}/${ref.rkey}`;
}

function readEdges(scope: Scope): void {
  const { state, owner, did, facts } = scope;
  const subjects = new Set<string>();
  for (const kind of outgoingKinds) {
    const { edges, found } = readEdgePage({ state, owner }, kind, null, edgesMax, edgesMax);
    for (const [index, edge] of found.entries()) {
      if (index > 0 && edges.compare(found[index - 1]!, edge) >= 0)
        throw new Error(`the edges of ${did} are out of order`);
      const sortMs = edges.sortMs(edge);
      const rkey = readRkey(new ByteReader(edges.bytes, edges.rkeyAt(edge)));
      const subject = readSubject(new ByteReader(edges.bytes, edges.subjectAt(edge)), kind);
      if (findEdge(state, owner, kind, subject) !== rkey) throw new Error(`two edges of ${did} to one subject`);
      const waiting = duplicatesOf(state, owner, kind, subject, 1000);
      put(facts, `edge ${did} ${kind} ${textOfSubject(subject)}`, { sortMs, rkey, waiting });
      subjects.add(`${kind} ${textOfSubject(subject)}`);
    }
  }
  readMembers(scope, subjects);
  // A row that only marks that others follow it is no edge.
  const bySubject = rowsOf(scope, tableCode.edgeBySubject).filter(({ value }) => value[0] !== 0xff).length;
  if (bySubject !== subjects.size)
    throw new Error(`${did} has ${bySubject} edges by subject and ${subjects.size} by time`);
}

/** Items of lists are in the order of their list. */
function readMembers(scope: Scope, subjects: Set<string>): void {
  const { state, owner, did, facts } = scope;
  for (const { key, value } of rowsOf(scope, tableCode.listMember)) {
    const reader = readKey(key);
    const list = { did, collection: readCollection(reader), rkey: readRkey(reader) };
    if (reader.remaining === 0) {
      put(facts, `members ${recordUri(list)}`, { members: value.readUInt32BE(0) });
      continue;
    }
    const sortMs = readEntryTime(reader);
    const rkey = readRkey(reader);
    const subject = { did: readDid(new ByteReader(value)), ref: list };
    if (findEdge(state, owner, 'list-item', subject) !== rkey) throw new Error(`two items of ${did} for one member`);
    const waiting = duplicatesOf(state, owner, 'list-item', subject, 1000);
    put(facts, `edge ${did} list-item ${textOfSubject(subject)}`, { sortMs, rkey, waiting });
    subjects.add(`list-item ${textOfSubject(subject)}`);
  }
}

function readIncoming({ state, owner, did, facts }: Scope): void {
  const scope = { state, owner, did, facts };
  for (const { key } of rowsOf(scope, tableCode.incomingActor)) {
    const reader = readKey(key);
    const kind = edgeOfCode(reader.u8());
    const list = kind === 'list-item' ? readRecordRef(reader) : null;
    put(facts, `in ${kind} ${textOfSubject({ did, ref: list })} ${sourceText(reader)}`, true);
  }
  for (const { key } of rowsOf(scope, tableCode.incomingRecord)) {
    const reader = readKey(key);
    const ref = { did, collection: readCollection(reader), rkey: readRkey(reader) };
    const kind = edgeOfCode(reader.u8());
    const source = kind === 'list-opt-out' ? makerText(reader) : sourceText(reader);
    put(facts, `in ${kind} ${textOfSubject({ did, ref })} ${source}`, true);
  }
}

function makerText(reader: ByteReader): string {
  const maker = `${readDid(reader)} ${readRkey(reader)}`;
  return `${readEntryTime(reader)} ${maker}`;
}

function readVerifications({ state, owner, did, facts }: Scope): void {
  for (const { verifier, ...said } of getVerifiedBy(state, owner)) put(facts, `verified ${did} by ${verifier}`, said);
}

function readJoins(scope: Scope): void {
  const counts = new Map<string, Record<string, number>>();
  for (const { key, value } of rowsOf(scope, tableCode.packJoins)) {
    const reader = readKey(key);
    const uri = recordUri({ did: scope.did, collection: readCollection(reader), rkey: readRkey(reader) });
    const hour = reader.u32();
    const name = hour === 0xffff_ffff ? 'all' : String(hour);
    counts.set(uri, { ...counts.get(uri), [name]: value.readUInt32BE(0) });
  }
  for (const [uri, each] of counts) put(scope.facts, `joins ${uri}`, Object.fromEntries(Object.entries(each).sort()));
}

function sourceText(reader: ByteReader): string {
  const sortMs = readEntryTime(reader);
  return `${sortMs} ${readDid(reader)} ${readRkey(reader)}`;
}

function readFeed(scope: Scope): void {
  for (const { key, value } of rowsOf(scope, tableCode.feed)) {
    const { sortMs, collection, rkey, flags, post } = readFeedRow(key, value);
    const fact = { flags, post: post === null ? null : recordUri(post) };
    put(scope.facts, `feed ${scope.did} ${sortMs} ${collection} ${rkey}`, fact);
  }
}

const postReasons = ['mention', 'quote', 'reply'];

function readNotices(scope: Scope, isCompared: (recipient: string, sourceUri: string | null) => boolean): void {
  const unread = getUnreadCount(scope.state, scope.owner);
  const counted = unreadByCounting(scope.state, scope.owner, scope.did);
  if (unread !== counted) throw new Error(`${scope.did} keeps ${unread} as unread and has ${counted}`);
  if (unread > 0 && isCompared(scope.did, null)) put(scope.facts, `unread ${scope.did}`, unread);
  for (const { key, value } of rowsOf(scope, tableCode.notice)) {
    const { source, reason, subject, sortMs, isTakenDown, isMuted = false } = readNotice(key, value, scope.did);
    if (!isCompared(scope.did, recordUri(source))) continue;
    const noticeClass = postReasons.includes(reason) ? 'post' : reason;
    const fact = { reason, subject: subject === null ? null : recordUri(subject), isTakenDown, isMuted };
    put(scope.facts, `notice ${scope.did} ${sortMs} ${noticeClass} ${recordUri(source)}`, fact);
  }
}

function readThreads(scope: Scope): void {
  const rootUri = (rkey: string): string => recordUri(postOf(scope.did, rkey));
  for (const { key, value } of rowsOf(scope, tableCode.threadReply)) {
    const root = rootUri(readRkey(readKey(key)));
    const { reply, parent, sortMs, deletedMs, isTakenDown } = readThreadReply(key, value);
    put(scope.facts, `thread ${root} ${postUri(reply)}`, { parent: postUri(parent), sortMs, deletedMs, isTakenDown });
  }
  for (const { key } of rowsOf(scope, tableCode.threadChild)) {
    const reader = readKey(key);
    const root = rootUri(readRkey(reader));
    const parent = postUri({ did: readDid(reader), rkey: readRkey(reader) });
    const sortMs = readEntryTime(reader);
    put(
      scope.facts,
      `child ${root} ${parent} ${sortMs} ${postUri({ did: readDid(reader), rkey: readRkey(reader) })}`,
      true,
    );
  }
}

function postOf(did: string, rkey: string): RecordRef {
  return { did, collection: postCollection, rkey };
}

/** Returns the first facts that differ, as lines of text. */
export function differencesOf(expected: Facts, actual: Facts, limit = 12): string[] {
  const lines: string[] = [];
  for (const key of [...new Set([...expected.keys(), ...actual.keys()])].sort()) {
    if (expected.get(key) === actual.get(key)) continue;
    lines.push(`${key}\n    meant ${expected.get(key) ?? 'nothing'}\n    found ${actual.get(key) ?? 'nothing'}`);
  }
  return lines.length <= limit ? lines : [...lines.slice(0, limit), `and ${lines.length - limit} more`];
}
