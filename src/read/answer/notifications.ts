/**
 * Notifications: pages by time, and the number of unread ones.
 *
 * The AppView makes the first token itself, an ISO time, and gives back unchanged what is no date.
 * So our own tokens are those of other pages: none is skipped or repeated, however many notices
 * share a millisecond.
 */
import { recordUri } from '../../atproto/compact-key.ts';
import type { GetNotificationsResponse } from '../../proto/generated/bsky-service.ts';
import type { MessageInput } from '../../proto/schema.ts';
import { getActor } from '../../slot/table/actor-row.ts';
import { isNoticeShown, type Notice, readNotice } from '../../slot/table/notice.ts';
import { noOwner, type SlotState } from '../../slot/table/slot-state.ts';
import { getUnreadCount, noticeKeyAt, noticePrefix } from '../../slot/table/unread-count.ts';
import { keyToken, type PageRequest, pageLimit, type WalkStart, walkFrom, walkRows } from '../lookup/page.ts';
import { ownerOfDid, requireWhole } from '../lookup/slot-lookup.ts';
import { rkeyOfActorEdge } from './edge-probes.ts';

/** Notices that a page shows at most. */
const shownMax = 500;
/** Notices read for one page; a page with few matches may end early, with a token. */
const scannedMax = 1_000;
const tokenField = 'GetNotificationsRequest.cursor';

type Shown = { readonly notice: Notice; readonly isPriority: boolean };
type NoticePage = { readonly shown: readonly Shown[]; readonly cursor: string };

/** Returns where a page begins: at an ISO time, after the item of our token, or at the newest. */
function startOf(owner: number, cursor: string): WalkStart {
  const prefix = noticePrefix(owner);
  const timeMs = cursor === '' ? Number.NaN : Date.parse(cursor);
  if (Number.isNaN(timeMs)) return walkFrom(prefix, cursor, tokenField);
  return { prefix, start: noticeKeyAt(owner, timeMs), after: null };
}

type Recipient = { readonly state: SlotState; readonly owner: number; readonly did: string };

function readPage({ state, owner, did }: Recipient, walk: WalkStart, limit: number, onlyPriority: boolean): NoticePage {
  const shown: Shown[] = [];
  let last: Buffer | null = null;
  let scanned = 0;
  for (const { key, value } of walkRows(state.rows, walk, scannedMax + 1)) {
    if (shown.length >= limit || scanned++ >= scannedMax) return { shown, cursor: keyToken(last!, walk.prefix.length) };
    last = key;
    const notice = readNotice(key, value, did);
    if (!isNoticeShown(state, owner, notice)) continue;
    const isPriority = rkeyOfActorEdge(state, did, 'follow', notice.source.did) !== '';
    if (isPriority || !onlyPriority) shown.push({ notice, isPriority });
  }
  if (last === null) requireWhole(state);
  return { shown, cursor: '' };
}

/** Errors: DataPlaneError `InvalidArgument` for a token that is neither a time nor ours. */
export function notificationsPage(
  state: SlotState,
  did: string,
  page: PageRequest,
  onlyPriority: boolean,
): MessageInput<GetNotificationsResponse> {
  const limit = Math.min(pageLimit(page.limit), shownMax);
  const owner = ownerOfDid(state, did) ?? noOwner;
  const walk = startOf(owner, page.cursor);
  if (limit === 0) return {};
  const { shown, cursor } = readPage({ state, owner, did }, walk, limit, onlyPriority);
  return {
    notifications: shown.map(({ notice, isPriority }) => ({
      recipientDid: did,
      uri: recordUri(notice.source),
      reason: notice.reason,
      reasonSubject: notice.subject === null ? '' : recordUri(notice.subject),
      timestamp: notice.sortMs,
      priority: isPriority,
    })),
    cursor,
  };
}

/**
 * Returns the number of notices since the actor last looked, of records that exist and are not
 * taken down, even if their subject is gone. An unknown or taken-down actor has none.
 */
export function unreadCount(state: SlotState, did: string): number {
  const owner = ownerOfDid(state, did);
  const actor = owner === undefined ? undefined : getActor(state, owner);
  if (owner === undefined || actor === undefined || actor.takedownRef !== null) return 0;
  return getUnreadCount(state, owner);
}
