/** Feed items of reposts, which are shown only while their post exists. */
import { nsid } from '../../atproto/collection.ts';
import type { EdgeSubject } from '../../atproto/edge-kind.ts';
import type { EffectOf } from '../../entry/entry.ts';
import type { AppliedRecord } from '../table/applied-record.ts';
import { findEdge } from '../table/edge-by-subject.ts';
import { type FeedRow, feedFlag, feedKey, putFeedRow, readFeedRow } from '../table/feed-item.ts';
import { duplicatesOf } from '../table/outgoing-edge.ts';
import { getRecordRow, hasRecord, sortMsOf } from '../table/record-row.ts';
import type { SlotState } from '../table/slot-state.ts';
import type { ApplyContext } from './apply-context.ts';

/** Puts the item of a repost. A duplicate has its own, which starts as that of the first does. */
export function putRepostItem(state: SlotState, record: AppliedRecord, subject: EdgeSubject): void {
  const { owner, ref, sortMs } = record;
  const post = subject.ref!;
  const isOwnPost = post.did === ref.did && post.collection === nsid.post;
  const isOwnAndThere = isOwnPost && hasRecord(state, owner, post.collection, post.rkey);
  const first = findEdge(state, owner, 'repost', subject);
  const firstItem = first === undefined ? undefined : getItem(state, owner, first);
  const exists = isOwnAndThere || ((firstItem?.flags ?? 0) & feedFlag.postExists) !== 0;
  const flags = exists ? feedFlag.postExists : 0;
  putFeedRow(state, owner, { sortMs, collection: ref.collection, rkey: ref.rkey, post, flags });
}

function getItem(state: SlotState, owner: number, rkey: string): FeedRow | undefined {
  const row = getRecordRow(state, owner, nsid.repost, rkey);
  if (row === undefined) return undefined;
  const key = feedKey(owner, sortMsOf(row), nsid.repost, rkey);
  const value = state.rows.get(key);
  return value === undefined ? undefined : readFeedRow(key, value);
}

/** Notes in all of a reposter's items of one post whether the post exists. */
export function applyPostExists(context: ApplyContext, effect: EffectOf<'post-exists'>): void {
  const { state } = context;
  const owner = state.ownerOf(effect.reposter);
  if (owner === undefined) return;
  const subject = { did: effect.post.did, ref: effect.post };
  const first = findEdge(state, owner, 'repost', subject);
  if (first === undefined) return;
  for (const rkey of [first, ...duplicatesOf(state, owner, 'repost', subject)]) {
    const row = getRecordRow(state, owner, nsid.repost, rkey);
    if (row === undefined) continue;
    const flags = effect.exists ? feedFlag.postExists : 0;
    if (effect.exists) context.confirm(feedKey(owner, sortMsOf(row), nsid.repost, rkey));
    putFeedRow(state, owner, { sortMs: sortMsOf(row), collection: nsid.repost, rkey, post: effect.post, flags });
  }
}
