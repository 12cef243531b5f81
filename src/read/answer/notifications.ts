/**
 * Notifications: pages by time, and the number of unread ones.
 *
 * The AppView makes the first token itself and parses ours as dates, so a token is a bare ISO time.
 * A page therefore ends with all notices of its last millisecond, which may exceed its limit: none
 * is skipped or repeated.
 */
import { recordUri, writeDid, writeRkey } from '../../atproto/compact-key.ts';
import { ByteWriter } from '../../base/bytes.ts';
import { writeEntryTime } from '../../base/time-bytes.ts';
import type { GetNotificationsResponse } from '../../proto/generated/bsky-service.ts';
import type { MessageInput } from '../../proto/schema.ts';
import { getActor, getNotificationSeen } from '../../slot/table/actor-row.ts';
import { incomingActorPrefix } from '../../slot/table/incoming-edge.ts';
import { isNoticeShown, type Notice, noticeKeyAt, noticePrefix, readNotice } from '../../slot/table/notice.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { type PageRequest, pageLimit, refuseToken } from '../lookup/page.ts';
import { ownerOfDid } from '../lookup/slot-lookup.ts';
import { rkeyOfActorEdge } from './edge-probes.ts';

/** Notices of its last millisecond that a page may have beyond its limit. */
const tiesMax = 2_000;
/** Notices read for one page; a page with few matches may end early, with a token. */
const scannedMax = 20_000;
/** Further unread notices are not counted. */
const unreadScannedMax = 100_000;

type Shown = { readonly notice: Notice; readonly isPriority: boolean };
type NoticePage = { readonly shown: readonly Shown[]; readonly endMs: number | null };

/** Returns the time before which a page begins; null for the first page. */
function tokenMs(cursor: string): number | null {
  if (cursor === '') return null;
  const timeMs = Date.parse(cursor);
  if (Number.isNaN(timeMs)) refuseToken('GetNotificationsRequest.cursor');
  return timeMs;
}

type Recipient = { readonly state: SlotState; readonly owner: number; readonly did: string };

function readPage(
  { state, owner, did }: Recipient,
  beforeMs: number | null,
  limit: number,
  onlyPriority: boolean,
): NoticePage {
  const prefix = noticePrefix(owner);
  const start = beforeMs === null ? prefixEnd(prefix) : noticeKeyAt(owner, beforeMs);
  const shown: Shown[] = [];
  let lastMs = 0;
  let scanned = 0;
  for (const { key, value } of state.rows.scan({ start, end: prefix, isReverse: true })) {
    const notice = readNotice(key, value, did);
    const isSameMs = notice.sortMs === lastMs;
    const isFull = shown.length >= limit || scanned >= scannedMax;
    if (isFull && (!isSameMs || shown.length >= limit + tiesMax)) return { shown, endMs: lastMs };
    scanned++;
    lastMs = notice.sortMs;
    if (!isNoticeShown(state, owner, notice)) continue;
    const isPriority = rkeyOfActorEdge(state, did, 'follow', notice.source.did) !== '';
    if (isPriority || !onlyPriority) shown.push({ notice, isPriority });
  }
  return { shown, endMs: null };
}

/** Errors: DataPlaneError `InvalidArgument` for a token that is not a time. */
export function notificationsPage(
  state: SlotState,
  did: string,
  page: PageRequest,
  onlyPriority: boolean,
): MessageInput<GetNotificationsResponse> {
  const limit = pageLimit(page.limit);
  const beforeMs = tokenMs(page.cursor);
  const owner = ownerOfDid(state, did);
  if (owner === undefined || limit === 0) return {};
  const { shown, endMs } = readPage({ state, owner, did }, beforeMs, limit, onlyPriority);
  return {
    notifications: shown.map(({ notice, isPriority }) => ({
      recipientDid: did,
      uri: recordUri(notice.source),
      reason: notice.reason,
      reasonSubject: notice.subject === null ? '' : recordUri(notice.subject),
      timestamp: notice.sortMs,
      priority: isPriority,
    })),
    cursor: endMs === null ? '' : isoTime(endMs),
  };
}

/** Clamps the times of keys that ISO texts cannot express. */
function isoTime(timeMs: number): string {
  return new Date(Math.max(-8.64e15, Math.min(timeMs, 8.64e15))).toISOString();
}

const edgeWriter = new ByteWriter(256);

/** True unless a notice's record is gone; only `verified` and `unverified` outlive their record. */
function isSourceThere(state: SlotState, owner: number, { reason, source, sortMs }: Notice): boolean {
  if (reason === 'unverified') return false;
  if (reason !== 'verified') return true;
  edgeWriter.clear().bytes(incomingActorPrefix(owner, 'verification'));
  writeEntryTime(edgeWriter, sortMs);
  writeDid(edgeWriter, source.did);
  writeRkey(edgeWriter, source.rkey);
  return state.rows.has(edgeWriter.finish());
}

/**
 * Counts the notices since the actor last looked, of records that exist and are not taken down,
 * even if their subject is gone. An unknown or taken-down actor has none.
 */
export function unreadCount(state: SlotState, did: string): number {
  const owner = ownerOfDid(state, did);
  const actor = owner === undefined ? undefined : getActor(state, owner);
  if (owner === undefined || actor === undefined || actor.takedownRef !== null) return 0;
  const seenMs = getNotificationSeen(state, owner);
  const prefix = noticePrefix(owner);
  const start = seenMs === null ? prefix : noticeKeyAt(owner, seenMs + 1);
  let count = 0;
  for (const { key, value } of state.rows.scan({ start, end: prefixEnd(prefix), limit: unreadScannedMax })) {
    const notice = readNotice(key, value, did);
    if (!notice.isTakenDown && isSourceThere(state, owner, notice)) count++;
  }
  return count;
}
