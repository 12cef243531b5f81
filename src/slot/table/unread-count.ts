/**
 * How many of an owner's notices are unread: kept with each notice that comes or goes, not counted.
 *
 * (owner, notificationSeen) → flags, count, seen time, the key at which a recount goes on.
 *
 * A notice is unread while its row says that its record exists and is not taken down, and it is
 * newer than the seen time. That time only moves forward. What it passes leaves the count: at once
 * if there is little of it, or little that is newer; else in long work, each step of which
 * moves `recountFrom`. Until the last of them the count is too high by what is left to pass.
 */
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, storedTime, timeAt, writeEntryTime } from '../../base/time-bytes.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { beginKey, keyHeadBytes, type SlotState, tableCode } from './slot-state.ts';

type SeenRow = {
  /** null before the owner first looked. Units: ms. */
  readonly seenMs: number | null;
  readonly unreadCount: number;
  /** Notices below this key are not in the count; null unless a recount goes on. */
  readonly recountFrom: Buffer | null;
  /** Bits of `ownerMark`. */
  readonly marks: number;
};

const flag = { seen: 1, recount: 2 } as const;
/**
 * What else is known of the owner, in the flags of this row, since each notice reads it: that it
 * has muted a thread, and that it asks for notifications of those it follows alone.
 */
export const ownerMark = { mutesThreads: 4, prefersFollowed: 8 } as const;
const markMask = ownerMark.mutesThreads | ownerMark.prefersFollowed;
/** Offsets in the value. */
const [countAt, timeAfterCount] = [1, 5];
const none: SeenRow = { seenMs: null, unreadCount: 0, recountFrom: null, marks: 0 };
const valueWriter = sharedWriter(128);

/** Notices that one entry reads, on either side of a new seen time. */
export const recountRowsMax = 1_000;

/** The bits of a notice's first byte that keep it from being counted. */
export const uncountedNotice = { takenDown: 1, recordGone: 2 } as const;
const uncountedMask = uncountedNotice.takenDown | uncountedNotice.recordGone;

/** True for the row of a notice that is unread unless it was seen. */
export function isNoticeCounted(value: Buffer): boolean {
  return (value[0]! & uncountedMask) === 0;
}

/** Returns the prefix of all of an owner's notices, which ascend by time. */
export function noticePrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.notice).finish();
}

/** Returns the first key of an owner's notices at or after a time. */
export function noticeKeyAt(owner: number, timeMs: number): Buffer {
  const key = beginKey(owner, tableCode.notice);
  writeEntryTime(key, timeMs);
  return key.finish();
}

/** Returns the key of an owner's row. */
export function seenKey(owner: number): Buffer {
  return beginKey(owner, tableCode.notificationSeen).finish();
}

function getSeenRow(state: SlotState, owner: number): SeenRow {
  const value = state.ownerRow(owner, tableCode.notificationSeen);
  if (value === undefined) return none;
  const reader = new ByteReader(value);
  const flags = reader.u8();
  const unreadCount = reader.u32();
  const seenMs = (flags & flag.seen) === 0 ? null : readEntryTime(reader);
  const marks = flags & markMask;
  if ((flags & flag.recount) === 0) return { seenMs, unreadCount, recountFrom: null, marks };
  const rest = reader.bytes(reader.remaining);
  return { seenMs, unreadCount, recountFrom: Buffer.concat([noticePrefix(owner), rest]), marks };
}

function putSeenRow(state: SlotState, owner: number, { seenMs, unreadCount, recountFrom, marks }: SeenRow): void {
  const flags = (seenMs === null ? 0 : flag.seen) | (recountFrom === null ? 0 : flag.recount);
  valueWriter.u8(flags | marks).u32(unreadCount);
  if (seenMs !== null) writeEntryTime(valueWriter, seenMs);
  if (recountFrom !== null) valueWriter.bytes(recountFrom.subarray(keyHeadBytes));
  state.putOwnerRow(owner, tableCode.notificationSeen, valueWriter.finish());
}

/** Returns the first key that is in the count. */
function countedFrom(owner: number, { seenMs, recountFrom }: SeenRow): Buffer {
  return recountFrom ?? (seenMs === null ? noticePrefix(owner) : noticeKeyAt(owner, seenMs + 1));
}

