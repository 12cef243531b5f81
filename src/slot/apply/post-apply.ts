/** Indexes posts: feed item, counts, thread, quote, mentions, and the feed items of reposters. */
import { versionOfCid } from '../../atproto/cid.ts';
import { nsid } from '../../atproto/collection.ts';
import type { EffectOf } from '../../entry/entry.ts';
import type { Judged } from '../../entry/gate.ts';
import { addToActorCount, isAskedAbout } from '../table/actor-counts.ts';
import { type AppliedRecord, noteUnsearched, putRecordRow } from '../table/applied-record.ts';
import { findEdge } from '../table/edge-by-subject.ts';
import { feedFlag, putFeedRow, removeFeedRow } from '../table/feed-item.ts';
import { removeQuestion } from '../table/gate-fact.ts';
import { incomingRecordPrefix, readIncomingEdge } from '../table/incoming-edge.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import { getRecordCount, recordCountsKey } from '../table/record-counts.ts';
import { hasRecord, postFlag } from '../table/record-row.ts';
import { hasMedia, hasVideo, mentionsOf, quoteOf, type ReplyRefs, replyOf } from '../table/record-values.ts';
import { emptyValue } from '../table/slot-state.ts';
import type { ApplyContext } from './apply-context.ts';
import { applyGatedRoot, gateFlagsOf } from './gate-apply.ts';
import { rowsAfter } from './rows-after.ts';

/** Puts a post and all that follows from it. */
export function indexPost(context: ApplyContext, record: AppliedRecord): void {
  const post = putPostItem(context, record, followerFlagOf(context, record));
  const isGated = (post.row.postFlags & postFlag.hasThreadGate) !== 0;
  if (isGated) applyGatedRoot(context, record, true, record.row.indexedMs);
  addToActorCount(context.state, record.owner, 'posts', 1);
  sendPostEffects(context, post, true, record.row.indexedMs);
  notifyReposters(context, record);
}

/**
 * Puts what a post has in its own repo: its row, which says what gates it has, and its feed item.
 * `ownFlags` are those that do not follow from its gates. Returns the post as it is stored.
 */
export function putPostItem(context: ApplyContext, record: AppliedRecord, ownFlags: number): AppliedRecord {
  const { owner, ref, value, sortMs } = record;
  const reply = replyOf(value);
  const postFlags = gateFlagsOf(context, owner, ref.rkey) | ownFlags;
  const post = { ...record, row: { ...record.row, postFlags } };
  putRecordRow(context.state, post, post.row);
  const flags =
    (reply === undefined ? 0 : feedFlag.reply) |
    (reply?.root.did === ref.did ? feedFlag.ownThread : 0) |
    (hasMedia(value) ? feedFlag.media : 0) |
    (hasVideo(value) ? feedFlag.video : 0) |
    feedFlag.postExists;
  putFeedRow(context.state, owner, { sortMs, collection: ref.collection, rkey: ref.rkey, flags, post: null });
  return post;
}

/** Whether a reply's author follows that of the root, which a gate may ask of this moment. */
function followerFlagOf({ state }: ApplyContext, { owner, ref, value }: AppliedRecord): number {
  const reply = replyOf(value);
  if (reply === undefined || reply.root.did === ref.did) return 0;
  const isFollower = findEdge(state, owner, 'follow', { did: reply.root.did, ref: null }) !== undefined;
  return isFollower ? postFlag.followsRootAuthor : 0;
}

/** Removes what `indexPost` put; `eventMs` is when the post was deleted or replaced. */
export function unindexPost(context: ApplyContext, record: AppliedRecord, eventMs: number): void {
  const { owner, ref, sortMs } = record;
  noteUnsearched(context.state, record);
  removeFeedRow(context.state, owner, sortMs, ref.collection, ref.rkey);
  addToActorCount(context.state, owner, 'posts', -1);
  sendPostEffects(context, record, false, eventMs);
  notifyReposters(context, record);
  if (isAskedAbout(context.state, owner)) removeQuestion(context.state, owner, ref.rkey);
  // The row of a post that is replaced is still there.
  const isGone = !hasRecord(context.state, owner, nsid.post, ref.rkey);
  if (isGone && (record.row.postFlags & postFlag.hasThreadGate) !== 0) applyGatedRoot(context, record, false, eventMs);
}

