/**
 * Applies record operations: the record, the indexes of its collection, the effects to others.
 *
 * Idempotent by cid. What a record put elsewhere is removed by reading the stored record again.
 */
import { recordDigestOf } from '../../atproto/cid.ts';
import { collectionRow, nsid } from '../../atproto/collection.ts';
import { type RecordRef, recordUri } from '../../atproto/compact-key.ts';
import { decodeDagCbor } from '../../atproto/dag-cbor.ts';
import { dagJson, isDagMap } from '../../atproto/dag-value.ts';
import { edgeByCollection } from '../../atproto/edge-kind.ts';
import type { RepoOp } from '../../atproto/repo-op.ts';
import { invariant } from '../../base/invariant.ts';
import { addToActorCount } from '../table/actor-counts.ts';
import {
  type AppliedRecord,
  appliedRecord,
  loadRecord,
  putRecordRow,
  removeRecordRow,
} from '../table/applied-record.ts';
import { setLabeler } from '../table/labeler.ts';
import { listRecord } from '../table/listed-record.ts';
import { readPlainBlock } from '../table/plain-block.ts';
import { listFlag, type RecordRow } from '../table/record-row.ts';
import { createdMsOf, type JsonObject, refOf, textOf } from '../table/record-values.ts';
import type { ApplyContext } from './apply-context.ts';
import { markEdgeTakedown, putEdgeRecord, putTaggedEdge, restateEdge, unindexEdgeRecord } from './edge-apply.ts';
import { applyGate, gateFlags, reindexGate } from './gate-apply.ts';
import { indexPost, markPostTakedown, notifyReposters, putPostItem, restatePost, unindexPost } from './post-apply.ts';
import { putRepostItem } from './repost-item.ts';

/**
 * The repo that an entry changes, at `indexedMs`. `deletedMs` is when the account was deleted,
 * while its earlier records are still being removed: these count as gone.
 */
type RepoTarget = {
  readonly owner: number;
  readonly did: string;
  readonly indexedMs: number;
  readonly deletedMs: number | null;
};

/** Applies one operation of a repo. */
export function applyRepoOp(context: ApplyContext, target: RepoTarget, op: RepoOp): void {
  const { owner, did, indexedMs, deletedMs } = target;
  const ref = { did, collection: op.collection, rkey: op.rkey };
  let before = loadRecord(context.state, owner, ref);
  if (before !== undefined && deletedMs !== null && before.row.indexedMs <= deletedMs) {
    removeRecord(context, before, deletedMs);
    before = undefined;
  }
  if (op.action === 'delete') {
    if (before !== undefined) removeRecord(context, before, indexedMs);
    return;
  }
  if (before !== undefined && Buffer.compare(before.row.cid, op.cid) === 0) return;
  if (before !== undefined) unindexRecord(context, before, indexedMs);
  const record = recordOf(target, ref, op, before?.row);
  putRecord(context, record);
  if (record.row.takedownRef !== null) markTakedown(context, record, true, indexedMs);
}

/** Decodes the record of an operation, which inherits takedown, flags and tags from `before`. */
function recordOf(target: RepoTarget, ref: RecordRef, op: RepoOp, before: RecordRow | undefined): AppliedRecord {
  const { owner, indexedMs } = target;
  const head = { indexedMs, cid: op.cid, takedownRef: before?.takedownRef ?? null, postFlags: before?.postFlags ?? 0 };
  const rule = edgeByCollection.get(op.collection);
  const mayBePlain = rule !== undefined && before?.tags === undefined && recordDigestOf(op.cid) !== undefined;
  const plain = mayBePlain ? readPlainBlock(rule, op.block) : undefined;
  if (plain !== undefined) {
    const { edge, createdMs } = plain;
    return appliedRecord(owner, ref, { ...head, createdMs, body: { form: 'edge', ...edge } }, null);
  }
  const read = decodeDagCbor(op.block);
  invariant(read.ok && isDagMap(read.value), 'the block of an op holds a record');
  const { value } = read;
  const body = { form: 'json', json: dagJson(value) } as const;
  const tags = before?.tags === undefined ? {} : { tags: before.tags };
  const postFlags = op.collection === nsid.list ? listFlagsOf(value) : head.postFlags;
  return appliedRecord(owner, ref, { ...head, ...tags, postFlags, createdMs: createdMsOf(value), body }, value);
}

const referenceList = 'app.bsky.graph.defs#referencelist';

function listFlagsOf({ purpose }: JsonObject): number {
  return textOf(purpose) === referenceList ? listFlag.isReference : 0;
}

/** Deletes a stored record and everything that it put elsewhere. */
export function removeRecord(context: ApplyContext, record: AppliedRecord, eventMs: number): void {
  // The row goes first, so that a duplicate that replaces it does not find it.
  removeRecordRow(context.state, record);
  unindexRecord(context, record, eventMs);
}

/**
 * Puts a record's row and all that follows from it. The rows of edges and posts are written once,
 * in their final form: another form first would split pages that then stay half empty.
 */
