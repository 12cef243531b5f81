/** Applies records that are edges: only the first for a subject counts; others are duplicates. */
import { recordDigestOf } from '../../atproto/cid.ts';
import { recordUri } from '../../atproto/compact-key.ts';
import type { Edge, EdgeSubject } from '../../atproto/edge-kind.ts';
import { invariant } from '../../base/invariant.ts';
import { storedTime } from '../../base/time-bytes.ts';
import { addToActorCount, isAskedAbout } from '../table/actor-counts.ts';
import { type AppliedRecord, jsonOfRow, loadRecord, putRecordRow } from '../table/applied-record.ts';
import { claimEdge, isEdge } from '../table/edge-by-subject.ts';
import { type EdgeFacts, type PlainEdge, plainDigest } from '../table/edge-record.ts';
import { isInRkeyOrder } from '../table/edge-walk.ts';
import { removeFeedRow } from '../table/feed-item.ts';
import { putEnded } from '../table/gate-fact.ts';
import { changeListMember } from '../table/list-member.ts';
import {
  duplicatesOf,
  type OutgoingEdge,
  putDuplicate,
  putEdgeInTime,
  removeDuplicate,
  removeEdge,
} from '../table/outgoing-edge.ts';
import type { RecordRow } from '../table/record-row.ts';
import type { ApplyContext } from './apply-context.ts';
import { rejudgeByFact } from './fact-verdicts.ts';
import { putRepostItem } from './repost-item.ts';
import { sendVerification } from './verification-apply.ts';

function edgeOf(rule: Edge, record: AppliedRecord, subject: EdgeSubject): OutgoingEdge {
  return { kind: rule.kind, subject, sortMs: record.sortMs, rkey: record.ref.rkey };
}

/** Puts a record's row and its edge: as the owner's one edge to the subject, or as a duplicate. */
export function putEdgeRecord(context: ApplyContext, rule: Edge, record: AppliedRecord): void {
  const { edge: facts, owner, row } = record;
  if (facts === undefined) return putRecordRow(context.state, record, row);
  if (rule.kind === 'repost') putRepostItem(context.state, record, facts.subject);
  const edge = edgeOf(rule, record, facts.subject);
  if (claimEdge(context.state, owner, edge)) return putClaimedEdge(context, rule, record, facts, edge);
  putRecordRow(context.state, record, { ...row, body: { form: 'json', json: jsonOfRow(row) } });
  if (rule.promotesDuplicate) putDuplicate(context.state, owner, edge, row.indexedMs);
}

/** Puts the row of a record that has become the one edge to its subject, and all that follows. */
function putClaimedEdge(
  context: ApplyContext,
  rule: Edge,
  record: AppliedRecord,
  facts: EdgeFacts,
  edge: OutgoingEdge,
): void {
  const { row, owner } = record;
  const { subject, subjectCid } = facts;
  const plain = { kind: rule.kind, subject, subjectCid };
  const mayBePlain = row.body.form === 'edge' || (facts.via === undefined && isPlainForm(row, plain));
  const isPlain = row.tags === undefined && mayBePlain;
  putRecordRow(context.state, record, isPlain ? { ...row, body: { form: 'edge', ...plain } } : row);
  if (rule.subject === 'both') changeListMember(context.state, record, subject, 1);
  else {
    const isOrdered = isPlain && isInRkeyOrder(record.sortMs, record.ref.rkey);
    putEdgeInTime(context.state, owner, edge, isOrdered);
  }
  if (rule.makerCount !== null) addToActorCount(context.state, owner, rule.makerCount, 1);
  sendEdge(context, rule, record, subject, { present: true, eventMs: row.indexedMs });
  if (rule.kind === 'follow') judgeFollow(context, record, subject.did, row.indexedMs);
}

/** Replies that gates judge by a follow may have come before it changes. */
function judgeFollow(context: ApplyContext, { owner, ref }: AppliedRecord, did: string, fromMs: number): void {
  if (!isAskedAbout(context.state, owner)) return;
  rejudgeByFact(context, { owner, did: ref.did }, { kind: 'followed', did }, fromMs);
  rejudgeByFact(context, { owner, did: ref.did }, { kind: 'follower', did }, fromMs);
}

/** Puts a stored edge record in JSON form, which has room for tags; its order needs a row then. */
export function putTaggedEdge(
  { state }: ApplyContext,
  rule: Edge,
  record: AppliedRecord,
  tags: readonly string[],
): void {
  const { owner, row } = record;
  putRecordRow(state, record, { ...row, body: { form: 'json', json: jsonOfRow(row) }, tags });
  const subject = record.edge?.subject;
  const edge = subject === undefined ? undefined : edgeOf(rule, record, subject);
  if (edge !== undefined && isEdge(state, owner, edge)) putEdgeInTime(state, owner, edge, false);
}

/** True when the record's cid is that of the plain form; for where the block is not at hand. */
function isPlainForm(row: RecordRow, edge: PlainEdge): boolean {
  if (row.createdMs === null) return false;
  const digest = plainDigest(edge, storedTime(row.createdMs));
  const own = recordDigestOf(row.cid);
  return digest !== undefined && own !== undefined && digest.equals(own);
}

