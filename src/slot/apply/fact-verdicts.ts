/**
 * Judges replies again when a fact changes by which they were judged: a follow or a list item that
 * came or went.
 *
 * The slot of a thread's root judges its replies again; the slot of a reply answers the root's
 * question again. Both are long work, so that no number of replies is too many.
 */
import { nsid } from '../../atproto/collection.ts';
import { type GateFact, getQuestion, hasWaitersSince, readWaiter, waitersPrefix } from '../table/gate-fact.ts';
import { timedKey } from '../table/incoming-edge.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import { emptyValue } from '../table/slot-state.ts';
import { getThreadReply } from '../table/thread-reply.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';
import { sendGateAnswer } from './gate-question-apply.ts';
import { judge, type Thread, threadOf } from './reply-verdict.ts';
import { rowsAfter } from './rows-after.ts';
import { judgeAgain } from './thread-apply.ts';

/**
 * Begins the work of judging again the replies that were indexed since `fromMs`, if there are any.
 */
export function rejudgeByFact(
  context: ApplyContext,
  { owner, did }: { readonly owner: number; readonly did: string },
  fact: GateFact,
  fromMs: number,
): void {
  if (!hasWaitersSince(context.state, owner, fact, fromMs)) return;
  context.longWork({ type: 'fact-verdicts', did, fact, fromMs, after: emptyValue });
}

/** Does a step of that work. Returns the rest, or undefined at its end. */
export function judgeByFactStep(
  context: ApplyContext,
  work: LongWorkOf<'fact-verdicts'>,
): LongWorkOf<'fact-verdicts'> | undefined {
  const { state } = context;
  const { did, fact } = work;
  const owner = state.ownerOf(did);
  if (owner === undefined) return undefined;
  let { fromMs, after } = work;
  let thread: Thread | undefined;
  const prefix = waitersPrefix(owner, fact);
  const start = after.length === 0 ? timedKey(prefix, fromMs) : after;
  for (const { key } of rowsAfter(state, prefix, start)) {
    if (context.workUsLeft <= 0) return { ...work, fromMs, after };
    context.workUsLeft -= workCostUs.row + workCostUs.reply;
    after = key;
    const { indexedMs, rootRkey, rkey } = readWaiter(key, prefix);
    fromMs = indexedMs;
    if (fact.kind === 'followed') {
      const row = getThreadReply(state, owner, rootRkey, { did: fact.did, rkey });
      if (row?.judgement.indexedMs !== indexedMs) continue;
      if (thread?.root.rkey !== rootRkey) thread = threadOf(state, owner, { did, rkey: rootRkey });
      // Nothing else that judging changes depends on the fact.
      if (judge(context, thread, row).judgement.verdict !== row.judgement.verdict) judgeAgain(context, thread, row);
    } else {
      // The root's slot, which may be this one, judges the reply once more.
      context.workUsLeft -= workCostUs.reply;
      const question = getQuestion(state, owner, rkey);
      if (question !== undefined) sendGateAnswer(context, owner, { did, collection: nsid.post, rkey }, question);
    }
  }
  return undefined;
}
