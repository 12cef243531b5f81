/**
 * Applies replies to the index of their thread, and notifies the authors of their ancestors.
 *
 * Each reply's row says whom it has notified, so what is withdrawn when a reply or an ancestor
 * moves does not depend on how the thread looked at any time in between.
 */
import { nsid } from '../../atproto/collection.ts';
import type { RecordRef } from '../../atproto/compact-key.ts';
import type { EffectOf } from '../../entry/entry.ts';
import { keyHash } from '../../shardmap/slot-of.ts';
import { keyAfter, prefixEnd } from '../../storage/environment.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import type { SlotState } from '../table/slot-state.ts';
import {
  childKey,
  childPrefix,
  getThreadReply,
  isSamePost,
  isSameReply,
  type Judgement,
  notifiedOf,
  type PostRef,
  postRecord,
  postUri,
  putThreadChild,
  putThreadReply,
  readChild,
  readThreadReply,
  type ThreadReply,
  threadPrefix,
  threadReplyKey,
} from '../table/thread-reply.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';
import { askAboutAuthor, judge, removeJudgement, sendVerdict, type Thread, threadOf } from './reply-verdict.ts';
import { hasRows, rowsAfter } from './rows-after.ts';

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

/** Puts, withdraws or marks one reply, and notifies its ancestors. */
export function applyThreadEffect(context: ApplyContext, effect: EffectOf<'thread'>): void {
  if (!isThreadable(effect.root, effect.parent, effect.reply)) return;
  const { state } = context;
  const { root } = effect;
  const owner = state.ensureOwner(root.did);
  if (effect.present) context.confirm(threadReplyKey(owner, root.rkey, effect.reply));
  const before = getThreadReply(state, owner, root.rkey, effect.reply);
  if (before === undefined && !effect.present) return;
  const thread = threadOf(state, owner, root);
  const unjudged = rowOf(effect, before);
  const isEnded = before?.deletedMs === null && !(effect.present && unjudged.judgement === before.judgement);
  if (isEnded && thread.policy !== undefined) removeJudgement(context, thread, before);
  const row = effect.present ? judge(context, thread, unjudged) : unjudged;
  if (effect.present) {
    // A verdict on an earlier life of the reply may still be on its way.
    const isReborn = before !== undefined && before.deletedMs !== null;
    if (isReborn || effect.judged.isViolating !== (row.judgement.verdict === 'violating')) sendVerdict(context, row);
    askAboutAuthor(context, thread, row);
  }
  // Its notices are owed by this slot, which sends them again by itself where they are lost.
  if (context.isResent && before !== undefined && isSameReply(before, row)) return;
  const isMoved = before !== undefined && !isSamePost(before.parent, row.parent);
  const notified = before === undefined ? [] : notifiedOf(state, owner, root.rkey, before);
  if (before !== undefined) state.rows.remove(childKey(owner, root.rkey, before));
  putThreadChild(state, owner, root.rkey, row);
  notifyAncestors(context, thread, row, { notified, notifiedSortMs: before?.sortMs ?? row.sortMs, isAnew: true });
  if (before === undefined || isMoved) noticeBelow(context, thread, row.reply, isMoved);
}

/** Returns a reply before it is judged. A version is judged once, also if it is resent. */
function rowOf(effect: EffectOf<'thread'>, before: ThreadReply | undefined): ThreadReply {
  const { present, reply, parent, sortMs, isTakenDown, isFollower, judged } = effect;
  const { eventMs, version, isViolating } = judged;
  const isKnown = before !== undefined && before.deletedMs === null && before.judgement.version === version;
  const verdict = isViolating ? 'violating' : 'clear';
  const judgement: Judgement = isKnown
    ? before.judgement
    : { indexedMs: eventMs, version, isFollower, isAllowed: null, verdict };
  return { reply, parent, sortMs, deletedMs: present ? null : eventMs, isTakenDown, judgement };
}

/** Judges a stored reply again, since what its verdict depends on has come late. */
export function judgeAgain(context: ApplyContext, thread: Thread, before: ThreadReply): void {
  if (before.deletedMs !== null) return;
  const row = judge(context, thread, before);
  if (row.judgement.verdict !== before.judgement.verdict) sendVerdict(context, row);
  if (row.judgement.verdict === 'pending') askAboutAuthor(context, thread, row);
  const notified = notifiedOf(context.state, thread.owner, thread.root.rkey, before);
  notifyAncestors(context, thread, row, { notified, notifiedSortMs: row.sortMs, isAnew: false });
}

