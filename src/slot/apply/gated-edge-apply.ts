/**
 * Applies the edges of others that have to do with gates: quotes, which the gate of the quoted post
 * judges; replies, which count only while no gate forbids them; list items, by which gates of other
 * slots judge.
 */
import { nsid } from '../../atproto/collection.ts';
import { edgeByKind } from '../../atproto/edge-kind.ts';
import { invariant } from '../../base/invariant.ts';
import { timeAt } from '../../base/time-bytes.ts';
import type { Judged } from '../../entry/gate.ts';
import { isAskedAbout } from '../table/actor-counts.ts';
import { getActor } from '../table/actor-row.ts';
import { putEnded } from '../table/gate-fact.ts';
import { getPolicy } from '../table/gate-policy.ts';
import {
  type EdgeEffect,
  edgeValue,
  incomingEdgeKey,
  incomingRecordPrefix,
  readEdgeOfKey,
  readJudgedQuote,
} from '../table/incoming-edge.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import { removeNotice, setNoticeTakedown } from '../table/notice.ts';
import { addToRecordCount, recordCountsKey } from '../table/record-counts.ts';
import type { SlotState } from '../table/slot-state.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';
import { rejudgeByFact } from './fact-verdicts.ts';
import { putJudgedNotice } from './judged-notice.ts';
import { rowsAfter } from './rows-after.ts';

/** Kinds whose rows have a value. */
export function isGatedEdge({ edge }: EdgeEffect): boolean {
  return edge === 'quote' || edge === 'reply' || edge === 'list-item';
}

/** Puts or removes one such edge. A withdrawal of a sweep says nothing of its time. */
export function applyGatedEdge(context: ApplyContext, owner: number, effect: EdgeEffect): void {
  const key = incomingEdgeKey(owner, effect);
  const value = context.state.rows.get(key);
  if (effect.present) context.confirm(key);
  else if (value === undefined) return;
  else context.state.rows.remove(key);
  switch (effect.edge) {
    case 'quote':
      return applyQuote(context, { owner, key }, effect, value);
    case 'reply':
      return applyReply(context.state, { owner, key }, effect, value);
    default:
      return applyListItem(context, { owner, key }, effect, value);
  }
}

/** Returns what was known of an edge, with the time of its end if it is withdrawn. */
function judgedOf(context: ApplyContext, { judged }: EdgeEffect): Judged {
  return judged ?? { eventMs: context.appendMs, version: 0, isViolating: false };
}

function count(state: SlotState, owner: number, { edge, subject }: EdgeEffect, change: 1 | -1): void {
  const { recordCount } = edgeByKind[edge];
  invariant(subject !== null && recordCount !== null, 'quotes and replies are counted on a record');
  addToRecordCount(state, recordCountsKey(owner, subject.collection, subject.rkey), recordCount, change);
}

/** Where an edge is stored. */
type Target = { readonly owner: number; readonly key: Buffer };

function applyReply(state: SlotState, { owner, key }: Target, effect: EdgeEffect, before: Buffer | undefined): void {
  const after = effect.present ? edgeValue(effect) : undefined;
  if (after !== undefined) state.rows.put(key, after);
  const change = countOf(after) - countOf(before);
  if (change === 1 || change === -1) count(state, owner, effect, change);
}

/** A reply that a gate forbids has a value and does not count. */
function countOf(value: Buffer | undefined): number {
  return value !== undefined && value.length === 0 ? 1 : 0;
}

function applyQuote(context: ApplyContext, target: Target, effect: EdgeEffect, before: Buffer | undefined): void {
  const { state } = context;
  const { owner } = target;
  if (!effect.present) {
    count(state, owner, effect, -1);
    return removeQuoteNotice(state, owner, effect);
  }
  const said = judgedOf(context, effect);
  const known = before === undefined ? undefined : readJudgedQuote(before);
  // A version is judged once, also if it is resent.
  const judged = known?.version === said.version ? known : said;
  if (before === undefined) count(state, owner, effect, 1);
  const isNotified = known === undefined ? null : !known.isViolating;
  judgeQuote(context, target, { ...effect, judged }, { heard: said.isViolating, isNotified });
}

