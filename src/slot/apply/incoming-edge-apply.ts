/** Applies edges that others' records make: the row, its count, its notification. */
import type { RecordRef } from '../../atproto/compact-key.ts';
import type { EdgeKind } from '../../atproto/edge-kind.ts';
import { type ActorCountName, addToActorCount } from '../table/actor-counts.ts';
import { type EdgeEffect, incomingEdgeKey, isOnRecord } from '../table/incoming-edge.ts';
import { putNotice, removeNotice } from '../table/notice.ts';
import { addToRecordCount, type RecordCountName, recordCountsKey } from '../table/record-counts.ts';
import { hasRecord } from '../table/record-row.ts';
import type { ApplyContext } from './apply-context.ts';

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
  const key = incomingEdgeKey(owner, effect);
  if (state.rows.has(key) === effect.present) return;
  if (effect.present) state.rows.put(key, nothing);
  else state.rows.remove(key);
  const change = effect.present ? 1 : -1;
  const actorCount = actorCountOfEdge[effect.edge];
  if (actorCount !== undefined) addToActorCount(state, owner, actorCount, change);
  const recordCount = recordCountOfEdge[effect.edge];
  if (isOnRecord(effect) && recordCount !== undefined) {
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
