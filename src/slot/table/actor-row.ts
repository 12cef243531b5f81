/**
 * What is known about an owner as an account.
 *
 * (owner, actor) → DID, handle, status, takedown and the times of the last events, once the actor
 * was seen.
 * (owner, repo) → rev of the last commit, rev of a snapshot being applied, time of a deletion in
 * progress.
 * (owner, identity) → keys and services of the DID document.
 * (owner, blobTakedown, cid) → takedown ref.
 */
import { nsid } from '../../atproto/collection.ts';
import { readDid, writeDid } from '../../atproto/compact-key.ts';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { readEntryTime, timeBytes, writeEntryTime } from '../../base/time-bytes.ts';
import { countNewActor } from './new-actors.ts';
import { beginKey, emptyValue, type SlotState, tableCode } from './slot-state.ts';

export type ActorRow = {
  readonly did: string;
  /** Lower case; null when no handle proves this DID. */
  readonly handle: string | null;
  readonly handleVerifiedMs: number;
  /** Empty while active upstream, else deactivated, suspended or takendown. */
  readonly upstreamStatus: string;
  readonly takedownRef: string | null;
  /** Its verifications count. Ends with the account. */
  readonly isTrustedVerifier: boolean;
  /** Times of the last events, 0 before the first; older events are dropped. */
  readonly identityMs: number;
  readonly accountMs: number;
  /** When it was first seen, since it was last deleted. */
  readonly seenMs: number;
};

const actorVersion = 2;
const valueWriter = sharedWriter(512);

function actorKey(owner: number): Buffer {
  return beginKey(owner, tableCode.actor).finish();
}

/** Returns the actor; undefined for an owner that was only referenced, or is deleted. */
export function getActor(state: SlotState, owner: number): ActorRow | undefined {
  const value = state.rows.getVolatile(actorKey(owner));
  if (value === undefined) return undefined;
  const reader = new ByteReader(value);
  invariant(reader.u8() === actorVersion, 'an actor row has a known format version');
  const flags = reader.u8();
  return {
    did: readDid(reader),
    handle: (flags & 1) === 0 ? null : reader.text(),
    takedownRef: (flags & 2) === 0 ? null : reader.text(),
    isTrustedVerifier: (flags & 4) !== 0,
    upstreamStatus: reader.text(),
    handleVerifiedMs: readEntryTime(reader),
    identityMs: readEntryTime(reader),
    accountMs: readEntryTime(reader),
    seenMs: readEntryTime(reader),
  };
}

/** Writes the whole row; callers change a field by spreading what they read. */
export function putActor(state: SlotState, owner: number, row: ActorRow): void {
  let flags = row.isTrustedVerifier ? 4 : 0;
  if (row.handle !== null) flags |= 1;
  if (row.takedownRef !== null) flags |= 2;
  valueWriter.u8(actorVersion).u8(flags);
  writeDid(valueWriter, row.did);
  if (row.handle !== null) valueWriter.text(row.handle);
  if (row.takedownRef !== null) valueWriter.text(row.takedownRef);
  valueWriter.text(row.upstreamStatus);
  writeEntryTime(valueWriter, row.handleVerifiedMs);
  writeEntryTime(valueWriter, row.identityMs);
  writeEntryTime(valueWriter, row.accountMs);
  writeEntryTime(valueWriter, row.seenMs);
  state.rows.put(actorKey(owner), valueWriter.finish());
  noteActor(state, owner);
}

function noteActor(state: SlotState, owner: number): void {
  state.touchedOwners.add(owner);
  state.searchChanges?.look(owner, nsid.profile, 'self');
}

/** Removes an account: actor, repo, identity, age, tags. Records, edges, private data stay. */
export function removeActor(state: SlotState, owner: number): void {
  noteActor(state, owner);
  const actor = getActor(state, owner);
  if (actor !== undefined) countNewActor(state, actor.seenMs, -1);
  removeRepo(state, owner);
  for (const table of [tableCode.actor, tableCode.identity, tableCode.ageAssurance, tableCode.actorTags])
    state.rows.remove(beginKey(owner, table).finish());
}

