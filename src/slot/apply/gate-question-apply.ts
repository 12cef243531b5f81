/** Applies what gates of other slots ask and say of the posts of this one. */
import { versionOfCid } from '../../atproto/cid.ts';
import type { RecordRef } from '../../atproto/compact-key.ts';
import type { EffectOf } from '../../entry/entry.ts';
import { markAskedAbout } from '../table/actor-counts.ts';
import { type AppliedRecord, loadRecord, putRecordRow } from '../table/applied-record.ts';
import { factsOfQuestion, isFactAt, putQuestion, type Question } from '../table/gate-fact.ts';
import { postFlag } from '../table/record-row.ts';
import { quoteOf, replyOf } from '../table/record-values.ts';
import type { ApplyContext } from './apply-context.ts';

const flagByGate = { thread: postFlag.violatesThreadGate, post: postFlag.violatesEmbeddingRules } as const;

/** Sets or clears a verdict on the version of a post that was judged. */
export function applyVerdict(context: ApplyContext, effect: EffectOf<'verdict'>): void {
  const { gate, post: source, version, isViolating } = effect;
  const owner = context.state.ownerOf(source.did);
  const post = owner === undefined ? undefined : loadRecord(context.state, owner, source);
  if (post === undefined || versionOfCid(post.row.cid) !== version) return;
  const { postFlags: before } = post.row;
  const postFlags = isViolating ? before | flagByGate[gate] : before & ~flagByGate[gate];
  if (postFlags === before) return;
  putRecordRow(context.state, post, { ...post.row, postFlags });
  if (gate === 'thread') sendReplyEdge(context, post, isViolating);
  else if (!isViolating) markQuoteNotice(context, post);
}

/** A reply that a gate forbids is not counted. */
function sendReplyEdge(
  context: ApplyContext,
  { ref: source, row, value, sortMs }: AppliedRecord,
  isViolating: boolean,
) {
  const subject = replyOf(value)?.parent;
  if (subject === undefined) return;
  const judged = { eventMs: row.indexedMs, version: versionOfCid(row.cid), isViolating };
  context.send({
    type: 'edge',
    edge: 'reply',
    present: true,
    source,
    subjectDid: subject.did,
    subject,
    sortMs,
    judged,
  });
}

/** A quote that is allowed after all notifies; if it is taken down, its notice was never marked. */
function markQuoteNotice(context: ApplyContext, { ref: source, row, value, sortMs }: AppliedRecord): void {
  const recipient = quoteOf(value)?.did;
  if (row.takedownRef === null || recipient === undefined) return;
  context.send({ type: 'notice-takedown', recipient, source, isTakenDown: true, sortMs });
}

/** Answers whether the author of a reply was on a list or a follower, and goes on to do so. */
export function applyGateQuestion(context: ApplyContext, effect: EffectOf<'gate-question'>): void {
  const { state } = context;
  const { reply, version } = effect;
  const owner = state.ownerOf(reply.did);
  const post = owner === undefined ? undefined : loadRecord(state, owner, reply);
  if (owner === undefined || post === undefined || versionOfCid(post.row.cid) !== version) return;
  markAskedAbout(state, owner);
  putQuestion(state, owner, reply.rkey, effect);
  sendGateAnswer(context, owner, reply, effect);
}

/**
 * Answers a question as the facts are now. A slot that has lost some cannot know that none is true;
 * it answers once it is complete.
 */
export function sendGateAnswer(context: ApplyContext, owner: number, reply: RecordRef, question: Question): void {
  const { root, version, indexedMs } = question;
  const isAllowed = factsOfQuestion(question).some((fact) => isFactAt(context.state, owner, fact, indexedMs));
  if (!isAllowed && context.hasLost) return;
  context.send({ type: 'gate-answer', root, reply, version, isAllowed });
}
