/**
 * Pages of edges, newest first: what an actor's records point at, and what points at an actor or at
 * one of its records.
 *
 * As on the official data plane, an actor has one edge of a kind to a subject: later records do not
 * count.
 */

import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef, readRkey } from '../../atproto/compact-key.ts';
import { plcDidLength } from '../../atproto/did-plc.ts';
import { type EdgeKind, edgeByKind } from '../../atproto/edge-kind.ts';
import { tidLength } from '../../atproto/tid.ts';
import { ByteReader } from '../../base/bytes.ts';
import { timeBytes } from '../../base/time-bytes.ts';
import { fieldNumber, type MethodName } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendDid, appendRecordUri, appendRkey } from '../../slot/packing/key-text.ts';
import { edgeRecordPrefix, readEdgePage } from '../../slot/table/edge-walk.ts';
import { incomingActorPrefix, incomingRecordPrefix, readIncomingEdge } from '../../slot/table/incoming-edge.ts';
import { edgeByTimePrefix } from '../../slot/table/outgoing-edge.ts';
import { hasRecord, recordKey } from '../../slot/table/record-row.ts';
import { RecordView } from '../../slot/table/record-view.ts';
import { noOwner, type SlotState } from '../../slot/table/slot-state.ts';
import { edgePositionOf, edgeToken } from '../lookup/edge-token.ts';
import { keyToken, type PageRequest, pageLimit, visitKeys, walkFrom } from '../lookup/page.ts';
import { ownerOfDid, requireWhole } from '../lookup/slot-lookup.ts';
import { isPlcIn, isPlcWithTid, isTidIn, RepeatedItem, tidAfterPlc } from './repeated-item.ts';

const { uri, actorDid, subjectDid } = fieldNumber.FollowInfo;
const likeField = fieldNumber.LikeInfo;
/** Number and length of a field before a text of less than 128 bytes. */
const fieldHeadBytes = 2;

/** A method's kind of edges, the field numbers of its answer, and its token's name in errors. */
export type EdgePages = {
  readonly kind: EdgeKind;
  readonly items: number;
  readonly cursor: number;
  readonly path: string;
};

function pagesOf<Items extends string>(
  method: MethodName,
  kind: EdgeKind,
  response: Readonly<Record<Items | 'cursor', number>>,
  items: Items,
): EdgePages {
  return { kind, items: response[items], cursor: response.cursor, path: `${method}Request.cursor` };
}

export const edgePages = {
  GetFollows: pagesOf('GetFollows', 'follow', fieldNumber.GetFollowsResponse, 'follows'),
  GetFollowers: pagesOf('GetFollowers', 'follow', fieldNumber.GetFollowersResponse, 'followers'),
  GetBlocks: pagesOf('GetBlocks', 'block', fieldNumber.GetBlocksResponse, 'blockUris'),
  GetActorLikes: pagesOf('GetActorLikes', 'like', fieldNumber.GetActorLikesResponse, 'likes'),
  GetActorReposts: pagesOf('GetActorReposts', 'repost', fieldNumber.GetActorRepostsResponse, 'uris'),
  GetLikesBySubject: pagesOf('GetLikesBySubject', 'like', fieldNumber.GetLikesBySubjectResponse, 'uris'),
  GetLikesBySubjectSorted: pagesOf(
    'GetLikesBySubjectSorted',
    'like',
    fieldNumber.GetLikesBySubjectSortedResponse,
    'uris',
  ),
  GetRepostsBySubject: pagesOf('GetRepostsBySubject', 'repost', fieldNumber.GetRepostsBySubjectResponse, 'uris'),
  GetQuotesBySubjectSorted: pagesOf(
    'GetQuotesBySubjectSorted',
    'quote',
    fieldNumber.GetQuotesBySubjectSortedResponse,
    'uris',
  ),
  GetVerificationsIssued: pagesOf(
    'GetVerificationsIssued',
    'verification',
    fieldNumber.GetVerificationsIssuedResponse,
    'verifications',
  ),
  GetVerificationsReceived: pagesOf(
    'GetVerificationsReceived',
    'verification',
    fieldNumber.GetVerificationsReceivedResponse,
    'verifications',
  ),
} as const;

/** Writes the item of an edge: its rkey is at `rkeyAt` of `bytes`, its subject at `subjectAt`. */
type OutgoingWriter = (bytes: Buffer, rkeyAt: number, subjectAt: number) => void;