/** Returns the actor, creating the row of one that is first seen at `seenMs`. */
export function ensureActor(state: SlotState, owner: number, did: string, seenMs: number): ActorRow {
  const known = getActor(state, owner);
  if (known !== undefined) return known;
  const fresh = {
    did,
    handle: null,
    handleVerifiedMs: 0,
    upstreamStatus: '',
    takedownRef: null,
    isTrustedVerifier: false,
    identityMs: 0,
    accountMs: 0,
    seenMs,
  };
  putActor(state, owner, fresh);
  countNewActor(state, seenMs, 1);
  return fresh;
}

/**
 * How far a repo is applied. `rev` is empty before the first commit, `resyncRev` while no snapshot
 * is being applied. `deletedMs` is when the account was deleted, while earlier records may remain.
 * `isGivenUp`: it is incomplete and could not be fetched, until a commit shows that it is alive.
 */
export type RepoRow = {
  readonly rev: string;
  readonly resyncRev: string;
  readonly deletedMs: number | null;
  readonly isGivenUp: boolean;
};

/** Returns how far the repo is applied, or undefined before its first commit or snapshot. */
export function getRepo(state: SlotState, owner: number): RepoRow | undefined {
  const value = state.ownerRow(owner, tableCode.repo);
  if (value === undefined) return undefined;
  const reader = new ByteReader(value);
  return {
    rev: reader.text(),
    resyncRev: reader.text(),
    deletedMs: reader.remaining < timeBytes ? null : readEntryTime(reader),
    isGivenUp: reader.remaining > 0,
  };
}

/** Stores how far the repo is applied. */
export function putRepo(state: SlotState, owner: number, row: RepoRow): void {
  valueWriter.text(row.rev).text(row.resyncRev);
  if (row.deletedMs !== null) writeEntryTime(valueWriter, row.deletedMs);
  if (row.isGivenUp) valueWriter.u8(1);
  state.putOwnerRow(owner, tableCode.repo, valueWriter.finish());
}

/** Removes the repo's row, so that its next commit counts as its first. */
export function removeRepo(state: SlotState, owner: number): void {
  state.putOwnerRow(owner, tableCode.repo, emptyValue);
}

/** The DID document when it was last resolved: JSON objects by fragment id, as they are served. */
export type IdentityRow = { readonly keysJson: string; readonly servicesJson: string; readonly resolvedMs: number };

/** Returns the keys and services of the DID document; undefined when none was ever resolved. */
export function getIdentity(state: SlotState, owner: number): IdentityRow | undefined {
  const value = state.rows.getVolatile(beginKey(owner, tableCode.identity).finish());
  if (value === undefined) return undefined;
  const reader = new ByteReader(value);
  return { resolvedMs: readEntryTime(reader), keysJson: reader.text(), servicesJson: reader.text() };
}

/** Replaces the keys and services of the DID document. */
export function putIdentity(state: SlotState, owner: number, row: IdentityRow): void {
  writeEntryTime(valueWriter, row.resolvedMs);
  valueWriter.text(row.keysJson).text(row.servicesJson);
  state.rows.put(beginKey(owner, tableCode.identity).finish(), valueWriter.finish());
}

function blobTakedownKey(owner: number, cid: string): Buffer {
  return beginKey(owner, tableCode.blobTakedown).text(cid).finish();
}

/** Returns the takedown ref of a blob, which may be empty; undefined when it is not taken down. */
export function getBlobTakedown(state: SlotState, owner: number, cid: string): string | undefined {
  return state.rows.get(blobTakedownKey(owner, cid))?.utf8Slice();
}

/** Takes a blob down or, with a `ref` of null, lifts the takedown. The blob need not be known. */
export function setBlobTakedown(state: SlotState, owner: number, cid: string, ref: string | null): void {
  if (ref === null) state.rows.remove(blobTakedownKey(owner, cid));
  else state.rows.put(blobTakedownKey(owner, cid), Buffer.from(ref));
}
