/**
 * Judges replies in the slot of their thread's root, by the rules that the thread's gate had when
 * the reply was indexed.
 *
 * Whom the root's author follows is known here, too; on which lists the reply's author is and whom
 * it follows, only the slot of the reply knows, which is asked. Late changes judge the reply again.
 */
import { isFactAt, putWaiter, removeWaiter } from '../table/gate-fact.ts';
import { type GatePolicy, type GateRules, getPolicy, openGate } from '../table/gate-policy.ts';
import type { SlotState } from '../table/slot-state.ts';
import { type Judgement, type PostRef, postRecord, type ThreadReply } from '../table/thread-reply.ts';
import type { ApplyContext } from './apply-context.ts';

/** A thread by its root, in the root's slot, with what its gate has said. */
export type Thread = { readonly owner: number; readonly root: PostRef; readonly policy: GatePolicy | undefined };

/** Returns a thread with its policy as it is now. */
export function threadOf(state: SlotState, owner: number, root: PostRef): Thread {
  return { owner, root, policy: getPolicy(state, owner, 'thread', root.rkey) };
}

/**
 * Judges a reply as of now, and stores that it waits for a follow where one decides. Without known
 * rules, what was judged before stays.
 */
export function judge(context: ApplyContext, thread: Thread, row: ThreadReply): ThreadReply {
  const rules = thread.policy?.rulesAt(row.judgement.indexedMs);
  const { verdict: before } = row.judgement;
  const isKept = rules === undefined && before !== 'pending';
  const verdict = isKept ? before : findVerdict(context, thread, rules, row);
  return { ...row, judgement: { ...row.judgement, verdict } };
}

/** Removes what the judgement of a reply left, whose version is no more. */
export function removeJudgement({ state }: ApplyContext, { owner, root }: Thread, { reply, judgement }: ThreadReply) {
  const follow = { kind: 'followed', did: reply.did } as const;
  removeWaiter(state, owner, follow, { indexedMs: judgement.indexedMs, rootRkey: root.rkey, rkey: reply.rkey });
}

function findVerdict(
  { state }: ApplyContext,
  { owner, root }: Thread,
  rules: GateRules | undefined,
  { reply, judgement }: ThreadReply,
): Judgement['verdict'] {
  if (rules === undefined || !rules.isRestricted || reply.did === root.did) return 'clear';
  const { indexedMs, isFollower, isAllowed } = judgement;
  if (rules.mentions.includes(reply.did) || (rules.allowsFollowers && isFollower)) return 'clear';
  if (rules.allowsFollowed) {
    const follow = { kind: 'followed', did: reply.did } as const;
    putWaiter(state, owner, follow, { indexedMs, rootRkey: root.rkey, rkey: reply.rkey });
    if (isFactAt(state, owner, follow, indexedMs)) return 'clear';
  }
  const isAsked = rules.lists.length > 0 || rules.allowsFollowers;
  if (!isAsked || isAllowed === false) return 'violating';
  return isAllowed === null ? 'pending' : 'clear';
}

/** Asks the slot of a reply whether its author was on a list or a follower, where that decides. */
export function askAboutAuthor(
  context: ApplyContext,
  { root, policy }: Thread,
  { reply, judgement }: ThreadReply,
): void {
  const { indexedMs, version, isAllowed, verdict } = judgement;
  const { lists, allowsFollowers } = policy?.rulesAt(indexedMs) ?? openGate;
  if ((lists.length === 0 && !allowsFollowers) || (verdict === 'clear' && isAllowed === null)) return;
  const question = { root: postRecord(root), reply: postRecord(reply), version, indexedMs, allowsFollowers, lists };
  context.send({ type: 'gate-question', ...question });
}

/** Sends the verdict on a reply to its author's slot, which may hold another one. */
export function sendVerdict(context: ApplyContext, { reply, judgement: { version, verdict } }: ThreadReply): void {
  if (verdict === 'pending') return;
  const isViolating = verdict === 'violating';
  context.send({ type: 'verdict', gate: 'thread', post: postRecord(reply), version, isViolating });
}