/** Writes a page of one owner's outgoing edges. */
function writeOutgoing(
  into: MessageWriter,
  { state, owner }: { readonly state: SlotState; readonly owner: number },
  pages: EdgePages,
  page: PageRequest,
  writeItem: OutgoingWriter,
): void {
  const limit = pageLimit(page.limit);
  const prefix = edgeByTimePrefix(owner, pages.kind);
  const recordPrefix = edgeRecordPrefix(owner, pages.kind);
  const from = edgePositionOf(page.cursor, prefix, recordPrefix, pages.path);
  if (limit === 0) return;
  const { edges, found, next } = readEdgePage({ state, owner }, pages.kind, from, limit);
  if (found.length === 0) requireWhole(state);
  const { bytes } = edges;
  for (const edge of found) writeItem(bytes, edges.rkeyAt(edge), edges.subjectAt(edge));
  if (next !== null) into.textField(pages.cursor, edgeToken(next, prefix));
}

/** Writes a page of incoming edges. In `key`, `at` is the offset after the time. */
function writeIncoming(
  into: MessageWriter,
  { state, prefix }: { readonly state: SlotState; readonly prefix: Buffer },
  pages: EdgePages,
  page: PageRequest,
  writeItem: (key: Buffer, at: number) => void,
): void {
  const limit = pageLimit(page.limit);
  const walk = walkFrom(prefix, page.cursor, pages.path);
  if (limit === 0) return;
  const at = prefix.length + timeBytes;
  let token = '';
  let count = 0;
  visitKeys(state.rows, walk, limit + 1, ({ key, keyLength }) => {
    if (count++ === limit) {
      into.textField(pages.cursor, token);
      return false;
    }
    writeItem(key, at);
    if (count === limit) token = keyToken(key.subarray(0, keyLength), prefix.length);
    return true;
  });
  if (count === 0) requireWhole(state);
}

/** Writes the URI of the owner's record that makes an edge; its rkey is at `at`. */
function writeOwnUri(into: MessageWriter, number: number, head: string, bytes: Buffer, at: number): void {
  const start = into.begin(number, 1);
  into.ascii(head);
  appendRkey(into, bytes, at);
  into.end(start, 1);
}

/** Writes the URI of the record that makes an incoming edge; its DID and rkey are at `at`. */
function writeSourceUri(into: MessageWriter, number: number, tail: string, key: Buffer, at: number): void {
  const start = into.begin(number, 1);
  into.ascii('at://');
  const rkeyAt = appendDid(into, key, at);
  into.ascii(tail);
  appendRkey(into, key, rkeyAt);
  into.end(start, 1);
}

function writeDidField(into: MessageWriter, number: number, source: Buffer, at: number): void {
  const start = into.begin(number, 1);
  appendDid(into, source, at);
  into.end(start, 1);
}

/** Errors: DataPlaneError `InvalidArgument` for a malformed token. */
export type ActorPageWriter = (
  into: MessageWriter,
  state: SlotState,
  did: string,
  pages: EdgePages,
  page: PageRequest,
) => void;

export const writeFollows: ActorPageWriter = (into, state, did, pages, page) => {
  const owner = ownerOfDid(state, did) ?? noOwner;
  const head = `at://${did}/${nsid.follow}/`;
  const item = new RepeatedItem(into);
  let tidBack = 0;
  writeOutgoing(into, { state, owner }, pages, page, (bytes, rkeyAt, subjectAt) => {
    const isUsual = isTidIn(bytes, rkeyAt) && isPlcIn(bytes, subjectAt);
    if (isUsual && item.repeat()) {
      item.tid(tidBack, bytes, rkeyAt);
      item.plc(plcDidLength, bytes, subjectAt);
      return;
    }
    const itemStart = into.length;
    const start = into.begin(pages.items, 2);
    writeOwnUri(into, uri, head, bytes, rkeyAt);
    const tidAt = into.length - tidLength;
    into.textField(actorDid, did);
    writeDidField(into, subjectDid, bytes, subjectAt);
    if (isUsual) tidBack = into.length - tidAt;
    into.end(start, 2);
    if (isUsual) item.keep(itemStart);
  });
};

export const writeFollowers: ActorPageWriter = (into, state, did, pages, page) => {
  const owner = ownerOfDid(state, did) ?? noOwner;
  const tail = `/${nsid.follow}/`;
  const item = new RepeatedItem(into);
  let actorBack = 0;
  writeIncoming(into, { state, prefix: incomingActorPrefix(owner, pages.kind) }, pages, page, (key, at) => {
    const isUsual = isPlcWithTid(key, at);
    if (isUsual && item.repeat()) {
      const tidBack = actorBack + fieldHeadBytes + tidLength;
      item.plc(tidBack + tail.length + plcDidLength, key, at);
      item.tid(tidBack, key, tidAfterPlc(at));
      item.plc(actorBack, key, at);
      return;
    }
    const itemStart = into.length;
    const start = into.begin(pages.items, 2);
    writeSourceUri(into, uri, tail, key, at);
    writeDidField(into, actorDid, key, at);
    const actorAt = into.length - plcDidLength;
    into.textField(subjectDid, did);
    actorBack = into.length - actorAt;
    into.end(start, 2);
    if (isUsual) item.keep(itemStart);
  });
};