/** Applies the answer of a reply's slot. */
export function applyGateAnswer(context: ApplyContext, effect: EffectOf<'gate-answer'>): void {
  const { state } = context;
  const { root, reply, version, isAllowed } = effect;
  const owner = state.ownerOf(root.did);
  const row = owner === undefined ? undefined : getThreadReply(state, owner, root.rkey, reply);
  if (owner === undefined || row === undefined || row.judgement.version !== version) return;
  if (row.judgement.isAllowed === isAllowed) return;
  judgeAgain(context, threadOf(state, owner, root), { ...row, judgement: { ...row.judgement, isAllowed } });
}

/** Does a step of judging a thread's replies again. Returns the rest, or undefined at its end. */
export function judgeRepliesAgain(
  context: ApplyContext,
  work: LongWorkOf<'gate-verdicts'>,
): LongWorkOf<'gate-verdicts'> | undefined {
  const { state } = context;
  const { did, rkey, fromMs } = work;
  const owner = state.ownerOf(did);
  if (owner === undefined) return undefined;
  const thread = threadOf(state, owner, { did, rkey });
  let { after } = work;
  for (const { key, value } of rowsAfter(state, threadPrefix(owner, rkey), after)) {
    if (context.workUsLeft <= 0) return { ...work, after };
    context.workUsLeft -= workCostUs.row;
    after = key;
    const row = readThreadReply(key, value);
    if (row.deletedMs !== null || row.judgement.indexedMs < fromMs) continue;
    context.workUsLeft -= workCostUs.reply;
    // The rules may name other lists now.
    judgeAgain(context, thread, { ...row, judgement: { ...row.judgement, isAllowed: null } });
  }
  return undefined;
}

/** Withdraws a reply that its author's slot no longer owes. */
export function withdrawReply(context: ApplyContext, owner: number, rootRkey: string, row: ThreadReply): void {
  const notified = notifiedOf(context.state, owner, rootRkey, row);
  // A withdrawn reply notifies nobody, so whose the root is does not matter.
  const thread = { owner, root: { did: '', rkey: rootRkey }, policy: undefined };
  removeJudgement(context, thread, row);
  const withdrawn = { ...row, deletedMs: context.appendMs };
  notifyAncestors(context, thread, withdrawn, { notified, notifiedSortMs: row.sortMs, isAnew: true });
}

/** An ancestor of a reply whose author is notified. */
type Recipient = { readonly did: string; readonly post: PostRef };

/**
 * Returns the nearest ancestors of a reply, up to an unknown or a hidden one, the nearest of each
 * author. A reply that its thread's gate forbids notifies nobody.
 */
function recipientsOf(state: SlotState, { owner, root, policy }: Thread, row: ThreadReply): Recipient[] {
  const recipients: Recipient[] = [];
  if (row.judgement.verdict !== 'clear') return recipients;
  const { indexedMs } = row.judgement;
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
    if (above === undefined || policy?.isHidden(postRecord(ancestor), indexedMs)) return recipients;
    ancestor = above.parent;
  }
  return recipients;
}

/** What all notices of a reply have in common. Of a root of whom nothing is known, its slot is. */
function noticeOf({ state }: ApplyContext, { root }: Thread, { reply, isTakenDown }: ThreadReply) {
  const rootHash = root.did === '' ? state.index : keyHash(root.did);
  return { type: 'notice', source: postRecord(reply), reason: 'reply', isTakenDown, rootHash } as const;
}

/** Whom a reply has notified, under which sort time; `isAnew` repeats what has been sent. */
type Sent = { readonly notified: readonly string[]; readonly notifiedSortMs: number; readonly isAnew: boolean };

/** Stores a reply, notifies the authors of its ancestors, and withdraws the notices of others. */
function notifyAncestors(context: ApplyContext, thread: Thread, row: ThreadReply, sent: Sent): void {
  const { state } = context;
  const { notified, notifiedSortMs, isAnew } = sent;
  const recipients = row.deletedMs === null ? recipientsOf(state, thread, row) : [];
  const dids = recipients.map(({ did }) => did);
  const notice = noticeOf(context, thread, row);
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
  const notice = { ...noticeOf(context, thread, row), present: true, sortMs: row.sortMs };
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
  const thread = threadOf(state, owner, { did: work.did, rkey: work.rootRkey });
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
