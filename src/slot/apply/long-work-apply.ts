/**
 * Does long work in steps of a bounded cost: at once where it is little, else after later entries.
 *
 * Where a step begins and ends depends on the log alone, never on batches.
 */
import {
  findLongWork,
  type LongWork,
  type LongWorkOf,
  putLongWork,
  putLongWorkTurn,
  removeLongWork,
  type WaitingWork,
} from '../table/long-work.ts';
import { emptyValue } from '../table/slot-state.ts';
import { recountRowsMax, recountUnread } from '../table/unread-count.ts';
import { deleteAccountStep } from './actor-apply.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';
import { clearBracket, sweepBracket } from './bracket-sweep.ts';
import { eraseStep } from './erase-apply.ts';
import { judgeByFact } from './fact-verdicts.ts';
import { judgeQuotesAgain } from './gated-edge-apply.ts';
import { dropImportNotesStep } from './import-apply.ts';
import { clearMutesStep } from './mute-apply.ts';
import { sendPostExists } from './post-apply.ts';
import { reindexStep } from './repair-apply.ts';
import { clearSeenStep, sweepResync } from './repo-apply.ts';
import { judgeRepliesAgain, noticeRepliesBelow, noticesAgain } from './thread-apply.ts';
import { verifierStep } from './verification-apply.ts';

/** Does a step of counting unread notices. Returns the rest, or undefined at its end. */
function recountStep(context: ApplyContext, work: LongWorkOf<'unread-recount'>): LongWork | undefined {
  const owner = context.state.ownerOf(work.did);
  if (owner === undefined) return undefined;
  while (context.workUsLeft > 0) {
    context.workUsLeft -= recountRowsMax * workCostUs.row;
    if (!recountUnread(context.state, owner)) return undefined;
  }
  return work;
}

/** Returns the rest of the work, or undefined at its end. */
function step(context: ApplyContext, work: LongWork): LongWork | undefined {
  switch (work.type) {
    case 'delete-account':
      return deleteAccountStep(context, work);
    case 'resync-sweep':
      return sweepResync(context, work);
    case 'reindex':
      return reindexStep(context, work);
    case 'clear-seen':
      return clearSeenStep(context, work);
    case 'clear-mutes':
      return clearMutesStep(context, work);
    case 'verifier':
      return verifierStep(context, work);
    case 'unread-recount':
      return recountStep(context, work);
    case 'post-exists':
      return sendPostExists(context, work);
    case 'thread-notices':
      return noticeRepliesBelow(context, work);
    case 'gate-verdicts':
      return work.gate === 'thread' ? judgeRepliesAgain(context, work) : judgeQuotesAgain(context, work);
    case 'fact-verdicts':
      return judgeByFact(context, work);
    case 'bracket-sweep':
      return sweepBracket(context, work);
    case 'bracket-clear':
      return clearBracket(context, work);
    case 'import-notes':
      return dropImportNotesStep(context, work);
    case 'erase':
      return eraseStep(context, work);
  }
}

/** Returns what to do when `work` is asked for while `waiting`, for the same thing, waits. */
function merged(waiting: LongWork, work: LongWork): LongWork {
  if (waiting.type === 'post-exists') return { ...waiting, isAgain: waiting.after.length > 0 };
  if (waiting.type === 'thread-notices' && work.type === 'thread-notices') {
    const isMoved = waiting.isMoved || work.isMoved;
    return { ...waiting, isMoved, isAgain: waiting.path.length > 0 };
  }
  // The rules have changed again: what is done must be done anew.
  if (waiting.type === 'gate-verdicts' && work.type === 'gate-verdicts')
    return { ...work, fromMs: Math.min(waiting.fromMs, work.fromMs) };
  // A change concerns only replies since, so what is done before it stays done.
  if (waiting.type === 'fact-verdicts' && work.type === 'fact-verdicts')
    return waiting.fromMs < work.fromMs ? waiting : work;
  if (waiting.type === 'delete-account' && work.type === 'delete-account') {
    return { ...work, originMs: Math.max(waiting.originMs, work.originMs) };
  }
  return work;
}

/** Returns the work that begins where this one ends, or undefined. */
function again(work: LongWork): LongWork | undefined {
  if (work.type === 'post-exists' && work.isAgain) return { ...work, isAgain: false, after: emptyValue };
  return work.type === 'thread-notices' && work.isAgain ? noticesAgain(work) : undefined;
}

/** Does what of the work the entry may still cost. Returns true when a new row of it waits. */
export function beginLongWork(context: ApplyContext, work: LongWork): boolean {
  const waiting = findLongWork(context.state, work);
  if (waiting !== undefined) {
    putLongWork(context.state, merged(waiting, work));
    return false;
  }
  const rest = context.workUsLeft > 0 ? step(context, work) : work;
  if (rest !== undefined) putLongWork(context.state, rest);
  return rest !== undefined;
}

/** Does a step of one piece of work that waits. Returns true when that piece has ended. */
export function continueLongWork(context: ApplyContext, { key, work }: WaitingWork): boolean {
  const { state } = context;
  context.workUsLeft -= workCostUs.work;
  const rest = step(context, work) ?? again(work);
  if (rest === undefined) removeLongWork(state, work);
  else putLongWork(state, rest);
  putLongWorkTurn(state, key);
  return rest === undefined;
}
