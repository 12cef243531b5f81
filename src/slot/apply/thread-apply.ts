/**
 * Applies replies to the index of their thread, and notifies the authors of their ancestors.
 *
 * Each reply's row says whom it has notified, so what is withdrawn when a reply or an ancestor
 * moves does not depend on how the thread looked at any time in between.
 */
import { nsid } from '../../atproto/collection.ts';
import type { RecordRef } from '../../atproto/compact-key.ts';
import type { EffectOf } from '../../entry/entry.ts';
import { keyAfter, prefixEnd } from '../../storage/environment.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import type { SlotState } from '../table/slot-state.ts';
import {
  childKey,
  childPrefix,
  getThreadReply,
  isSamePost,
  isSameReply,
  notifiedOf,
  type PostRef,
  postUri,
  putThreadChild,
  putThreadReply,
  readChild,
  type ThreadReply,
  threadReplyKey,
} from '../table/thread-reply.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';
import { hasRows } from './rows-after.ts';

/** A longer rkey makes keys too long; such a reply is left out of the index. Units: characters. */
const threadRkeyLengthMax = 256;
/** Ancestors that are notified of a reply, including the parent. */
const noticeHeightMax = 4;
/** Replies below one that moves whose notices follow it: who moves it can do so again and again. */
const movedRepliesMax = 1_000;
/** A reply comes once, however many came before it. */
const lateRepliesMax = 2 ** 32 - 1;

function isThreadable(...posts: readonly RecordRef[]): boolean {
  return posts.every((post) => post.collection === nsid.post && post.rkey.length <= threadRkeyLengthMax);
}

/** A thread by its root, in the root's slot. */
export type Thread = { readonly owner: number; readonly root: PostRef };

/** Puts, withdraws or marks one reply, and notifies its ancestors. */
export function applyThreadEffect(context: ApplyContext, effect: EffectOf<'thread'>): void {
  if (!isThreadable(effect.root, effect.parent, effect.reply)) return;
  const { state } = context;
  const { root } = effect;
  const owner = state.ensureOwner(root.did);
  if (effect.present) context.confirm(threadReplyKey(owner, root.rkey, effect.reply));
  const before = getThreadReply(state, owner, root.rkey, effect.reply);
  const row: ThreadReply = {
    reply: effect.reply,
    parent: effect.parent,
    sortMs: effect.sortMs,
    deletedMs: effect.present ? null : effect.eventMs,
    isTakenDown: effect.isTakenDown,
  };
  if (before === undefined && !effect.present) return;
  // Its notices are owed by this slot, which sends them again by itself where they are lost.
  if (context.isResent && before !== undefined && isSameReply(before, row)) return;
  const isMoved = before !== undefined && !isSamePost(before.parent, row.parent);
  const notified = before === undefined ? [] : notifiedOf(state, owner, root.rkey, before);
  if (before !== undefined) state.rows.remove(childKey(owner, root.rkey, before));
  putThreadChild(state, owner, root.rkey, row);
  const thread = { owner, root };
  notifyAncestors(context, thread, row, { notified, notifiedSortMs: before?.sortMs ?? row.sortMs, isAnew: true });
  if (before === undefined || isMoved) noticeBelow(context, thread, row.reply, isMoved);
}

/** Withdraws a reply that its author's slot no longer owes. */
export function withdrawReply(context: ApplyContext, owner: number, rootRkey: string, row: ThreadReply): void {
  const notified = notifiedOf(context.state, owner, rootRkey, row);
  // A withdrawn reply notifies nobody, so whose the root is does not matter.
  const thread = { owner, root: { did: '', rkey: rootRkey } };
  const withdrawn = { ...row, deletedMs: context.appendMs };
  notifyAncestors(context, thread, withdrawn, { notified, notifiedSortMs: row.sortMs, isAnew: true });
}

/** An ancestor of a reply whose author is notified. */
type Recipient = { readonly did: string; readonly post: PostRef };

/** Returns the nearest ancestors of a reply, up to an unknown one, the nearest of each author. */
function recipientsOf(state: SlotState, { owner, root }: Thread, row: ThreadReply): Recipient[] {
  const recipients: Recipient[] = [];
  let ancestor = row.parent;
  for (let height = 1; height <= noticeHeightMax; height++) {
    const isRoot = isSamePost(ancestor, root);
    // In a circle of replies the row itself is an ancestor, and is not stored yet.
    const isSelf = isSamePost(ancestor, row.reply);
    const above = isRoot ? undefined : isSelf ? row : getThreadReply(state, owner, root.rkey, ancestor);
    if (!isRoot && above === undefined) return recipients;
    const { did } = ancestor;
    if (did !== row.reply.did && recipients.every((known) => known.did !== did))
      recipients.push({ did, post: ancestor });
    if (above === undefined) return recipients;
    ancestor = above.parent;
  }
  return recipients;
}