/** `heard`: the verdict that the author's slot holds. `isNotified`: null for a new quote. */
type Judging = { readonly heard: boolean; readonly isNotified: boolean | null };

/** Judges a quote, stores it, and notifies its subject's author, who is the owner. */
function judgeQuote(
  context: ApplyContext,
  { owner, key }: Target,
  effect: EdgeEffect & { readonly judged: Judged },
  { heard, isNotified }: Judging,
): void {
  const { state } = context;
  const { source, subject, subjectDid, judged, sortMs } = effect;
  invariant(subject !== null, 'a quote is of a record');
  const rules = getPolicy(state, owner, 'post', subject.rkey)?.rulesAt(judged.eventMs);
  const isOwn = source.did === subjectDid;
  // Without known rules, what was judged before stays.
  const isViolating = rules === undefined ? judged.isViolating : rules.isRestricted && !isOwn;
  state.rows.put(key, edgeValue({ edge: 'quote', judged: { ...judged, isViolating } }));
  // Of an earlier life of the quote nothing is stored, but a verdict may still be on its way.
  if (isViolating !== heard || rules !== undefined)
    context.send({ type: 'verdict', gate: 'post', post: source, version: judged.version, isViolating });
  if (isOwn) return;
  if (isViolating) return removeQuoteNotice(state, owner, effect);
  // A resend marks the notice of a record that is taken down next; a mark may have been lifted.
  if (isNotified === true && context.isResent) {
    const type = 'notice-takedown';
    setNoticeTakedown(state, owner, { type, recipient: subjectDid, source, isTakenDown: false, sortMs });
  } else if (isNotified !== true)
    putJudgedNotice(context, owner, { source, reason: 'quote', subject, sortMs, isTakenDown: false });
}

function removeQuoteNotice(state: SlotState, owner: number, { source, sortMs }: EdgeEffect): void {
  removeNotice(state, owner, { source, reason: 'quote', sortMs });
}

/** Does a step of judging the quotes of a post again. Returns the rest, or undefined at its end. */
export function judgeQuotesAgain(
  context: ApplyContext,
  work: LongWorkOf<'gate-verdicts'>,
): LongWorkOf<'gate-verdicts'> | undefined {
  const { state } = context;
  const { did, rkey, fromMs } = work;
  const owner = state.ownerOf(did);
  if (owner === undefined) return undefined;
  let { after } = work;
  for (const { key, value } of rowsAfter(state, incomingRecordPrefix(owner, nsid.post, rkey, 'quote'), after)) {
    if (context.workUsLeft <= 0) return { ...work, after };
    context.workUsLeft -= workCostUs.row;
    after = key;
    const judged = readJudgedQuote(value);
    if (judged.eventMs < fromMs) continue;
    context.workUsLeft -= workCostUs.reply;
    const edge = readEdgeOfKey(key);
    const subject = { did, collection: nsid.post, rkey };
    const effect = { ...edge, present: true, subject, subjectDid: did, judged };
    judgeQuote(context, { owner, key }, effect, { heard: judged.isViolating, isNotified: !judged.isViolating });
  }
  return undefined;
}

function applyListItem(
  context: ApplyContext,
  { owner, key }: Target,
  effect: EdgeEffect,
  before: Buffer | undefined,
): void {
  const { state } = context;
  const { subject: list, present } = effect;
  const judged = judgedOf(context, effect);
  const after = present ? edgeValue({ edge: 'list-item', judged }) : undefined;
  if (list === null || (after !== undefined && before?.equals(after))) return;
  // Serving threads cache the lists that an actor is on.
  state.touchedOwners.add(owner);
  const fact = { kind: 'list-item', list } as const;
  const beforeMs = before === undefined ? Number.POSITIVE_INFINITY : timeAt(before, 0);
  if (after !== undefined) state.rows.put(key, after);
  else putEnded(state, owner, fact, beforeMs, judged.eventMs);
  if (!isAskedAbout(state, owner)) return;
  // A withdrawal need not say whose the subject is.
  const did = getActor(state, owner)?.did;
  if (did !== undefined) rejudgeByFact(context, { owner, did }, fact, Math.min(beforeMs, judged.eventMs));
}