/** Sends again what an edge record owes; a duplicate owes nothing. */
export function restateEdge(context: ApplyContext, rule: Edge, record: AppliedRecord): void {
  const subject = record.edge?.subject;
  if (subject === undefined || !isEdge(context.state, record.owner, edgeOf(rule, record, subject))) return;
  sendEdge(context, rule, record, subject, { present: true, eventMs: record.row.indexedMs });
}

/** Removes what `putEdgeRecord` put; when the one edge goes, the oldest duplicate replaces it. */
export function unindexEdgeRecord(context: ApplyContext, rule: Edge, record: AppliedRecord, eventMs: number): void {
  const subject = record.edge?.subject;
  if (subject === undefined) return;
  const { owner, ref } = record;
  if (rule.kind === 'repost') removeFeedRow(context.state, owner, record.sortMs, ref.collection, ref.rkey);
  const edge = edgeOf(rule, record, subject);
  if (!isEdge(context.state, owner, edge)) {
    return removeDuplicate(context.state, owner, edge, record.row.indexedMs);
  }
  removeEdge(context.state, owner, edge);
  if (rule.subject === 'both') changeListMember(context.state, record, subject, -1);
  if (rule.makerCount !== null) addToActorCount(context.state, owner, rule.makerCount, -1);
  sendEdge(context, rule, record, subject, { present: false, eventMs });
  if (rule.kind === 'follow') endFollow(context, record, subject.did, eventMs);
  if (rule.kind === 'verification') sendUnverified(context, record, subject, eventMs);
  if (rule.promotesDuplicate) promoteDuplicate(context, rule, record, subject);
}

function endFollow(context: ApplyContext, record: AppliedRecord, did: string, eventMs: number): void {
  const { owner, row } = record;
  if (!isAskedAbout(context.state, owner)) return;
  putEnded(context.state, owner, { kind: 'followed', did }, row.indexedMs, eventMs);
  judgeFollow(context, record, did, eventMs);
}

function promoteDuplicate(
  context: ApplyContext,
  rule: Edge,
  { owner, ref }: AppliedRecord,
  subject: EdgeSubject,
): void {
  if (context.ownerWithoutDuplicates === owner) return;
  const [rkey] = duplicatesOf(context.state, owner, rule.kind, subject, 1);
  const record = rkey === undefined ? undefined : loadRecord(context.state, owner, { ...ref, rkey });
  if (rkey === undefined || record === undefined) return;
  const edge = edgeOf(rule, record, subject);
  removeDuplicate(context.state, owner, edge, record.row.indexedMs);
  const isClaimed = claimEdge(context.state, owner, edge);
  invariant(record.edge !== undefined && isClaimed, 'a duplicate claims its subject once the one edge is removed');
  putClaimedEdge(context, rule, record, record.edge, edge);
  if (record.row.takedownRef !== null) markEdgeTakedown(context, rule, record, true);
}

/** Marks or unmarks the notices of an edge. A duplicate has none until it is promoted. */
export function markEdgeTakedown(context: ApplyContext, rule: Edge, record: AppliedRecord, isTakenDown: boolean): void {
  const { ref: source, sortMs } = record;
  const subject = record.edge?.subject;
  if (!rule.sendsEffect || subject === undefined) return;
  if (!isEdge(context.state, record.owner, edgeOf(rule, record, subject))) return;
  const via = record.edge?.via;
  const recipients = new Set(via === undefined ? [subject.did] : [subject.did, via.did]);
  for (const recipient of recipients) {
    context.send({ type: 'notice-takedown', recipient, source, isTakenDown, sortMs });
  }
}

function sendEdge(
  context: ApplyContext,
  rule: Edge,
  record: AppliedRecord,
  { did: subjectDid, ref: subject }: EdgeSubject,
  { present, eventMs }: { readonly present: boolean; readonly eventMs: number },
): void {
  const { ref: source, sortMs } = record;
  if (rule.sendsEffect) {
    const edge = { type: 'edge', edge: rule.kind, present, source, subjectDid, subject, sortMs } as const;
    // Gates of others judge by when somebody was on a list.
    context.send(rule.kind === 'list-item' ? { ...edge, judged: { eventMs, version: 0, isViolating: false } } : edge);
  }
  if (rule.kind === 'verification') sendVerification(context, record, subjectDid, present);
  const via = record.edge?.via;
  // One's own like or repost notifies nobody, not even the reposter through whom it came.
  if (rule.viaReason === null || via === undefined || via.did === source.did || subjectDid === source.did) return;
  context.send({
    type: 'notice',
    present,
    recipient: via.did,
    source,
    reason: rule.viaReason,
    reasonSubject: recordUri(via),
    sortMs,
    isTakenDown: false,
  });
}

/** The end of a verification is a notice of its own; that of its beginning stays, as history. */
function sendUnverified(context: ApplyContext, record: AppliedRecord, subject: EdgeSubject, eventMs: number): void {
  context.send({
    type: 'notice',
    present: true,
    recipient: subject.did,
    source: record.ref,
    reason: 'unverified',
    reasonSubject: null,
    sortMs: eventMs,
    isTakenDown: false,
  });
}
