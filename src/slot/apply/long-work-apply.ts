/**
 * Does long work in steps of a bounded cost: at once where it is little, else after later entries.
 *
 * Where a step begins and ends depends on the log alone, never on batches.
 */
import {
  findLongWork,
  hasMovedRows,
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
import { judgeByFactStep } from './fact-verdicts.ts';
import { judgeQuotesAgain } from './gated-edge-apply.ts';
import { dropImportNotesStep } from './import-apply.ts';
import { clearMutesStep } from './mute-apply.ts';
import { sendPostExists } from './post-apply.ts';
import { reindexStep } from './repair-apply.ts';
import { clearSeenStep, sweepResync } from './repo-apply.ts';
import { sweepMoved } from './split-sweep.ts';
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
      return judgeByFactStep(context, work);
    case 'bracket-sweep':
      return sweepBracket(context, work);
    case 'split-sweep':
      return sweepMoved(context, work);
    case 'bracket-clear':
      return clearBracket(context, work);
    case 'import-notes':
      return dropImportNotesStep(context, work);
    case 'erase':
      return eraseStep(context, work);
  }
}

/** Returns what to do when `later` is asked for while `earlier`, of the same thing, waits. */
export function merged(earlier: LongWork, later: LongWork): LongWork {
  if (earlier.type === 'post-exists') return { ...earlier, isAgain: earlier.after.length > 0 };
  if (earlier.type === 'thread-notices' && later.type === 'thread-notices') {
    const isMoved = earlier.isMoved || later.isMoved;
    return { ...earlier, isMoved, isAgain: earlier.path.length > 0 };
  }
  // The rules have changed again: what is done must be done anew.
  if (earlier.type === 'gate-verdicts' && later.type === 'gate-verdicts')
    return { ...later, fromMs: Math.min(earlier.fromMs, later.fromMs), after: emptyValue };
  // A change concerns only replies since, so what is done before it stays done.
  if (earlier.type === 'fact-verdicts' && later.type === 'fact-verdicts')
    return earlier.fromMs < later.fromMs ? earlier : later;
  if ('originMs' in earlier && 'originMs' in later)
    return { ...later, originMs: Math.max(earlier.originMs, later.originMs), after: emptyValue };
  return later;
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
  const waits = work.type === 'bracket-sweep' && hasMovedRows(context.state);
  const rest = context.workUsLeft > 0 && !waits ? step(context, work) : work;
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
