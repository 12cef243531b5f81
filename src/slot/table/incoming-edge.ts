/**
 * What others' records point at: an owner, or one of its records. Written by effects only.
 *
 * (owner, incomingActor, kind, [list,] sort time, source DID, source rkey) → nothing: followers, blockers, lists it is on,
 * verifiers. (owner, incomingRecord, collection, rkey, kind, sort time, source DID, source rkey) → nothing: likes, reposts, quotes
 * and replies of a record. The key is the edge's whole identity, so putting or taking it away twice changes nothing.
 */
import {
  type RecordRef,
  readDid,
  readRkey,
  writeCollection,
  writeDid,
  writeRecordRef,
  writeRkey,
} from '../../atproto/compact-key.ts';
import type { EdgeKind } from '../../atproto/edge-kind.ts';
import { ByteReader } from '../../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import { edgeCode } from '../../entry/effect-codec.ts';
import type { Effect } from '../../entry/entry.ts';
import type { ApplyContext } from '../apply/apply-context.ts';
import { type ActorCountName, addToActorCount } from './actor-counts.ts';
import { putNotice, removeNotice } from './notice.ts';
import { addToRecordCount, type RecordCountName, recordCountsKey } from './record-counts.ts';
import { hasRecord } from './record-row.ts';
import { beginKey, tableCode } from './slot-state.ts';

/** Who points here and since when: the source record's sort time, its repo and its rkey. */
export type IncomingEdge = { readonly sortMs: number; readonly did: string; readonly rkey: string };

/** Returns the prefix of all edges of a kind at an actor, in time order; those of list items are grouped by list first. */
export function incomingActorPrefix(owner: number, kind: EdgeKind): Buffer {
  return beginKey(owner, tableCode.incomingActor).u8(edgeCode[kind]).finish();
}

/** Returns the prefix of all edges of a kind at one record, in time order. */
export function incomingRecordPrefix(owner: number, collection: string, rkey: string, kind: EdgeKind): Buffer {
  const key = beginKey(owner, tableCode.incomingRecord);
  writeCollection(key, collection);
  writeRkey(key, rkey);
  return key.u8(edgeCode[kind]).finish();
}

/** Reads what stands behind a prefix of `prefixLength` bytes in an incoming key. */
export function readIncomingEdge(key: Buffer, prefixLength: number): IncomingEdge {
  const reader = new ByteReader(key, prefixLength);
  return { sortMs: readEntryTime(reader), did: readDid(reader), rkey: readRkey(reader) };
}

type EdgeEffect = Effect & { readonly type: 'edge' };

function actorEdgeKey(owner: number, effect: EdgeEffect): Buffer {
  const key = beginKey(owner, tableCode.incomingActor).u8(edgeCode[effect.edge]);
  if (effect.edge === 'list-item' && effect.subject !== null) writeRecordRef(key, effect.subject);
  writeEntryTime(key, effect.sortMs);
  writeDid(key, effect.source.did);
  writeRkey(key, effect.source.rkey);
  return key.finish();
}

function recordEdgeKey(owner: number, effect: EdgeEffect, subject: RecordRef): Buffer {
  const key = beginKey(owner, tableCode.incomingRecord);
  writeCollection(key, subject.collection);
  writeRkey(key, subject.rkey);
  key.u8(edgeCode[effect.edge]);
  writeEntryTime(key, effect.sortMs);
  writeDid(key, effect.source.did);
  writeRkey(key, effect.source.rkey);
  return key.finish();
}

const recordCountOfEdge: Partial<Record<EdgeKind, RecordCountName>> = {
  like: 'likes',
  repost: 'reposts',
  quote: 'quotes',
  reply: 'replies',
};
const actorCountOfEdge: Partial<Record<EdgeKind, ActorCountName>> = { follow: 'followers' };
const noticeReasonOfEdge: Partial<Record<EdgeKind, string>> = {
  follow: 'follow',
  like: 'like',
  repost: 'repost',
  quote: 'quote',
  verification: 'verified',
};
const nothing = Buffer.alloc(0);

/** Puts or takes away one incoming edge, with its count and its notification. */
export function applyEdgeEffect(context: ApplyContext, effect: EdgeEffect): void {
  const { state } = context;
  const owner = state.ensureOwner(effect.subjectDid);
  const isOnRecord = effect.subject !== null && effect.edge !== 'list-item';
  const key = isOnRecord ? recordEdgeKey(owner, effect, effect.subject) : actorEdgeKey(owner, effect);
  if (state.rows.has(key) === effect.present) return;
  if (effect.present) state.rows.put(key, nothing);
  else state.rows.remove(key);
  const change = effect.present ? 1 : -1;
  const actorCount = actorCountOfEdge[effect.edge];
  if (actorCount !== undefined) addToActorCount(state, owner, actorCount, change);
  const recordCount = recordCountOfEdge[effect.edge];
  if (isOnRecord && recordCount !== undefined) {
    addToRecordCount(
      state,
      recordCountsKey(owner, effect.subject.collection, effect.subject.rkey),
      recordCount,
      change,
    );
  }
  noticeOfEdge(context, owner, effect);
  if (effect.edge === 'repost' && effect.present && effect.subject !== null)
    tellReposter(context, owner, effect, effect.subject);
}

function noticeOfEdge(context: ApplyContext, owner: number, effect: EdgeEffect): void {
  const reason = noticeReasonOfEdge[effect.edge];
  const isOwn = effect.source.did === effect.subjectDid;
  if (reason === undefined || (isOwn && effect.edge !== 'follow')) return;
  const notice = { source: effect.source, reason, subject: effect.subject, sortMs: effect.sortMs, isTakenDown: false };
  if (effect.present) putNotice(context.state, owner, notice);
  else if (effect.edge !== 'verification') removeNotice(context.state, owner, notice);
}

/**
 * A repost's feed item shows only while its post exists, which this slot knows and the reposter's does not. That it does not exist is
 * said too: an older answer, to a repost that has gone since, may still be on its way. A repost of anything else never shows.
 */
function tellReposter(context: ApplyContext, owner: number, effect: EdgeEffect, post: RecordRef): void {
  if (post.collection !== 'app.bsky.feed.post') return;
  const exists = hasRecord(context.state, owner, post.collection, post.rkey);
  context.send({ type: 'post-exists', reposter: effect.source.did, post, exists });
}
