/** Mutes of one owner: pages, newest first, and single ones. */

import { didLengthMax, parseRecordUri } from '../../atproto/compact-key.ts';
import type { GetActorMutesActorResponse, GetMutesResponse, MuteInfo } from '../../proto/generated/bsky-service.ts';
import type { MessageInput } from '../../proto/schema.ts';
import { findMute, hasListMute, type MuteScope, muteByTimePrefix, readListedMute } from '../../slot/table/mute.ts';
import { clearCount } from '../../slot/table/mute-clears.ts';
import { noOwner, type SlotState } from '../../slot/table/slot-state.ts';
import { keyToken, type PageRequest, pageLimit, walkFrom, walkRows } from '../lookup/page.ts';
import { ownerOfDid, requireWhole } from '../lookup/slot-lookup.ts';

/** Rows read for one page; while many that were cleared wait for their removal it may end early. */
const mutesReadMax = 2_000;

/** Errors: DataPlaneError `InvalidArgument` for a malformed token. */
export function mutesPage(state: SlotState, did: string, page: PageRequest): MessageInput<GetMutesResponse> {
  const limit = pageLimit(page.limit);
  const owner = ownerOfDid(state, did) ?? noOwner;
  const walk = walkFrom(muteByTimePrefix(owner), page.cursor, 'GetMutesRequest.cursor');
  if (limit === 0) return {};
  const clears = clearCount(state, owner, 'actor');
  const mutes: MuteInfo[] = [];
  let last: Buffer | null = null;
  let read = 0;
  let cursor = '';
  for (const { key, value } of walkRows(state.rows, walk, mutesReadMax + 1)) {
    const mute = readListedMute(key, value);
    if ((mute.clears === clears && mutes.length === limit) || read++ === mutesReadMax) {
      cursor = keyToken(last!, walk.prefix.length);
      break;
    }
    last = key;
    if (mute.clears === clears) mutes.push({ did: mute.subject, ...mute.scope });
  }
  if (last === null) requireWhole(state);
  return { dids: mutes.map((mute) => mute.did), mutes, cursor };
}

/** Returns the fields that say how one actor mutes another. */
export function muteFields(scope: MuteScope | undefined): MessageInput<GetActorMutesActorResponse> {
  if (scope === undefined) return {};
  const { onlyReposts, onlyQuoteposts } = scope;
  return { muted: !onlyReposts && !onlyQuoteposts, mutedOnlyReposts: onlyReposts, mutedOnlyQuoteposts: onlyQuoteposts };
}

/** Returns whether and how an owner mutes an actor. */
export function muteOf(state: SlotState, did: string, subject: string): MessageInput<GetActorMutesActorResponse> {
  const owner = ownerOfDid(state, did);
  const scope = owner === undefined || subject.length > didLengthMax ? undefined : findMute(state, owner, subject);
  if (scope === undefined) requireWhole(state);
  return muteFields(scope);
}

/** True when an owner mutes the members of the list at a URI. */
export function isListMuted(state: SlotState, did: string, listUri: string): boolean {
  const owner = ownerOfDid(state, did);
  const list = parseRecordUri(listUri);
  const isMuted = owner !== undefined && list !== undefined && hasListMute(state, owner, list);
  if (!isMuted) requireWhole(state);
  return isMuted;
}
