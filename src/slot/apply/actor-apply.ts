/** Applies identity and account events, takedowns of accounts, and the removal of an account. */
import type { AccountEntry, IdentityEntry } from '../../entry/entry.ts';
import { unmarkAskedAbout } from '../table/actor-counts.ts';
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
import { gateFactPrefix } from '../table/gate-fact.ts';
import { policyPrefix } from '../table/gate-policy.ts';
import { noteDeletedAccount } from '../table/import-note.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import { putNoticesRemovedUpTo, removeNoticesUpTo } from '../table/notice.ts';
import { duplicatesPrefix } from '../table/outgoing-edge.ts';
import { readRecordRefOfKey, recordPrefix } from '../table/record-row.ts';
import { indexedMsOf } from '../table/record-view.ts';
import { emptyValue } from '../table/slot-state.ts';
import { type ApplyContext, seenMsOf, workCostUs } from './apply-context.ts';
import { removeRecord } from './record-apply.ts';
import { cancelResync } from './repo-apply.ts';
import { hasRows, rowsAfter } from './rows-after.ts';

/** Sets the handle and document of a DID; an event older than the last is dropped. */
export function applyIdentity(context: ApplyContext, entry: IdentityEntry): void {
  const { state } = context;
  const owner = state.ensureOwner(entry.did);
  const before = ensureActor(state, owner, entry.did, seenMsOf(context, entry));
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

/** Sends again the claim of an actor's handle. */
export function restateActor(context: ApplyContext, actor: ActorRow): void {
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
  const before = ensureActor(state, owner, entry.did, seenMsOf(context, entry));
  if (entry.eventMs < before.accountMs) return;
  if (!entry.active && entry.status === 'deleted') {
    if (before.handle !== null) sendClaim(context, before.handle, before, false);
    // The actor is removed at once, so that a new account need not wait for the old one's records.
    removeActor(state, owner);
    putNoticesRemovedUpTo(state, owner, entry.eventMs);
    noteDeletedAccount(state, owner, entry.eventMs);
    putRepo(state, owner, { rev: '', resyncRev: '', deletedMs: entry.eventMs, isGivenUp: false });
    cancelResync(context, owner, entry.did);
    const { did, eventMs: originMs } = entry;
    return context.longWork({ type: 'delete-account', did, originMs, after: emptyValue });
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

/** Removes what gates of a deleted account have said and asked. Returns false when some is left. */
function removeGateRows(context: ApplyContext, owner: number): boolean {
  const { rows } = context.state;
  for (const prefix of [policyPrefix(owner), gateFactPrefix(owner)]) {
    for (const { key } of rowsAfter(context.state, prefix, emptyValue)) {
      if (context.workUsLeft <= 0) return false;
      context.workUsLeft -= workCostUs.row;
      rows.remove(key);
    }
  }
  unmarkAskedAbout(context.state, owner);
  return true;
}

/** Notices of a deleted account that are removed at once. */
const noticesPerRead = 64;

/** Removes records that were indexed up to a deletion. Returns the key of the last one seen. */
function removeRecordsStep(context: ApplyContext, owner: number, work: LongWorkOf<'delete-account'>): Buffer {
  const { state } = context;
  const { did, originMs } = work;
  let { after } = work;
  for (const { key, value } of rowsAfter(state, recordPrefix(owner), after)) {
    if (context.workUsLeft <= 0) return after;
    context.workUsLeft -= workCostUs.row;
    after = key;
    if (indexedMsOf(value) > originMs) continue;
    context.workUsLeft -= workCostUs.record;
    const record = loadRecord(state, owner, readRecordRefOfKey(did, key));
    if (record !== undefined) removeRecord(context, record, originMs);
  }
  return after;
}

/**
 * Does a step of removing a deleted account: records that were indexed at or before the deletion,
 * then notices that are as old. Anything newer belongs to a new account.
 *
 * Returns: the rest, or undefined at its end.
 */
export function deleteAccountStep(
  context: ApplyContext,
  work: LongWorkOf<'delete-account'>,
): LongWorkOf<'delete-account'> | undefined {
  const { state } = context;
  const { did, originMs } = work;
  const owner = state.ownerOf(did);
  if (owner === undefined) return undefined;
  // One look for all of the step's edges, since a removal adds no duplicate.
  context.ownerWithoutDuplicates = hasRows(state, duplicatesPrefix(owner)) ? null : owner;
  let after = work.after;
  try {
    after = removeRecordsStep(context, owner, work);
  } finally {
    context.ownerWithoutDuplicates = null;
  }
  if (context.workUsLeft <= 0) return { ...work, after };
  for (let count = noticesPerRead; count === noticesPerRead; ) {
    if (context.workUsLeft <= 0) return { ...work, after };
    count = removeNoticesUpTo(state, owner, originMs, noticesPerRead);
    context.workUsLeft -= count * 2 * workCostUs.row;
  }
  const repo = getRepo(state, owner);
  if (repo === undefined || repo.deletedMs === null || repo.deletedMs > originMs) return undefined;
  // A new account may have gates of its own already.
  const isNew = repo.rev !== '' || repo.resyncRev !== '';
  if (!isNew && !removeGateRows(context, owner)) return { ...work, after };
  if (!isNew) removeRepo(state, owner);
  else putRepo(state, owner, { ...repo, deletedMs: null });
  return undefined;
}
