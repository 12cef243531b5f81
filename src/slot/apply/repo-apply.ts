/**
 * Applies what happens to a repo as a whole: commits in rev order, and snapshots of it.
 *
 * A commit at or below the repo's rev changes nothing. One that does not follow the repo's rev is
 * applied, and the repo is marked for resync. A snapshot comes as begin, chunks and end: records
 * that the chunks name are kept or updated, and the end removes all others.
 * (owner, resyncSeen, collection, rkey) → rev of the snapshot that names the record, or during
 * which a commit wrote it. Rows of another rev than the snapshot in progress mean nothing.
 */
import { readDid, writeDid } from '../../atproto/compact-key.ts';
import { tidMs } from '../../atproto/tid.ts';
import type {
  CommitEntry,
  ImportedEntry,
  ImportedRecord,
  ResyncBeginEntry,
  ResyncChunkEntry,
  ResyncEndEntry,
  ResyncGivenUpEntry,
  SyncEntry,
} from '../../entry/entry.ts';
import { keyAfter, prefixEnd } from '../../storage/environment.ts';
import { ensureActor, getRepo, putRepo, type RepoRow } from '../table/actor-row.ts';
import { loadRecord } from '../table/applied-record.ts';
import { accountDeletedMs, clearDeletedAccount, removedOfPrefix, wasRemoved } from '../table/import-note.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import { readRecordRefOfKey, recordPrefix } from '../table/record-row.ts';
import {
  beginKey,
  beginRecordKey,
  beginSlotKey,
  emptyValue,
  readKey,
  type SlotState,
  tableCode,
} from '../table/slot-state.ts';
import { type ApplyContext, seenMsOf, workCostUs } from './apply-context.ts';
import { recordName } from './import-apply.ts';
import { applyRepoOp, removeRecord, setRecordTags, setRecordTakedown } from './record-apply.ts';
import { hasRows, rowsAfter } from './rows-after.ts';

const freshRepo: RepoRow = { rev: '', resyncRev: '', deletedMs: null, isGivenUp: false };

/** Applies a commit and moves the repo to its rev; one at or below that rev changes nothing. */
export function applyCommit(context: ApplyContext, entry: CommitEntry): void {
  const { state } = context;
  const owner = state.ensureOwner(entry.did);
  const repo = getRepo(state, owner);
  if (repo !== undefined && entry.rev <= repo.rev) return;
  // A repo has a rev only while its actor has a row.
  const isKnown = repo !== undefined && (repo.rev !== '' || repo.resyncRev !== '');
  if (!isKnown) {
    ensureActor(state, owner, entry.did, seenMsOf(context, entry));
    clearDeletedAccount(state, owner);
  }
  // The commit is applied all the same; the resync brings what was missed.
  const hasGap = isKnown && entry.since !== null && entry.since > repo.rev;
  if (hasGap || repo?.isGivenUp === true) markForResync(state, entry.did);
  const { resyncRev, deletedMs } = repo ?? freshRepo;
  // The sweep of an older snapshot must spare what this commit writes.
  applyOps(context, owner, entry, deletedMs, resyncRev);
  putRepo(state, owner, { rev: entry.rev, resyncRev, deletedMs, isGivenUp: false });
}

/**
 * Applies records that another data plane had. A repo that live commits have moved on, or of which
 * a snapshot is under way, takes none but what is said about them: takedowns, and tags. It is
 * marked for resync, since those commits may have been its first. The repo of an account that was
 * deleted takes nothing, and is fetched if it is said to have gone on after that.
 */
export function applyImported(context: ApplyContext, entry: ImportedEntry): void {
  const { state } = context;
  const { did, rev, isLast, records } = entry;
  const owner = state.ensureOwner(did);
  const repo = getRepo(state, owner) ?? freshRepo;
  const deletedMs = accountDeletedMs(state, owner);
  const isAlive = deletedMs === undefined || (tidMs(rev) ?? 0) > deletedMs;
  if (repo.rev > rev || (deletedMs !== undefined && isAlive)) markForResync(state, did);
  if (deletedMs !== undefined) return;
  const seenMs = Math.min(context.appendMs, ...records.map(({ indexedMs }) => indexedMs));
  ensureActor(state, owner, did, seenMs);
  const isNewer = repo.rev <= rev && repo.resyncRev === '';
  // What was removed by hand is only looked for where something was.
  const isRemoved = hasRows(state, removedOfPrefix(owner))
    ? (what: string) => wasRemoved(state, owner, what)
    : () => false;
  const target = { did, owner, deletedMs: repo.deletedMs, isNewer, isRemoved };
  for (const record of records) applyImportedRecord(context, target, record);
  if (isLast && rev !== '' && isNewer) putRepo(state, owner, { ...repo, rev });
}