function putRecord(context: ApplyContext, record: AppliedRecord): void {
  const rule = edgeByCollection.get(record.ref.collection);
  if (rule !== undefined) return putEdgeRecord(context, rule, record);
  if (record.ref.collection === nsid.post) return indexPost(context, record);
  putRecordRow(context.state, record, record.row);
  const count = collectionRow(record.ref.collection)?.actorCount;
  if (count !== undefined) addToActorCount(context.state, record.owner, count, 1);
  listRecord(context.state, record, true);
  switch (record.ref.collection) {
    case nsid.threadGate:
    case nsid.postGate:
      return applyGate(context, record, true, record.row.indexedMs);
    case nsid.profile:
      return sendJoin(context, record, true);
    case nsid.labeler:
      return setLabeler(context.state, record.owner, true);
  }
}

function unindexRecord(context: ApplyContext, record: AppliedRecord, eventMs: number): void {
  const rule = edgeByCollection.get(record.ref.collection);
  if (rule !== undefined) return unindexEdgeRecord(context, rule, record, eventMs);
  const count = collectionRow(record.ref.collection)?.actorCount;
  if (count !== undefined) addToActorCount(context.state, record.owner, count, -1);
  listRecord(context.state, record, false);
  switch (record.ref.collection) {
    case nsid.post:
      return unindexPost(context, record, eventMs);
    case nsid.threadGate:
    case nsid.postGate:
      return applyGate(context, record, false, eventMs);
    case nsid.profile:
      return sendJoin(context, record, false);
    case nsid.labeler:
      return setLabeler(context.state, record.owner, false);
  }
}

/** Puts again what a stored record puts elsewhere; it counts once already. */
export function reindexRecord(context: ApplyContext, record: AppliedRecord): void {
  listRecord(context.state, record, true);
  switch (record.ref.collection) {
    case nsid.post:
      putPostItem(context, record, record.row.postFlags & ~gateFlags);
      notifyReposters(context, record);
      break;
    case nsid.threadGate:
    case nsid.postGate:
      reindexGate(context, record);
      break;
    case nsid.repost:
      if (record.edge !== undefined) putRepostItem(context.state, record, record.edge.subject);
      break;
    case nsid.labeler:
      setLabeler(context.state, record.owner, true);
      break;
  }
  restateRecord(context, record);
}

/** Sends again what a stored record owes other slots. */
export function restateRecord(context: ApplyContext, record: AppliedRecord): void {
  const rule = edgeByCollection.get(record.ref.collection);
  if (rule !== undefined) restateEdge(context, rule, record);
  else if (record.ref.collection === nsid.post) restatePost(context, record);
  else if (record.ref.collection === nsid.profile) sendJoin(context, record, true);
  if (record.row.takedownRef !== null) markTakedown(context, record, true, record.row.indexedMs);
}

/** Returns the starter pack through which the actor of a profile joined. */
function packOf(profile: AppliedRecord): RecordRef | undefined {
  return refOf(profile.value['joinedViaStarterPack']);
}

/** Counts for a pack and notifies its owner; the notice sorts by when the profile was indexed. */
function sendJoin(context: ApplyContext, record: AppliedRecord, present: boolean): void {
  const pack = packOf(record);
  if (pack === undefined) return;
  const { ref: source, sortMs } = record;
  context.send({ type: 'edge', edge: 'join', present, source, subjectDid: pack.did, subject: pack, sortMs });
  context.send({
    type: 'notice',
    present,
    recipient: pack.did,
    source,
    reason: 'starterpack-joined',
    reasonSubject: recordUri(pack),
    sortMs: record.row.indexedMs,
    isTakenDown: false,
  });
}

/** Sets or clears the takedown of one record, if it exists. */
export function setRecordTakedown(
  context: ApplyContext,
  owner: number,
  ref: RecordRef,
  takedownRef: string | null,
): void {
  const record = loadRecord(context.state, owner, ref);
  if (record === undefined || record.row.takedownRef === takedownRef) return;
  const marked = { ...record, row: { ...record.row, takedownRef } };
  putRecordRow(context.state, record, marked.row);
  markTakedown(context, marked, takedownRef !== null, record.row.indexedMs);
}

/** Replaces the tags of one record, if it exists. */
export function setRecordTags(context: ApplyContext, owner: number, ref: RecordRef, tags: readonly string[]): void {
  const record = loadRecord(context.state, owner, ref);
  if (record === undefined || (tags.length === 0 && record.row.tags === undefined)) return;
  const rule = edgeByCollection.get(ref.collection);
  if (rule !== undefined && record.row.body.form === 'edge') putTaggedEdge(context, rule, record, tags);
  else putRecordRow(context.state, record, { ...record.row, tags });
}

/** Marks or unmarks every notice of a record: one that is taken down is not counted as unread. */
function markTakedown(context: ApplyContext, record: AppliedRecord, isTakenDown: boolean, eventMs: number): void {
  const rule = edgeByCollection.get(record.ref.collection);
  if (rule !== undefined) markEdgeTakedown(context, rule, record, isTakenDown);
  const pack = record.ref.collection === nsid.profile ? packOf(record) : undefined;
  if (pack !== undefined) {
    const { ref: source, row } = record;
    context.send({ type: 'notice-takedown', recipient: pack.did, source, isTakenDown, sortMs: row.indexedMs });
  }
  if (record.ref.collection === nsid.post) markPostTakedown(context, record, isTakenDown, eventMs);
}
