/** Small facts about one actor: rev, takedowns, identity, handle, when it saw its notifications. */
import { parseRecordUri } from '../../atproto/compact-key.ts';
import type { GetIdentityByDidResponse } from '../../proto/generated/bsky-service.ts';
import type { MessageInput } from '../../proto/schema.ts';
import { getActor, getBlobTakedown, getIdentity, getRepo } from '../../slot/table/actor-row.ts';
import { didOfHandle } from '../../slot/table/handle-claim.ts';
import { getRecordRow } from '../../slot/table/record-row.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { getNotificationSeen } from '../../slot/table/unread-count.ts';
import { ownerOfDid, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';

/** Returns a row that was read; without one, its slot must be whole. */
function found<Row>(state: SlotState, row: Row | undefined): Row | undefined {
  if (row === undefined) requireWhole(state);
  return row;
}

/** Returns the rev of the actor's last applied commit, or ''. */
export function latestRev(state: SlotState, did: string): string {
  const owner = ownerOfDid(state, did);
  return owner === undefined ? '' : (found(state, getRepo(state, owner))?.rev ?? '');
}

/** `takedownRef` is '' when there is none. */
export type Takedown = { readonly takenDown: boolean; readonly takedownRef: string };

function takedownOf(ref: string | null | undefined): Takedown {
  return { takenDown: ref !== null && ref !== undefined && ref !== '', takedownRef: ref ?? '' };
}

/** Returns the takedown of an actor; an unknown one is not taken down. */
export function actorTakedown(state: SlotState, did: string): Takedown {
  const owner = ownerOfDid(state, did);
  return takedownOf(owner === undefined ? null : found(state, getActor(state, owner))?.takedownRef);
}

/** Returns the takedown of a record; an unknown one, or a malformed URI, is not taken down. */
export function recordTakedown(lookup: SlotLookup, uri: string): Takedown {
  const ref = parseRecordUri(uri);
  if (ref === undefined) return takedownOf(null);
  const state = lookup.stateOf(ref.did);
  const owner = ownerOfDid(state, ref.did);
  if (owner === undefined) return takedownOf(null);
  return takedownOf(found(state, getRecordRow(state, owner, ref.collection, ref.rkey))?.takedownRef);
}

/** No key has a longer handle. Units: characters. */
const handleLengthMax = 253;

/** Returns the DID of a handle in any case, or ''. */
export function didOfAskedHandle(lookup: SlotLookup, asked: string): string {
  const handle = asked.toLowerCase();
  if (handle.length > handleLengthMax) return '';
  const state = lookup.stateOf(handle);
  const did = didOfHandle(state, handle);
  if (did === undefined) requireWhole(state);
  return did ?? '';
}

/** No key has a longer CID. Units: characters. */
const cidLengthMax = 512;

/** A blob is taken down if it has a takedown's row, even one without a ref. */
export function blobTakedown(state: SlotState, did: string, cid: string): Takedown {
  const owner = cid.length > cidLengthMax ? undefined : ownerOfDid(state, did);
  const ref = owner === undefined ? undefined : found(state, getBlobTakedown(state, owner, cid));
  return { takenDown: ref !== undefined, takedownRef: ref ?? '' };
}

/** Returns when the actor last saw its notifications, if ever. Units: ms. */
export function notificationSeenMs(state: SlotState, did: string): number | undefined {
  const owner = ownerOfDid(state, did);
  return owner === undefined ? undefined : found(state, getNotificationSeen(state, owner) ?? undefined);
}

/** Returns the stored part of a DID's document; an empty answer when there is none. */
export function storedIdentity(state: SlotState, did: string): MessageInput<GetIdentityByDidResponse> {
  const owner = ownerOfDid(state, did);
  const identity = owner === undefined ? undefined : getIdentity(state, owner);
  if (owner === undefined || identity === undefined) return {};
  return {
    did,
    handle: getActor(state, owner)?.handle ?? '',
    keys: Buffer.from(identity.keysJson),
    services: Buffer.from(identity.servicesJson),
    updated: identity.resolvedMs,
  };
}
