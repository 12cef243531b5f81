/** Applies edges that others' records make: row, count, notice. */
import { nsid } from '../../atproto/collection.ts';
import type { RecordRef } from '../../atproto/compact-key.ts';
import { edgeByKind } from '../../atproto/edge-kind.ts';
import { addToActorCount } from '../table/actor-counts.ts';
import { type EdgeEffect, incomingEdgeKey, isOnRecord } from '../table/incoming-edge.ts';
import { markNoticeRecordGone, removeNotice, setNoticeTakedown } from '../table/notice.ts';
import { countJoin } from '../table/pack-joins.ts';
import { addToRecordCount, recordCountsKey } from '../table/record-counts.ts';
import { hasRecord } from '../table/record-row.ts';
import { emptyValue } from '../table/slot-state.ts';
import type { ApplyContext } from './apply-context.ts';
import { applyGatedEdge, isGatedEdge } from './gated-edge-apply.ts';
import { putJudgedNotice } from './judged-notice.ts';

/** Puts or removes one incoming edge, its count and its notice. */
export function applyEdgeEffect(context: ApplyContext, effect: EdgeEffect): void {
  const owner = context.state.ensureOwner(effect.subjectDid);
  if (isGatedEdge(effect)) return applyGatedEdge(context, owner, effect);
  const key = incomingEdgeKey(owner, effect);
  const { rows } = context.state;
  if (!effect.present) {
    if (rows.removeExisting(key)) noteEdge(context, owner, effect);
    return;
  }
  context.confirm(key);
  if (rows.putNew(key, emptyValue)) noteEdge(context, owner, effect);
  else if (context.isResent) repeatEdge(context, owner, effect);
}

/** Removes an edge that its source no longer owes; of its subject only the owner need be known. */
export function removeEdgeOf(context: ApplyContext, owner: number, effect: EdgeEffect): void {
  if (isGatedEdge(effect)) return applyGatedEdge(context, owner, effect);
  if (context.state.rows.removeExisting(incomingEdgeKey(owner, effect))) noteEdge(context, owner, effect);
}

/** Counts and notifies of an edge whose row has come or gone. */
function noteEdge(context: ApplyContext, owner: number, effect: EdgeEffect): void {
  const { state } = context;
  const change = effect.present ? 1 : -1;
  const { actorCount, recordCount } = edgeByKind[effect.edge];
  if (actorCount !== null) addToActorCount(state, owner, actorCount, change);
  if (isOnRecord(effect) && recordCount !== null) {
    const { collection, rkey } = effect.subject;
    addToRecordCount(state, recordCountsKey(owner, collection, rkey), recordCount, change);
  }
  if (effect.edge === 'join') countJoin(state, owner, effect);
  // Serving threads cache the members of the owner's lists, without those who opted out.
  if (effect.edge === 'list-opt-out') state.touchedOwners.add(owner);
  noticeOfEdge(context, owner, effect);
  if (effect.edge === 'repost' && effect.present && effect.subject !== null)
    answerReposter(context, owner, effect, effect.subject);
}

/**
 * A resend marks the notice of a record that is taken down next; a mark may have been lifted. The
 * notice itself may be gone: an earlier version of the record, with another subject, has the same
 * one, and a source that lost its folder sends and withdraws that version again first.
 */
function repeatEdge(context: ApplyContext, owner: number, effect: EdgeEffect): void {
  const { source, sortMs, subjectDid: recipient } = effect;
  if (edgeByKind[effect.edge].reason !== null) {
    noticeOfEdge(context, owner, effect);
    const type = 'notice-takedown';
    setNoticeTakedown(context.state, owner, { type, recipient, source, isTakenDown: false, sortMs });
  }
  if (effect.edge === 'repost' && effect.subject !== null) answerReposter(context, owner, effect, effect.subject);
}

function noticeOfEdge(context: ApplyContext, owner: number, effect: EdgeEffect): void {
  const { reason } = edgeByKind[effect.edge];
  const isOwn = effect.source.did === effect.subjectDid;
  const notifiesSelf = effect.edge === 'follow' || effect.edge === 'verification';
  if (reason === null || (isOwn && !notifiesSelf)) return;
  const notice = { source: effect.source, reason, subject: effect.subject, sortMs: effect.sortMs, isTakenDown: false };
  if (effect.present) putJudgedNotice(context, owner, notice);
  // That an actor was verified stays listed, as history.
  else if (effect.edge === 'verification') markNoticeRecordGone(context.state, owner, notice);
  else removeNotice(context.state, owner, notice);
}

/**
 * A repost's feed item shows only while its post exists, which only this slot knows. A missing post
 * is reported too: an older report, for a repost that was deleted since, may still be on its way.
 */
function answerReposter(context: ApplyContext, owner: number, effect: EdgeEffect, post: RecordRef): void {
  if (post.collection !== nsid.post) return;
  const exists = hasRecord(context.state, owner, post.collection, post.rkey);
  // A slot that may lack the post cannot know; it answers when the post or its completion comes.
  if (!exists && context.isIncomplete) return;
  context.send({ type: 'post-exists', reposter: effect.source.did, post, exists });
}