type ImportTarget = {
  readonly did: string;
  readonly owner: number;
  readonly deletedMs: number | null;
  /** False where the slot has a later state of the repo. */
  readonly isNewer: boolean;
  readonly isRemoved: (what: string) => boolean;
};

function applyImportedRecord(context: ApplyContext, target: ImportTarget, record: ImportedRecord): void {
  const { state, appendMs } = context;
  const { did, owner, deletedMs, isNewer, isRemoved } = target;
  const { op, indexedMs, takedownRef, tags } = record;
  const { collection, rkey } = op;
  const ref = { did, collection, rkey };
  if (isRemoved(recordName.content(collection, rkey))) return;
  // One that is taken down must not be shown when it comes; a resync removes it if it is gone.
  const isHeld = takedownRef !== null && loadRecord(state, owner, ref) === undefined;
  if (isNewer || isHeld) applyRepoOp(context, { owner, did, indexedMs: Math.min(indexedMs, appendMs), deletedMs }, op);
  if (takedownRef === null && tags.length === 0) return;
  const row = loadRecord(state, owner, ref)?.row;
  if (row === undefined) return;
  const isTakenDown = row.takedownRef !== null || isRemoved(recordName.takedown(collection, rkey));
  if (takedownRef !== null && !isTakenDown) setRecordTakedown(context, owner, ref, takedownRef);
  const isTagged = row.tags !== undefined || isRemoved(recordName.tags(collection, rkey));
  if (tags.length > 0 && !isTagged) setRecordTags(context, owner, ref, tags);
}

function applyOps(
  context: ApplyContext,
  owner: number,
  entry: CommitEntry | ResyncChunkEntry,
  deletedMs: number | null,
  seenRev: string,
): void {
  // indexedAt is the event's own time, but never later than the append.
  const target = { owner, did: entry.did, indexedMs: seenMsOf(context, entry), deletedMs };
  const seen = seenRev === '' ? undefined : Buffer.from(seenRev);
  for (const op of entry.ops) {
    applyRepoOp(context, target, op);
    if (seen !== undefined) context.state.rows.put(seenKey(owner, op.collection, op.rkey), seen);
  }
}

/** Marks the repo for resync unless its rev is that of the event or a later one. */
export function applySync(context: ApplyContext, entry: SyncEntry): void {
  const owner = context.state.ensureOwner(entry.did);
  ensureActor(context.state, owner, entry.did, seenMsOf(context, entry));
  const repo = getRepo(context.state, owner);
  if (repo === undefined || repo.rev < entry.rev) markForResync(context.state, entry.did);
}

function resyncNeededKey(did: string): Buffer {
  const writer = beginSlotKey(tableCode.resyncNeeded);
  writeDid(writer, did);
  return writer.finish();
}

/** Returns whether the repo of a DID needs a resync. */
export function needsResync(state: SlotState, did: string): boolean {
  return state.rows.has(resyncNeededKey(did));
}

function markForResync(state: SlotState, did: string): void {
  state.rows.put(resyncNeededKey(did), emptyValue);
}

/**
 * Ends the snapshot of a repo of which something could not be applied, and asks for another one;
 * for none while the repo's input is suspended.
 */
export function resyncAfterFailure(state: SlotState, did: string, isSuspended: boolean): void {
  const owner = state.ownerOf(did);
  const repo = owner === undefined ? undefined : getRepo(state, owner);
  // Its end would remove what the failed part names.
  if (owner !== undefined && repo !== undefined && repo.resyncRev !== '')
    putRepo(state, owner, { ...repo, resyncRev: '' });
  if (isSuspended) state.rows.remove(resyncNeededKey(did));
  else markForResync(state, did);
}

/** Returns DIDs of this slot whose repo needs a resync, in key order after `after` ('' for all). */
export function reposToResync(state: SlotState, after: string, limit: number): string[] {
  const prefix = beginSlotKey(tableCode.resyncNeeded).finish();
  const start = after === '' ? prefix : keyAfter(resyncNeededKey(after));
  return [...state.rows.scanKeys({ start, end: prefixEnd(prefix), limit })].map((key) => readDid(readKey(key)));
}

/** The repo cannot be fetched: it is asked for no more, until its next commit. */
export function applyResyncGivenUp({ state }: ApplyContext, { did }: ResyncGivenUpEntry): void {
  const owner = state.ownerOf(did);
  const repo = owner === undefined ? undefined : getRepo(state, owner);
  if (owner === undefined || repo === undefined) return;
  state.rows.remove(resyncNeededKey(did));
  putRepo(state, owner, { ...repo, isGivenUp: true });
}