/** Reposters show a post only while it exists. */
export function notifyReposters(context: ApplyContext, { owner, ref: { did, rkey } }: AppliedRecord): void {
  // Their count is found in a tenth of the time of their rows.
  if (getRecordCount(context.state, recordCountsKey(owner, nsid.post, rkey), 'reposts') === 0) return;
  context.longWork({ type: 'post-exists', did, rkey, isAgain: false, after: emptyValue });
}

/** Sends again what a post owes others, but for its reposters. */
export function restatePost(context: ApplyContext, record: AppliedRecord): void {
  sendPostEffects(context, record, true, record.row.indexedMs);
}

function sendPostEffects(context: ApplyContext, record: AppliedRecord, present: boolean, eventMs: number): void {
  const { ref: source, value, sortMs } = record;
  const isTakenDown = record.row.takedownRef !== null;
  for (const recipient of mentionsOf(value)) {
    if (recipient === source.did) continue;
    context.send({
      type: 'notice',
      present,
      recipient,
      source,
      reason: 'mention',
      reasonSubject: null,
      sortMs,
      isTakenDown,
    });
  }
  const quote = quoteOf(value);
  if (quote !== undefined) {
    const judged = judgedBy(record, postFlag.violatesEmbeddingRules, eventMs);
    context.send({
      type: 'edge',
      edge: 'quote',
      present,
      source,
      subjectDid: quote.did,
      subject: quote,
      sortMs,
      judged,
    });
  }
  const reply = replyOf(value);
  if (reply === undefined) return;
  const { parent } = reply;
  const judged = judgedBy(record, postFlag.violatesThreadGate, eventMs);
  context.send({
    type: 'edge',
    edge: 'reply',
    present,
    source,
    subjectDid: parent.did,
    subject: parent,
    sortMs,
    judged,
  });
  sendReply(context, record, reply, { present, isTakenDown, judged });
}

/** What gates need of a post; `eventMs` is when it was indexed or removed. */
function judgedBy({ row }: AppliedRecord, flag: number, eventMs: number): Judged {
  return { eventMs, version: versionOfCid(row.cid), isViolating: (row.postFlags & flag) !== 0 };
}

function sendReply(
  context: ApplyContext,
  { ref: reply, row, sortMs }: AppliedRecord,
  { root, parent }: ReplyRefs,
  state: Pick<EffectOf<'thread'>, 'present' | 'isTakenDown' | 'judged'>,
): void {
  const isFollower = (row.postFlags & postFlag.followsRootAuthor) !== 0;
  context.send({ type: 'thread', ...state, root, parent, reply, sortMs, isFollower });
}

/** Marks or unmarks the notices of a post; the root's slot does so for those of a reply. */
export function markPostTakedown(
  context: ApplyContext,
  record: AppliedRecord,
  isTakenDown: boolean,
  eventMs: number,
): void {
  const { ref: source, value, sortMs } = record;
  const quote = quoteOf(value);
  const recipients = new Set([...mentionsOf(value), ...(quote === undefined ? [] : [quote.did])]);
  for (const recipient of recipients) context.send({ type: 'notice-takedown', recipient, source, isTakenDown, sortMs });
  const reply = replyOf(value);
  if (reply === undefined) return;
  const judged = judgedBy(record, postFlag.violatesThreadGate, eventMs);
  sendReply(context, record, reply, { present: true, isTakenDown, judged });
}

/** Does a step of notifying a post's reposters. Returns the rest, or undefined at its end. */
export function sendPostExists(
  context: ApplyContext,
  work: LongWorkOf<'post-exists'>,
): LongWorkOf<'post-exists'> | undefined {
  const { state } = context;
  const { did, rkey } = work;
  const owner = state.ownerOf(did);
  if (owner === undefined) return undefined;
  const post = { did, collection: nsid.post, rkey };
  const exists = hasRecord(state, owner, nsid.post, rkey);
  const prefix = incomingRecordPrefix(owner, nsid.post, rkey, 'repost');
  let { after } = work;
  for (const { key } of rowsAfter(state, prefix, after)) {
    if (context.workUsLeft <= 0) return { ...work, after };
    context.send({ type: 'post-exists', reposter: readIncomingEdge(key, prefix.length).did, post, exists });
    after = key;
  }
  return undefined;
}