/** Writes likes with the subject of each. */
export const writeActorLikes: ActorPageWriter = (into, state, did, pages, page) => {
  const owner = ownerOfDid(state, did) ?? noOwner;
  const head = `at://${did}/${nsid.like}/`;
  writeOutgoing(into, { state, owner }, pages, page, (bytes, rkeyAt, subjectAt) => {
    const start = into.begin(pages.items, 2);
    writeOwnUri(into, likeField.uri, head, bytes, rkeyAt);
    const subject = into.begin(likeField.subject, 1);
    appendRecordUri(into, bytes, subjectAt);
    into.end(subject, 1);
    into.end(start, 2);
  });
};

const issued = fieldNumber.VerificationIssued;
const received = fieldNumber.VerificationReceived;
const view = new RecordView();

/** Writes the verifications that an actor issued, one per subject, whether it is trusted or not. */
export const writeVerificationsIssued: ActorPageWriter = (into, state, did, pages, page) => {
  const owner = ownerOfDid(state, did) ?? noOwner;
  writeOutgoing(into, { state, owner }, pages, page, (bytes, rkeyAt, subjectAt) => {
    const rkey = readRkey(new ByteReader(bytes, rkeyAt));
    const start = into.begin(pages.items, 2);
    into.textField(issued.actorDid, did);
    into.textField(issued.rkey, rkey);
    writeDidField(into, issued.subjectDid, bytes, subjectAt);
    const row = state.rows.getVolatile(recordKey(owner, nsid.verification, rkey));
    if (row !== undefined) {
      const { hasCreated, createdMs, indexedMs, sortMs } = view.read(row);
      if (hasCreated) into.timeField(issued.createdAt, createdMs);
      into.timeField(issued.indexedAt, indexedMs);
      into.timeField(issued.sortedAt, sortMs);
    }
    into.end(start, 2);
  });
};

/** Writes who verified an actor, and when: the times of the records are in the issuers' slots. */
export const writeVerificationsReceived: ActorPageWriter = (into, state, did, pages, page) => {
  const owner = ownerOfDid(state, did) ?? noOwner;
  const prefix = incomingActorPrefix(owner, pages.kind);
  writeIncoming(into, { state, prefix }, pages, page, (key, at) => {
    const { rkey, sortMs } = readIncomingEdge(key, prefix.length);
    const start = into.begin(pages.items, 2);
    writeDidField(into, received.actorDid, key, at);
    into.textField(received.rkey, rkey);
    into.textField(received.subjectDid, did);
    into.timeField(received.sortedAt, sortMs);
    into.end(start, 2);
  });
};

/** Writes only the URIs of the records that make the edges. */
export const writeOwnEdgeUris: ActorPageWriter = (into, state, did, pages, page) => {
  const owner = ownerOfDid(state, did) ?? noOwner;
  const head = `at://${did}/${edgeByKind[pages.kind].collection}/`;
  const item = new RepeatedItem(into);
  writeOutgoing(into, { state, owner }, pages, page, (bytes, rkeyAt) => {
    const isUsual = isTidIn(bytes, rkeyAt);
    if (isUsual && item.repeat()) return item.tid(tidLength, bytes, rkeyAt);
    const start = into.length;
    writeOwnUri(into, pages.items, head, bytes, rkeyAt);
    if (isUsual) item.keep(start);
  });
};

/** Writes a page of the URIs of the records that point at one record. */
export function writeEdgeUrisOfSubject(
  into: MessageWriter,
  state: SlotState,
  subject: RecordRef,
  pages: EdgePages,
  page: PageRequest,
): void {
  const { kind } = pages;
  const owner = ownerOfDid(state, subject.did) ?? noOwner;
  // A deleted post has no quotes any more, but its likes and reposts stay listed.
  const isGone = kind === 'quote' && !hasRecord(state, owner, subject.collection, subject.rkey);
  const prefix = incomingRecordPrefix(isGone ? noOwner : owner, subject.collection, subject.rkey, kind);
  const tail = `/${edgeByKind[kind].collection}/`;
  const item = new RepeatedItem(into);
  writeIncoming(into, { state, prefix }, pages, page, (key, at) => {
    const isUsual = isPlcWithTid(key, at);
    if (isUsual && item.repeat()) {
      item.plc(tidLength + tail.length + plcDidLength, key, at);
      item.tid(tidLength, key, tidAfterPlc(at));
      return;
    }
    const start = into.length;
    writeSourceUri(into, pages.items, tail, key, at);
    if (isUsual) item.keep(start);
  });
}

/** Returns the record that a request's subject names; undefined for a malformed URI. */
export function subjectRef(subject: { readonly uri: string } | undefined): RecordRef | undefined {
  return subject === undefined ? undefined : parseRecordUri(subject.uri);
}