/** What all notices of a reply have in common. */
function noticeOf({ reply, isTakenDown }: ThreadReply) {
  const source = { did: reply.did, collection: nsid.post, rkey: reply.rkey };
  return { type: 'notice', source, reason: 'reply', isTakenDown } as const;
}

/** Whom a reply has notified, under which sort time; `isAnew` repeats what has been sent. */
type Sent = { readonly notified: readonly string[]; readonly notifiedSortMs: number; readonly isAnew: boolean };

/** Stores a reply, notifies the authors of its ancestors, and withdraws the notices of others. */
function notifyAncestors(context: ApplyContext, thread: Thread, row: ThreadReply, sent: Sent): void {
  const { state } = context;
  const { notified, notifiedSortMs, isAnew } = sent;
  const recipients = row.deletedMs === null ? recipientsOf(state, thread, row) : [];
  const dids = recipients.map(({ did }) => did);
  const notice = noticeOf(row);
  for (const recipient of notified) {
    if (notifiedSortMs === row.sortMs && dids.includes(recipient)) continue;
    context.send({ ...notice, present: false, recipient, reasonSubject: null, sortMs: notifiedSortMs });
  }
  for (const { did: recipient, post } of recipients) {
    if (!isAnew && notified.includes(recipient)) continue;
    context.send({ ...notice, present: true, recipient, reasonSubject: postUri(post), sortMs: row.sortMs });
  }
  putThreadReply(state, thread.owner, thread.root.rkey, row, dids);
}

/** Sends again the notices of a stored reply to those that it has notified. */
export function restateReply(context: ApplyContext, thread: Thread, row: ThreadReply): void {
  if (row.deletedMs !== null) return;
  const notice = { ...noticeOf(row), present: true, sortMs: row.sortMs };
  const notified = notifiedOf(context.state, thread.owner, thread.root.rkey, row);
  for (const { did: recipient, post } of recipientsOf(context.state, thread, row)) {
    if (notified.includes(recipient)) context.send({ ...notice, recipient, reasonSubject: postUri(post) });
  }
}

/** Notifies the new ancestors of the replies below a post that came after them, or has moved. */
function noticeBelow(context: ApplyContext, { owner, root }: Thread, post: PostRef, isMoved: boolean): void {
  const prefix = childPrefix(owner, root.rkey, post);
  if (!hasRows(context.state, prefix)) return;
  const left = isMoved ? movedRepliesMax : lateRepliesMax;
  const { did, rkey: rootRkey } = root;
  context.longWork({ type: 'thread-notices', did, rootRkey, post, isMoved, isAgain: false, left, path: [] });
}

/** Does a step of that work. Returns the rest, or undefined at its end. */
export function noticeRepliesBelow(
  context: ApplyContext,
  work: LongWorkOf<'thread-notices'>,
): LongWorkOf<'thread-notices'> | undefined {
  const { state } = context;
  const owner = state.ownerOf(work.did);
  if (owner === undefined) return undefined;
  const thread = { owner, root: { did: work.did, rkey: work.rootRkey } };
  let { path, left } = work;
  while (context.workUsLeft > 0) {
    const next = left === 0 ? undefined : nextBelow(state, thread, work.post, path);
    if (next === undefined) return undefined;
    path = next.path;
    left--;
    context.workUsLeft -= workCostUs.reply;
    const row = getThreadReply(state, owner, work.rootRkey, next.reply);
    if (row === undefined || row.deletedMs !== null) continue;
    const notified = notifiedOf(state, owner, work.rootRkey, row);
    notifyAncestors(context, thread, row, { notified, notifiedSortMs: row.sortMs, isAnew: work.isMoved });
  }
  return { ...work, path, left };
}

/** Returns the same work from its beginning. */
export function noticesAgain(work: LongWorkOf<'thread-notices'>): LongWorkOf<'thread-notices'> {
  return { ...work, isAgain: false, path: [], left: work.isMoved ? movedRepliesMax : lateRepliesMax };
}

function firstKey(state: SlotState, start: Buffer, prefix: Buffer): Buffer | undefined {
  for (const key of state.rows.scanKeys({ start, end: prefixEnd(prefix), limit: 1 })) return key;
  return undefined;
}

/** Returns the reply after the end of `path`, depth first, down to where notices reach. */
function nextBelow(
  state: SlotState,
  { owner, root }: Thread,
  top: PostRef,
  path: readonly Buffer[],
): { path: Buffer[]; reply: PostRef } | undefined {
  const prefixes = [childPrefix(owner, root.rkey, top)];
  for (const [index, key] of path.entries()) {
    prefixes.push(childPrefix(owner, root.rkey, readChild(key, prefixes[index]!.length).reply));
  }
  for (let depth = path.length; depth >= 0; depth--) {
    if (depth === noticeHeightMax) continue;
    const prefix = prefixes[depth]!;
    const done = path[depth];
    const key = firstKey(state, done === undefined ? prefix : keyAfter(done), prefix);
    if (key !== undefined) return { path: [...path.slice(0, depth), key], reply: readChild(key, prefix.length).reply };
  }
  return undefined;
}