function seenKey(owner: number, collection: string, rkey: string): Buffer {
  return beginRecordKey(owner, tableCode.resyncSeen, collection, rkey).finish();
}

function seenPrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.resyncSeen).finish();
}

/** Removes what snapshots that are over have noted, if anything. */
function clearSeen(context: ApplyContext, owner: number, did: string): void {
  if (hasRows(context.state, seenPrefix(owner))) context.longWork({ type: 'clear-seen', did, after: emptyValue });
}

/** Does a step of that. Returns the rest, or undefined at its end. */
export function clearSeenStep(
  context: ApplyContext,
  work: LongWorkOf<'clear-seen'>,
): LongWorkOf<'clear-seen'> | undefined {
  const { state } = context;
  const owner = state.ownerOf(work.did);
  if (owner === undefined) return undefined;
  const current = Buffer.from(getRepo(state, owner)?.resyncRev ?? '');
  let { after } = work;
  for (const { key, value } of rowsAfter(state, seenPrefix(owner), after)) {
    if (context.workUsLeft <= 0) return { ...work, after };
    context.workUsLeft -= workCostUs.row;
    after = key;
    if (!value.equals(current)) state.rows.remove(key);
  }
  return undefined;
}

/** Begins a snapshot, instead of any in progress; one older than the repo is ignored. */
export function applyResyncBegin(context: ApplyContext, entry: ResyncBeginEntry): void {
  const { state } = context;
  const owner = state.ensureOwner(entry.did);
  ensureActor(state, owner, entry.did, seenMsOf(context, entry));
  const repo = getRepo(state, owner);
  clearDeletedAccount(state, owner);
  const isOvertaken = repo !== undefined && repo.rev > entry.rev;
  putRepo(state, owner, { ...(repo ?? freshRepo), resyncRev: isOvertaken ? '' : entry.rev });
  clearSeen(context, owner, entry.did);
}

/** Returns the repo while the snapshot of this rev is being applied; any other is ignored. */
function resyncingRepo(state: SlotState, owner: number, rev: string): RepoRow | undefined {
  const repo = getRepo(state, owner);
  return repo?.resyncRev === rev ? repo : undefined;
}

/** Drops what a snapshot in progress has noted, and the request for one: the repo is deleted. */
export function cancelResync(context: ApplyContext, owner: number, did: string): void {
  clearSeen(context, owner, did);
  context.state.rows.remove(resyncNeededKey(did));
}

/** Applies some records of the current snapshot, and notes them for its sweep. */
export function applyResyncChunk(context: ApplyContext, entry: ResyncChunkEntry): void {
  const owner = context.state.ensureOwner(entry.did);
  const repo = resyncingRepo(context.state, owner, entry.rev);
  if (repo !== undefined) applyOps(context, owner, entry, repo.deletedMs, entry.rev);
}

/** Begins the sweep of what the snapshot did not name. */
export function applyResyncEnd(context: ApplyContext, entry: ResyncEndEntry): void {
  context.state.ensureOwner(entry.did);
  context.longWork({ type: 'resync-sweep', did: entry.did, rev: entry.rev, after: emptyValue });
}

/** Does a step of the sweep. Returns the rest, or undefined when the repo is at its rev. */
export function sweepResync(
  context: ApplyContext,
  work: LongWorkOf<'resync-sweep'>,
): LongWorkOf<'resync-sweep'> | undefined {
  const { state } = context;
  const { did, rev } = work;
  const owner = state.ownerOf(did);
  const repo = owner === undefined ? undefined : resyncingRepo(state, owner, rev);
  if (owner === undefined || repo === undefined) return undefined;
  const seen = Buffer.from(rev);
  let { after } = work;
  for (const { key } of rowsAfter(state, recordPrefix(owner), after)) {
    if (context.workUsLeft <= 0) return { ...work, after };
    context.workUsLeft -= workCostUs.row;
    after = key;
    const ref = readRecordRefOfKey(did, key);
    if (state.rows.get(seenKey(owner, ref.collection, ref.rkey))?.equals(seen)) continue;
    const record = loadRecord(state, owner, ref);
    if (record === undefined) continue;
    context.workUsLeft -= workCostUs.record;
    removeRecord(context, record, context.appendMs);
  }
  putRepo(state, owner, { ...repo, rev: repo.rev > rev ? repo.rev : rev, resyncRev: '', isGivenUp: false });
  state.rows.remove(resyncNeededKey(did));
  clearSeen(context, owner, did);
  return undefined;
}
