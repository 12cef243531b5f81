/**
 * Applies replies to the index of their thread, and sends the notices that follow from their
 * ancestors.
 */
import { nsid } from '../../atproto/collection.ts';
import type { RecordRef } from '../../atproto/compact-key.ts';
import type { Effect } from '../../entry/entry.ts';
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

/**
 * Parts above this make keys too long; such a reply is kept out of the thread index. Units:
 * characters.
 */
const threadRkeyLengthMax = 256;
/** Ancestors that are notified of a reply, the parent included. */
const noticeHeightMax = 4;
/** Replies below a late parent that are looked at again. */
const lateDescendantsMax = 1_000;

/**
 * True when a reply can be part of a thread index: all three are posts with keys of bounded length.
 */
function isThreadable(...posts: readonly RecordRef[]): boolean {
  return posts.every((post) => post.collection === nsid.post && post.rkey.length <= threadRkeyLengthMax);
}

/** Puts, withdraws or marks one reply, and notifies its ancestors. */
export function applyThreadEffect(context: ApplyContext, effect: Effect & { readonly type: 'thread' }): void {
  if (!isThreadable(effect.root, effect.parent, effect.reply)) return;
  const { state } = context;
  const owner = state.ensureOwner(effect.root.did);
  const before = getThreadReply(state, owner, effect.root.rkey, effect.reply);
  const row: ThreadReply = {
    reply: effect.reply,
    parent: effect.parent,
    sortMs: effect.sortMs,
    deletedMs: effect.present ? null : effect.timeMs,
    isTakenDown: effect.isTakenDown,
  };
  if (before === undefined && !effect.present) return;
  const isMoved = before !== undefined && !isSamePost(before.parent, row.parent);
  // Descendants have notified the old ancestors; that is withdrawn before the parent changes.
  if (isMoved) noticeDescendants(context, owner, effect.root, row.reply, false);
  if (before !== undefined) state.rows.remove(childKey(owner, effect.root.rkey, before));
  putThreadReply(state, owner, effect.root.rkey, row);
  sendReplyNotices(context, owner, effect.root, row, effect.present);
  if (before === undefined || isMoved) noticeDescendants(context, owner, effect.root, row.reply, true);
}

/**
 * Notifies the authors of up to four ancestors of a reply, nearest first, each once; a withdrawn
 * reply's notices are withdrawn by the same walk, since rows never leave the index.
 */
function sendReplyNotices(
  context: ApplyContext,
  owner: number,
  root: RecordRef,
  row: ThreadReply,
  present: boolean,
): void {
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

/**
 * A parent that comes after its children, or has another parent now, changes their ancestors: their
 * notices are sent, or withdrawn, again.
 */
function noticeDescendants(
  context: ApplyContext,
  owner: number,
  root: RecordRef,
  parent: PostRef,
  present: boolean,
): void {
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
      if (row !== undefined && row.deletedMs === null) sendReplyNotices(context, owner, root, row, present);
    }
    level = below;
  }
}
