/** Applies replies to the index of their thread, and notifies the authors of their ancestors. */
import { nsid } from '../../atproto/collection.ts';
import type { RecordRef } from '../../atproto/compact-key.ts';
import type { EffectOf } from '../../entry/entry.ts';
import { prefixEnd } from '../../storage/environment.ts';
import {
  childKey,
  childPrefix,
  getThreadReply,
  isSamePost,
  type PostRef,
  postUri,
  putThreadReply,
  readChild,
  type ThreadReply,
} from '../table/thread-reply.ts';
import type { ApplyContext } from './apply-context.ts';

/** A longer rkey makes keys too long; such a reply is left out of the index. Units: characters. */
const threadRkeyLengthMax = 256;
/** Ancestors that are notified of a reply, including the parent. */
const noticeHeightMax = 4;
/** Replies below a late parent whose ancestors are notified again. */
const lateDescendantsMax = 1_000;

function isThreadable(...posts: readonly RecordRef[]): boolean {
  return posts.every((post) => post.collection === nsid.post && post.rkey.length <= threadRkeyLengthMax);
}

/** A thread by its root, in the root's slot. */
type Thread = { readonly owner: number; readonly root: RecordRef };

/** Puts, withdraws or marks one reply, and notifies its ancestors. */
export function applyThreadEffect(context: ApplyContext, effect: EffectOf<'thread'>): void {
  if (!isThreadable(effect.root, effect.parent, effect.reply)) return;
  const { state } = context;
  const { root } = effect;
  const owner = state.ensureOwner(root.did);
  const thread = { owner, root };
  const before = getThreadReply(state, owner, root.rkey, effect.reply);
  const row: ThreadReply = {
    reply: effect.reply,
    parent: effect.parent,
    sortMs: effect.sortMs,
    deletedMs: effect.present ? null : effect.eventMs,
    isTakenDown: effect.isTakenDown,
  };
  if (before === undefined && !effect.present) return;
  const isMoved = before !== undefined && !isSamePost(before.parent, row.parent);
  // Notices of descendants to the old ancestors are withdrawn before the parent changes.
  if (isMoved) sendDescendantNotices(context, thread, row.reply, false);
  if (before !== undefined) state.rows.remove(childKey(owner, root.rkey, before));
  putThreadReply(state, owner, root.rkey, row);
  sendReplyNotices(context, thread, row, effect.present);
  if (before === undefined || isMoved) sendDescendantNotices(context, thread, row.reply, true);
}

/**
 * Notifies the authors of up to four ancestors of a reply, nearest first, each once. The same walk
 * withdraws the notices of a withdrawn reply, since rows never leave the index.
 */
function sendReplyNotices(context: ApplyContext, { owner, root }: Thread, row: ThreadReply, present: boolean): void {
  const notified = new Set([row.reply.did]);
  const source = { did: row.reply.did, collection: nsid.post, rkey: row.reply.rkey };
  let ancestor = row.parent;
  for (let height = 1; height <= noticeHeightMax; height++) {
    const isRoot = isSamePost(ancestor, root);
    const above = isRoot ? undefined : getThreadReply(context.state, owner, root.rkey, ancestor);
    if (!isRoot && above === undefined) return;
    if (!notified.has(ancestor.did)) {
      notified.add(ancestor.did);
      context.send({
        type: 'notice',
        present,
        recipient: ancestor.did,
        source,
        reason: 'reply',
        reasonSubject: postUri(ancestor),
        sortMs: row.sortMs,
        isTakenDown: row.isTakenDown,
      });
    }
    if (isRoot || above === undefined) return;
    ancestor = above.parent;
  }
}

/** Sends or withdraws the notices of replies below a post that came after them, or has moved. */
function sendDescendantNotices(context: ApplyContext, thread: Thread, parent: PostRef, present: boolean): void {
  const { owner, root } = thread;
  let level: PostRef[] = [parent];
  let left = lateDescendantsMax;
  for (let depth = 1; depth <= noticeHeightMax && level.length > 0; depth++) {
    const below: PostRef[] = [];
    for (const post of level) {
      const prefix = childPrefix(owner, root.rkey, post);
      for (const key of context.state.rows.scanKeys({ start: prefix, end: prefixEnd(prefix), limit: left })) {
        below.push(readChild(key, prefix.length).reply);
        left--;
      }
      if (left <= 0) break;
    }
    for (const post of below) {
      const row = getThreadReply(context.state, owner, root.rkey, post);
      if (row !== undefined && row.deletedMs === null) sendReplyNotices(context, thread, row, present);
    }
    level = below;
  }
}
