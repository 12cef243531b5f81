/** Indexes posts: feed item, counts, thread, quote, mentions, and the feed items of reposters. */
import { nsid } from '../../atproto/collection.ts';
import { keyAfter, prefixEnd } from '../../storage/environment.ts';
import { addToActorCount } from '../table/actor-counts.ts';
import { type AppliedRecord, putRecordRow } from '../table/applied-record.ts';
import { feedFlag, putFeedRow, removeFeedRow } from '../table/feed-item.ts';
import { incomingRecordPrefix, readIncomingEdge } from '../table/incoming-edge.ts';
import { hasMedia, hasVideo, mentionsOf, quoteOf, replyOf } from '../table/record-values.ts';
import type { PostRef } from '../table/thread-reply.ts';
import { type ApplyContext, chunkRowsMax } from './apply-context.ts';
import { gateFlagsOf } from './gate-apply.ts';

/** Puts all that follows from a stored post. */
export function indexPost(context: ApplyContext, record: AppliedRecord): void {
  const { owner, ref, value, sortMs } = record;
  const gateFlags = gateFlagsOf(context, owner, ref.rkey);
  if (gateFlags !== record.row.postFlags) putRecordRow(context.state, record, { ...record.row, postFlags: gateFlags });
  const reply = replyOf(value);
  const flags =
    (reply === undefined ? 0 : feedFlag.reply) |
    (reply?.root.did === ref.did ? feedFlag.ownThread : 0) |
    (hasMedia(value) ? feedFlag.media : 0) |
    (hasVideo(value) ? feedFlag.video : 0) |
    feedFlag.postExists;
  putFeedRow(context.state, owner, { sortMs, collection: ref.collection, rkey: ref.rkey, flags, post: null });
  addToActorCount(context.state, owner, 'posts', 1);
  sendPostEffects(context, record, true, record.row.indexedMs);
  sendPostExists(context, owner, ref, true);
}

/** Removes what `indexPost` put; `eventMs` is when the post was deleted or replaced. */
export function unindexPost(context: ApplyContext, record: AppliedRecord, eventMs: number): void {
  const { owner, ref, sortMs } = record;
  removeFeedRow(context.state, owner, sortMs, ref.collection, ref.rkey);
  addToActorCount(context.state, owner, 'posts', -1);
  sendPostEffects(context, record, false, eventMs);
  sendPostExists(context, owner, ref, false);
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
  if (quote !== undefined)
    context.send({ type: 'edge', edge: 'quote', present, source, subjectDid: quote.did, subject: quote, sortMs });
  const reply = replyOf(value);
  if (reply === undefined) return;
  const { root, parent } = reply;
  context.send({ type: 'edge', edge: 'reply', present, source, subjectDid: parent.did, subject: parent, sortMs });
  context.send({ type: 'thread', present, root, parent, reply: source, sortMs, eventMs, isTakenDown });
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
  const { root, parent } = reply;
  context.send({ type: 'thread', present: true, root, parent, reply: source, sortMs, eventMs, isTakenDown });
}

/**
 * Notifies the slots of a post's reposters that it now exists, or no longer does. It does so in
 * chunks: `after` is the last key of the previous chunk, in hex.
 */
export function sendPostExists(
  context: ApplyContext,
  owner: number,
  { did, rkey }: PostRef,
  exists: boolean,
  after = '',
): void {
  const prefix = incomingRecordPrefix(owner, nsid.post, rkey, 'repost');
  const start = after === '' ? prefix : keyAfter(Buffer.from(after, 'hex'));
  const post = { did, collection: nsid.post, rkey };
  const keys = [...context.state.rows.scanKeys({ start, end: prefixEnd(prefix), limit: chunkRowsMax })];
  for (const key of keys) {
    context.send({ type: 'post-exists', reposter: readIncomingEdge(key, prefix.length).did, post, exists });
  }
  const last = keys.at(-1);
  if (last !== undefined && keys.length === chunkRowsMax) {
    context.continueWith(did, { type: 'post-exists', rkey, exists, after: last.toString('hex') });
  }
}
