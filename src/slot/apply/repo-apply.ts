/**
 * Applies what happens to a repo as a whole: commits in rev order, and snapshots of it.
 *
 * A commit at or below the repo's rev changes nothing. One that does not follow on the rev that we hold is applied and the repo is
 * marked for resync. A snapshot comes as begin, chunks, end: what the chunks name is kept or brought up to date, and the
 * end sweeps away what they did not name. (owner, resyncSeen, collection, rkey) → nothing, only while a snapshot is read in.
 */
import { readDid, writeCollection, writeDid, writeRkey } from '../../atproto/compact-key.ts';
import type { CommitEntry, ResyncBeginEntry, ResyncChunkEntry, ResyncEndEntry, SyncEntry } from '../../entry/entry.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { ensureActor, getRepo, putRepo, type RepoRow } from '../table/actor-row.ts';
import { loadRecord } from '../table/applied-record.ts';
import { readRecordRefOfKey, recordPrefix } from '../table/record-row.ts';
import { beginKey, beginSlotKey, readKey, type SlotState, tableCode } from '../table/slot-state.ts';
import { type ApplyContext, chunkRowsMax } from './apply-context.ts';
import { applyRepoOp, removeRecord } from './record-apply.ts';

const nothing = Buffer.alloc(0);
const freshRepo: RepoRow = { rev: '', resyncRev: '', deletedMs: null };

/** indexedAt is the event's own time, but never later than the append. */
function clampedToAppend(context: ApplyContext, eventMs: number): number {
  return Math.min(eventMs, context.appendMs);
}

/**
 * Applies a commit's operations and moves the repo to its rev; a commit at or below that rev changes nothing.
 *
 * One whose `since` is above the repo's rev is applied all the same, and the repo is marked for resync for what was missed.
 */
export function applyCommit(context: ApplyContext, entry: CommitEntry): void {
  const { state } = context;
  const owner = state.ensureOwner(entry.did);
  const repo = getRepo(state, owner);
  if (repo !== undefined && entry.rev <= repo.rev) return;
  // A repo has a rev only once its actor has a row, and loses it with that.
  const isKnown = repo !== undefined && (repo.rev !== '' || repo.resyncRev !== '');
  if (!isKnown) ensureActor(state, owner, entry.did);
  if (isKnown && entry.since !== null && entry.since > repo.rev) markForResync(state, entry.did);
  const indexedMs = clampedToAppend(context, entry.timeMs);
  const { resyncRev, deletedMs } = repo ?? freshRepo;
  for (const op of entry.ops) {
    applyRepoOp(context, owner, entry.did, op, indexedMs, deletedMs);
    // What a later commit wrote is no business of a snapshot whose sweep is still on its way.
    if (resyncRev !== '') state.rows.put(seenKey(owner, op.collection, op.rkey), nothing);
  }
  putRepo(state, owner, { rev: entry.rev, resyncRev, deletedMs });
}

/** Marks the repo for resync unless it already stands at the rev that the event names, or above it. */
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
  state.rows.put(resyncNeededKey(did), nothing);
}

/** Returns DIDs of this slot whose repo needs a resync; at most `limit`. */
export function reposToResync(state: SlotState, limit: number): string[] {
  const start = beginSlotKey(tableCode.resyncNeeded).finish();
  return [...state.rows.scanKeys({ start, end: prefixEnd(start), limit })].map((key) => readDid(readKey(key)));
}

function seenPrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.resyncSeen).finish();
}

function seenKey(owner: number, collection: string, rkey: string): Buffer {
  const key = beginKey(owner, tableCode.resyncSeen);
  writeCollection(key, collection);
  writeRkey(key, rkey);
  return key.finish();
}

function clearSeen(state: SlotState, owner: number): void {
  const prefix = seenPrefix(owner);
  const keys = [...state.rows.scanKeys({ start: prefix, end: prefixEnd(prefix) })];
  for (const key of keys) state.rows.remove(key);
}

/** Begins to read in a snapshot, in place of any that was under way; one that commits have overtaken is passed over. */
export function applyResyncBegin(context: ApplyContext, entry: ResyncBeginEntry): void {
  const { state } = context;
  const owner = state.ensureOwner(entry.did);
  ensureActor(state, owner, entry.did);
  const repo = getRepo(state, owner);
  clearSeen(state, owner);
  // A snapshot that commits have overtaken is not read in, nor is what was left of one before it.
  const isOvertaken = repo !== undefined && repo.rev > entry.rev;
  putRepo(state, owner, { ...(repo ?? freshRepo), resyncRev: isOvertaken ? '' : entry.rev });
}

/** Returns the repo while the snapshot of this rev is being read into it; chunks of any other are left alone. */
function repoReadingIn(state: SlotState, owner: number, rev: string): RepoRow | undefined {
  const repo = getRepo(state, owner);
  return repo?.resyncRev === rev ? repo : undefined;
}

/** Forgets a snapshot that is being read in, and that one is needed: the repo has gone. */
export function forgetResync(state: SlotState, owner: number, did: string): void {
  clearSeen(state, owner);
  state.rows.remove(resyncNeededKey(did));
}

/** Applies some records of the snapshot that is being read in, and notes them as named by it. */
export function applyResyncChunk(context: ApplyContext, entry: ResyncChunkEntry): void {
  const { state } = context;
  const owner = state.ensureOwner(entry.did);
  const repo = repoReadingIn(state, owner, entry.rev);
  if (repo === undefined) return;
  const indexedMs = clampedToAppend(context, entry.timeMs);
  for (const op of entry.ops) {
    applyRepoOp(context, owner, entry.did, op, indexedMs, repo.deletedMs);
    state.rows.put(seenKey(owner, op.collection, op.rkey), nothing);
  }
}

/** Begins the sweep of what the snapshot did not name; it goes on in entries of its own when there is much. */
export function applyResyncEnd(context: ApplyContext, entry: ResyncEndEntry): void {
  const owner = context.state.ensureOwner(entry.did);
  if (repoReadingIn(context.state, owner, entry.rev) === undefined) return;
  sweepResync(context, entry.did, entry.rev, '');
}

/** Removes one chunk of the records that the snapshot did not name; after the last, the repo stands at the snapshot's rev. */
export function sweepResync(context: ApplyContext, did: string, rev: string, after: string): void {
  const { state } = context;
  const owner = state.ownerOf(did);
  const repo = owner === undefined ? undefined : repoReadingIn(state, owner, rev);
  if (owner === undefined || repo === undefined) return;
  const prefix = recordPrefix(owner);
  const start = after === '' ? prefix : Buffer.concat([Buffer.from(after, 'hex'), Buffer.from([0])]);
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
