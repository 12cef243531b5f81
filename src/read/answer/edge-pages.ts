/**
 * Pages of edges, newest first: what an owner's records point at, and what points at an owner or at one of its records.
 *
 * Only the one edge of each subject stands here; later records for the same subject are left out, as on the official plane.
 */
import { nsid } from '../../atproto/collection.ts';
import { parseRecordUri, type RecordRef } from '../../atproto/compact-key.ts';
import { type EdgeKind, edgeByKind } from '../../atproto/edge-kind.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendDid, appendRecordUri, appendRkey } from '../../slot/packing/key-text.ts';
import { walkEdges } from '../../slot/table/edge-walk.ts';
import { incomingActorPrefix, incomingRecordPrefix } from '../../slot/table/incoming-edge.ts';
import { edgeByTimePrefix } from '../../slot/table/outgoing-edge.ts';
import { hasRecord } from '../../slot/table/record-row.ts';
import { ownersMax, type SlotState } from '../../slot/table/slot-state.ts';
import { keyToken, type PageRequest, pageLimit, walkFrom, walkKeys } from '../lookup/page.ts';
import { ownerOfDid } from '../lookup/slot-lookup.ts';

const itemsField = 1;
const cursorField = 2;
const timeBytes = 6;

/** Writes one item from its row. `at` is where the part behind the time begins. */
type ItemWriter = (into: MessageWriter, key: Buffer, at: number, value: Buffer) => void;

/** Writes a page of one owner's outgoing edges of a kind. */
function writeOutgoing(
  into: MessageWriter,
  state: SlotState,
  owner: number,
  kind: EdgeKind,
  page: PageRequest,
  place: string,
  writeItem: ItemWriter,
): void {
  const limit = pageLimit(page.limit);
  const walk = walkFrom(edgeByTimePrefix(owner, kind), page.cursor, `${place}.cursor`);
  if (limit === 0) return;
  const at = walk.prefix.length + timeBytes;
  let last: Buffer | null = null;
  let count = 0;
  for (const { key, value } of walkEdges(state, owner, kind, walk.after, limit + 1)) {
    if (count++ === limit) {
      into.textField(cursorField, keyToken(last!, walk.prefix.length));
      return;
    }
    writeItem(into, key, at, value);
    last = key;
  }
}

/** Writes a page of edges that point here. */
function writeIncoming(
  into: MessageWriter,
  state: SlotState,
  prefix: Buffer,
  page: PageRequest,
  place: string,
  writeItem: (into: MessageWriter, key: Buffer, at: number) => void,
): void {
  const limit = pageLimit(page.limit);
  const walk = walkFrom(prefix, page.cursor, `${place}.cursor`);
  if (limit === 0) return;
  const at = prefix.length + timeBytes;
  let last: Buffer | null = null;
  let count = 0;
  for (const key of walkKeys(state.rows, walk, limit + 1)) {
    if (count++ === limit) {
      into.textField(cursorField, keyToken(last!, prefix.length));
      return;
    }
    writeItem(into, key, at);
    last = key;
  }
}

/** Renders `at://<did><tail><rkey>` as a string field; the rkey stands at `at`. */
function writeOwnUri(into: MessageWriter, number: number, head: string, key: Buffer, at: number): void {
  const start = into.begin(number, 1);
  into.ascii(head);
  appendRkey(into, key, at);
  into.end(start, 1);
}

/** Renders the URI of the record that made an incoming edge; its DID and rkey stand at `at`. */
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

const followInfo = { uri: 1, actorDid: 2, subjectDid: 3 } as const;
const likeInfo = { uri: 1, subject: 2 } as const;

/** Writes a page of whom `did` follows. */
export function writeFollows(into: MessageWriter, state: SlotState, did: string, page: PageRequest): void {
  const owner = ownerOfDid(state, did) ?? noOwner;
  const head = `at://${did}/${nsid.follow}/`;
  writeOutgoing(into, state, owner, 'follow', page, 'GetFollowsRequest', (_into, key, at, value) => {
    const start = into.begin(itemsField, 2);
    writeOwnUri(into, followInfo.uri, head, key, at);
    into.textField(followInfo.actorDid, did);
    writeDidField(into, followInfo.subjectDid, value, 0);
    into.end(start, 2);
  });
}

/** An owner number that is never given out, so that its pages are empty and its tokens still checked. */
const noOwner = ownersMax;

/** Writes a page of who follows `did`. */
export function writeFollowers(into: MessageWriter, state: SlotState, did: string, page: PageRequest): void {
  const owner = ownerOfDid(state, did) ?? noOwner;
  const tail = `/${nsid.follow}/`;
  writeIncoming(into, state, incomingActorPrefix(owner, 'follow'), page, 'GetFollowersRequest', (_into, key, at) => {
    const start = into.begin(itemsField, 2);
    writeSourceUri(into, followInfo.uri, tail, key, at);
    writeDidField(into, followInfo.actorDid, key, at);
    into.textField(followInfo.subjectDid, did);
    into.end(start, 2);
  });
}

/** Writes a page of the likes of `did`, with what each likes. */
export function writeActorLikes(into: MessageWriter, state: SlotState, did: string, page: PageRequest): void {
  const owner = ownerOfDid(state, did) ?? noOwner;
  const head = `at://${did}/${nsid.like}/`;
  writeOutgoing(into, state, owner, 'like', page, 'GetActorLikesRequest', (_into, key, at, value) => {
    const start = into.begin(itemsField, 2);
    writeOwnUri(into, likeInfo.uri, head, key, at);
    const subject = into.begin(likeInfo.subject, 1);
    appendRecordUri(into, value, 0);
    into.end(subject, 1);
    into.end(start, 2);
  });
}

/** Writes a page of the URIs of the records of `did` that make edges of a kind. */
export function writeOwnEdgeUris(
  into: MessageWriter,
  state: SlotState,
  did: string,
  kind: EdgeKind,
  page: PageRequest,
  place: string,
): void {
  const owner = ownerOfDid(state, did) ?? noOwner;
  const head = `at://${did}/${edgeByKind[kind].collection}/`;
  writeOutgoing(into, state, owner, kind, page, place, (_into, key, at) =>
    writeOwnUri(into, itemsField, head, key, at),
  );
}

/** Writes a page of the URIs of the records that point at one record. */
export function writeEdgeUrisOfSubject(
  into: MessageWriter,
  state: SlotState,
  subject: RecordRef,
  kind: EdgeKind,
  page: PageRequest,
  place: string,
): void {
  const owner = ownerOfDid(state, subject.did) ?? noOwner;
  // A post takes its list of quotes with it when it goes; likes and reposts of it stay listed.
  const isGone = kind === 'quote' && !hasRecord(state, owner, subject.collection, subject.rkey);
  const prefix = incomingRecordPrefix(isGone ? noOwner : owner, subject.collection, subject.rkey, kind);
  const tail = `/${edgeByKind[kind].collection}/`;
  writeIncoming(into, state, prefix, page, place, (_into, key, at) => writeSourceUri(into, itemsField, tail, key, at));
}

/** Returns the record that a request's subject names; undefined for what is no record. */
export function subjectRef(subject: { readonly uri: string } | undefined): RecordRef | undefined {
  return subject === undefined ? undefined : parseRecordUri(subject.uri);
}
