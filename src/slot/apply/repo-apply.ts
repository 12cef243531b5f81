/**
 * Applies what happens to a repo as a whole: commits in rev order, and snapshots of it.
 *
 * A commit at or below the repo's rev changes nothing. One that does not follow the repo's rev is
 * applied, and the repo is marked for resync. A snapshot comes as begin, chunks and end: records
 * that the chunks name are kept or updated, and the end removes all others.
 * (owner, resyncSeen, collection, rkey) → nothing, only while a snapshot is being applied.
 */
import { readDid, writeDid } from '../../atproto/compact-key.ts';
import type { CommitEntry, ResyncBeginEntry, ResyncChunkEntry, ResyncEndEntry, SyncEntry } from '../../entry/entry.ts';
import { keyAfter, prefixEnd } from '../../storage/environment.ts';
import { ensureActor, getRepo, putRepo, type RepoRow } from '../table/actor-row.ts';
import { loadRecord } from '../table/applied-record.ts';
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
import { type ApplyContext, chunkRowsMax } from './apply-context.ts';
import { applyRepoOp, removeRecord } from './record-apply.ts';

const freshRepo: RepoRow = { rev: '', resyncRev: '', deletedMs: null };

/** Applies a commit and moves the repo to its rev; one at or below that rev changes nothing. */
export function applyCommit(context: ApplyContext, entry: CommitEntry): void {
  const { state } = context;
  const owner = state.ensureOwner(entry.did);
  const repo = getRepo(state, owner);
  if (repo !== undefined && entry.rev <= repo.rev) return;
  // A repo has a rev only while its actor has a row.
  const isKnown = repo !== undefined && (repo.rev !== '' || repo.resyncRev !== '');
  if (!isKnown) ensureActor(state, owner, entry.did);
  // The commit is applied all the same; the resync brings what was missed.
  if (isKnown && entry.since !== null && entry.since > repo.rev) markForResync(state, entry.did);
  const { resyncRev, deletedMs } = repo ?? freshRepo;
  // The sweep of an older snapshot must spare what this commit writes.
  applyOps(context, owner, entry, deletedMs, resyncRev !== '');
  putRepo(state, owner, { rev: entry.rev, resyncRev, deletedMs });
}

function applyOps(
  context: ApplyContext,
  owner: number,
  entry: CommitEntry | ResyncChunkEntry,
  deletedMs: number | null,
  isSeen: boolean,
): void {
  // indexedAt is the event's own time, but never later than the append.
  const target = { owner, did: entry.did, indexedMs: Math.min(entry.eventMs, context.appendMs), deletedMs };
  for (const op of entry.ops) {
    applyRepoOp(context, target, op);
    if (isSeen) context.state.rows.put(seenKey(owner, op.collection, op.rkey), emptyValue);
  }
}

/** Marks the repo for resync unless its rev is that of the event or a later one. */
export function applySync(context: ApplyContext, entry: SyncEntry): void {
  const owner = context.state.ensureOwner(entry.did);
  ensureActor(context.state, owner, entry.did);
  const repo = getRepo(context.state, owner);
  if (repo === undefined || repo.rev < entry.rev) markForResync(context.state, entry.did);
}

function resyncNeededKey(did: string): Buffer {
  const writer = beginSlotKey(tableCode.resyncNeeded);
  writeDid(writer, did);
  return writer.finish();
}

function markForResync(state: SlotState, did: string): void {
  state.rows.put(resyncNeededKey(did), emptyValue);
}

/** Returns DIDs of this slot whose repo needs a resync; at most `limit`. */
export function reposToResync(state: SlotState, limit: number): string[] {
  const start = beginSlotKey(tableCode.resyncNeeded).finish();
  return [...state.rows.scanKeys({ start, end: prefixEnd(start), limit })].map((key) => readDid(readKey(key)));
}

function seenKey(owner: number, collection: string, rkey: string): Buffer {
  return beginRecordKey(owner, tableCode.resyncSeen, collection, rkey).finish();
}

function clearSeen(state: SlotState, owner: number): void {
  const prefix = beginKey(owner, tableCode.resyncSeen).finish();
  const keys = [...state.rows.scanKeys({ start: prefix, end: prefixEnd(prefix) })];
  for (const key of keys) state.rows.remove(key);
}

/** Begins a snapshot, instead of any in progress; one older than the repo is ignored. */
export function applyResyncBegin(context: ApplyContext, entry: ResyncBeginEntry): void {
  const { state } = context;
  const owner = state.ensureOwner(entry.did);
  ensureActor(state, owner, entry.did);
  const repo = getRepo(state, owner);
  clearSeen(state, owner);
  const isOvertaken = repo !== undefined && repo.rev > entry.rev;
  putRepo(state, owner, { ...(repo ?? freshRepo), resyncRev: isOvertaken ? '' : entry.rev });
}

/** Returns the repo while the snapshot of this rev is being applied; any other is ignored. */
function resyncingRepo(state: SlotState, owner: number, rev: string): RepoRow | undefined {
  const repo = getRepo(state, owner);
  return repo?.resyncRev === rev ? repo : undefined;
}

/** Drops what a snapshot in progress has noted, and the request for one: the repo is deleted. */
export function cancelResync(state: SlotState, owner: number, did: string): void {
  clearSeen(state, owner);
  state.rows.remove(resyncNeededKey(did));
}

/** Applies some records of the current snapshot, and notes them for its sweep. */
export function applyResyncChunk(context: ApplyContext, entry: ResyncChunkEntry): void {
  const owner = context.state.ensureOwner(entry.did);
  const repo = resyncingRepo(context.state, owner, entry.rev);
  if (repo !== undefined) applyOps(context, owner, entry, repo.deletedMs, true);
}

/** Begins the sweep of what the snapshot did not name. */
export function applyResyncEnd(context: ApplyContext, entry: ResyncEndEntry): void {
  context.state.ensureOwner(entry.did);
  sweepResync(context, entry.did, entry.rev, '');
}

/** Removes one chunk of what the snapshot did not name; after the last, the repo is at its rev. */
export function sweepResync(context: ApplyContext, did: string, rev: string, after: string): void {
  const { state } = context;
  const owner = state.ownerOf(did);
  const repo = owner === undefined ? undefined : resyncingRepo(state, owner, rev);
  if (owner === undefined || repo === undefined) return;
  const prefix = recordPrefix(owner);
  const start = after === '' ? prefix : keyAfter(Buffer.from(after, 'hex'));
  const keys = [...state.rows.scanKeys({ start, end: prefixEnd(prefix), limit: chunkRowsMax })];
  for (const key of keys) {
    const ref = readRecordRefOfKey(did, key);
    if (state.rows.has(seenKey(owner, ref.collection, ref.rkey))) continue;
    const record = loadRecord(state, owner, ref);
    if (record !== undefined) removeRecord(context, record, context.appendMs);
  }
  const last = keys.at(-1);
  if (last !== undefined && keys.length === chunkRowsMax) {
    return context.continueWith(did, { type: 'resync-sweep', rev, after: last.toString('hex') });
  }
  clearSeen(state, owner);
  putRepo(state, owner, { ...repo, rev: repo.rev > rev ? repo.rev : rev, resyncRev: '' });
  state.rows.remove(resyncNeededKey(did));
}
