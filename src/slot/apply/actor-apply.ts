/** Applies identity and account events, takedowns of accounts, and the removal of an account. */
import type { RecordRef } from '../../atproto/compact-key.ts';
import type { AccountEntry, IdentityEntry } from '../../entry/entry.ts';
import { prefixEnd } from '../../storage/environment.ts';
import {
  type ActorRow,
  ensureActor,
  getActor,
  getRepo,
  putActor,
  putIdentity,
  putRepo,
  removeActor,
  removeRepo,
} from '../table/actor-row.ts';
import { loadRecord } from '../table/applied-record.ts';
import { removeNoticesUpTo } from '../table/notice.ts';
import { readRecordRefOfKey, recordPrefix } from '../table/record-row.ts';
import { indexedMsOf } from '../table/record-view.ts';
import type { SlotState } from '../table/slot-state.ts';
import { type ApplyContext, chunkRowsMax } from './apply-context.ts';
import { removeRecord } from './record-apply.ts';
import { cancelResync } from './repo-apply.ts';

/** Sets the handle and document of a DID; an event older than the last is dropped. */
export function applyIdentity(context: ApplyContext, entry: IdentityEntry): void {
  const { state } = context;
  const owner = state.ensureOwner(entry.did);
  const before = ensureActor(state, owner, entry.did);
  if (entry.eventMs < before.identityMs) return;
  if (entry.verifiedAtMs === 0) putActor(state, owner, { ...before, identityMs: entry.eventMs });
  else applyHandle(context, owner, before, entry);
  const { keysJson, servicesJson } = entry;
  if (keysJson !== '') {
    putIdentity(state, owner, { keysJson, servicesJson, resolvedMs: entry.verifiedAtMs || entry.eventMs });
  }
}

function applyHandle(context: ApplyContext, owner: number, before: ActorRow, entry: IdentityEntry): void {
  const isHandleKept = before.handle === entry.handle;
  if (before.handle !== null && !isHandleKept) sendClaim(context, before.handle, before, false);
  const actor = { ...before, handle: entry.handle, handleVerifiedMs: entry.verifiedAtMs, identityMs: entry.eventMs };
  putActor(context.state, owner, actor);
  if (actor.handle !== null) sendClaim(context, actor.handle, actor, true);
}

/** A release carries the time of the claim that it ends, so that it beats only that claim. */
function sendClaim(context: ApplyContext, handle: string, actor: ActorRow, present: boolean): void {
  context.send({ type: 'handle-claim', handle, did: actor.did, verifiedAtMs: actor.handleVerifiedMs, present });
}

/** Statuses that the AppView distinguishes; others leave the known status. */
const knownStatuses: ReadonlySet<string> = new Set(['deactivated', 'suspended', 'takendown']);

/** Sets the account's status; a deleted account loses all that its repo contained. */
export function applyAccount(context: ApplyContext, entry: AccountEntry): void {
  const { state } = context;
  const owner = state.ensureOwner(entry.did);
  const before = ensureActor(state, owner, entry.did);
  if (entry.eventMs < before.accountMs) return;
  if (!entry.active && entry.status === 'deleted') {
    if (before.handle !== null) sendClaim(context, before.handle, before, false);
    // The actor is removed at once, so that a new account need not wait for the old one's records.
    removeActor(state, owner);
    cancelResync(state, owner, entry.did);
    putRepo(state, owner, { rev: '', resyncRev: '', deletedMs: entry.eventMs });
    return deleteAccountChunk(context, entry.did, entry.eventMs);
  }
  const isKnown = entry.active || knownStatuses.has(entry.status);
  const upstreamStatus = entry.active ? '' : entry.status;
  putActor(state, owner, {
    ...before,
    accountMs: entry.eventMs,
    upstreamStatus: isKnown ? upstreamStatus : before.upstreamStatus,
  });
}

/** Changes the row of an actor, if this slot has one. */
export function changeActor({ state }: ApplyContext, did: string, change: Partial<ActorRow>): void {
  const owner = state.ownerOf(did);
  const actor = owner === undefined ? undefined : getActor(state, owner);
  if (owner !== undefined && actor !== undefined) putActor(state, owner, { ...actor, ...change });
}

/**
 * Removes one chunk of a deleted account: records that were indexed at or before the deletion, then
 * notices that are as old. Anything newer belongs to a new account.
 */
export function deleteAccountChunk(context: ApplyContext, did: string, originMs: number): void {
  const { state } = context;
  const owner = state.ownerOf(did);
  if (owner === undefined) return;
  const refs = recordsUpTo(state, owner, did, originMs);
  for (const ref of refs) removeRecord(context, loadRecord(state, owner, ref)!, originMs);
  const noticesMax = refs.length === chunkRowsMax ? 0 : chunkRowsMax;
  const noticeCount = removeNoticesUpTo(state, owner, originMs, noticesMax);
  if (noticeCount === noticesMax) {
    return context.continueWith(did, { type: 'delete-account', originMs });
  }
  const repo = getRepo(state, owner);
  if (repo?.deletedMs !== originMs) return;
  if (repo.rev === '' && repo.resyncRev === '') removeRepo(state, owner);
  else putRepo(state, owner, { ...repo, deletedMs: null });
}

/** Returns the first records that were indexed at or before a time, at most one chunk. */
function recordsUpTo(state: SlotState, owner: number, did: string, timeMs: number): RecordRef[] {
  const prefix = recordPrefix(owner);
  const refs: RecordRef[] = [];
  for (const { key, value } of state.rows.scan({ start: prefix, end: prefixEnd(prefix) })) {
    if (indexedMsOf(value) <= timeMs) refs.push(readRecordRefOfKey(did, key));
    if (refs.length === chunkRowsMax) break;
  }
  return refs;
}