/** Returns when the owner last saw its notifications, or null if never. Units: ms. */
export function getNotificationSeen(state: SlotState, owner: number): number | null {
  return getSeenRow(state, owner).seenMs;
}

/** Returns how many of the owner's notices are unread. */
export function getUnreadCount(state: SlotState, owner: number): number {
  return state.ownerRow(owner, tableCode.notificationSeen)?.readUInt32BE(countAt) ?? 0;
}

/** Returns the owner's row among those that the transaction will write. */
function changedRow(state: SlotState, owner: number): Buffer {
  return state.changedOwnerRow(owner, tableCode.notificationSeen, timeAfterCount);
}

/** Returns whether the owner has a mark; what its next notice reads is read for that too. */
export function hasOwnerMark(state: SlotState, owner: number, mark: number): boolean {
  return (changedRow(state, owner)[0]! & mark) !== 0;
}

/** The same for a reader. */
export function isOwnerMarked(state: SlotState, owner: number, mark: number): boolean {
  return ((state.rows.getVolatile(seenKey(owner))?.[0] ?? 0) & mark) !== 0;
}

/** Sets or clears a mark. */
export function setOwnerMark(state: SlotState, owner: number, mark: number, isSet: boolean): void {
  const row = changedRow(state, owner);
  row[0] = isSet ? row[0]! | mark : row[0]! & ~mark;
}

/** Adds to the count when a counted notice at `key` comes or goes, unless it was seen. */
export function changeUnreadCount(state: SlotState, owner: number, key: Buffer, change: 1 | -1): void {
  const row = changedRow(state, owner);
  const flags = row[0]!;
  if ((flags & flag.recount) !== 0) {
    if (key.compare(countedFrom(owner, getSeenRow(state, owner))) < 0) return;
  } else if ((flags & flag.seen) !== 0 && timeAt(key, keyHeadBytes) < storedTime(timeAt(row, timeAfterCount) + 1))
    return;
  row.writeUInt32BE(Math.max(0, row.readUInt32BE(countAt) + change), countAt);
}

type Recount = { readonly counted: number; readonly next: Buffer | null };

/** Counts notices from `start` up to `end`; `next` is where it stopped, null at the end. */
function countNotices(state: SlotState, start: Buffer, end: Buffer): Recount {
  let counted = 0;
  let left = recountRowsMax;
  for (const { key, value } of state.rows.scan({ start, end, limit: recountRowsMax + 1 })) {
    if (left-- === 0) return { counted, next: key };
    if (isNoticeCounted(value)) counted++;
  }
  return { counted, next: null };
}

/** Takes one chunk of what is seen out of the count. Returns whether there is more. */
function passSeen(state: SlotState, owner: number, from: Buffer, row: SeenRow & { readonly seenMs: number }): boolean {
  const { counted, next } = countNotices(state, from, noticeKeyAt(owner, row.seenMs + 1));
  const unreadCount = Math.max(0, row.unreadCount - counted);
  putSeenRow(state, owner, { ...row, unreadCount, recountFrom: next });
  return next !== null;
}

/**
 * Moves the seen time forward; an earlier one changes nothing.
 *
 * Returns: true when a recount begins that `recountUnread` must go on with.
 */
export function putNotificationSeen(state: SlotState, owner: number, seenMs: number): boolean {
  const before = getSeenRow(state, owner);
  if (before.seenMs !== null && before.seenMs >= seenMs) return false;
  const newer = countNotices(state, noticeKeyAt(owner, seenMs + 1), prefixEnd(noticePrefix(owner)));
  if (newer.next === null) {
    putSeenRow(state, owner, { seenMs, unreadCount: newer.counted, recountFrom: null, marks: before.marks });
    return false;
  }
  const hasMore = passSeen(state, owner, countedFrom(owner, before), { ...before, seenMs });
  return hasMore && before.recountFrom === null;
}

/** Goes on with a recount, if there is one. Returns whether there is more. */
export function recountUnread(state: SlotState, owner: number): boolean {
  const row = getSeenRow(state, owner);
  const { seenMs, recountFrom } = row;
  return seenMs !== null && recountFrom !== null && passSeen(state, owner, recountFrom, { ...row, seenMs });
}
