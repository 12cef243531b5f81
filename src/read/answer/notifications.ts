/**
 * Notifications: pages by time, and the count of what is unread.
 *
 * The AppView makes the first token itself and re-parses ours as dates, so a token is a bare ISO
 * time. A page therefore ends where a millisecond ends: it may hold more than was asked for, so
 * that no notice of a millisecond is lost or given twice.
 */
import { recordUri, writeDid, writeRkey } from '../../atproto/compact-key.ts';
import { ByteWriter } from '../../base/bytes.ts';
import { writeEntryTime } from '../../base/time-bytes.ts';
import type { GetNotificationsResponse } from '../../proto/generated/bsky-service.ts';
import type { MessageInput } from '../../proto/schema.ts';
import { getActor, getNotificationSeen } from '../../slot/table/actor-row.ts';
import { incomingActorPrefix } from '../../slot/table/incoming-edge.ts';
import {
  isNoticeShown,
  type Notice,
  noticeKeyAt,
  noticePrefix,
  readNotice,
  unreadScannedMax,
} from '../../slot/table/notice.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { type PageRequest, pageLimit, refuseToken } from '../lookup/page.ts';
import { ownerOfDid } from '../lookup/slot-lookup.ts';
import { rkeyOfActorEdge } from './edge-probes.ts';

/**
 * Notices of the millisecond in which a page ends that are added beyond its limit. People do not
 * make more of them in one millisecond.
 */
const tiesMax = 2_000;
/** Notices looked at for one page; a filter that passes few gives shorter pages with a token. */
const scannedMax = 20_000;

type Shown = { readonly notice: Notice; readonly isPriority: boolean };
type NoticePage = { readonly shown: readonly Shown[]; readonly endMs: number | null };

/** Returns the time before which a page begins, or null for the newest. */
function tokenMs(cursor: string): number | null {
  if (cursor === '') return null;
  const timeMs = Date.parse(cursor);
  if (Number.isNaN(timeMs)) refuseToken('GetNotificationsRequest.cursor');
  return timeMs;
}

/** Whose notices are read. */
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

/**
 * Returns a page of notifications. Errors: DataPlaneError `InvalidArgument` for a token that is no
 * time.
 */
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

/** Keys can hold times that ISO texts cannot; those are clamped. */
function isoTime(timeMs: number): string {
  return new Date(Math.max(-8.64e15, Math.min(timeMs, 8.64e15))).toISOString();
}

const edgeWriter = new ByteWriter(256);

/**
 * True unless the record of a notice is known to be gone: `verified` and `unverified` outlive
 * theirs.
 */
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
 * Counts the notices after the time at which the owner last looked.
 *
 * Counted are those whose record exists and is not taken down, even where the record that they are
 * about is gone. An owner that was never seen, or is taken down, has none.
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
