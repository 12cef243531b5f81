/**
 * Notifications: (owner, notice, sort time, class, source record) → flags, reasons with their subjects.
 *
 * A post has one row whatever it does to the recipient (class 0): each slot that has something to say (the author's for mentions,
 * the quoted author's, the root's for replies) sets and clears its own reason, and the highest of mention, quote, reply is shown.
 * Every other reason is a class of its own.
 */
import {
  type RecordRef,
  readCollection,
  readDid,
  readRkey,
  recordUri,
  writeCollection,
  writeDid,
  writeRkey,
} from '../atproto/compact-key.ts';
import { readEntryTime, writeEntryTime } from '../atproto/entry-time.ts';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { prefixEnd } from '../storage/environment.ts';
import { hasRecord } from './record-row.ts';
import { beginKey, readKey, type SlotState, tableCode } from './slot-state.ts';

/** Reasons of posts, the highest first. The order is part of the stored format. */
const postReasons = ['mention', 'quote', 'reply'] as const;
/** Classes of all other reasons; the index is part of the stored format, append only. */
const ownClassReasons = [
  '',
  'like',
  'repost',
  'follow',
  'like-via-repost',
  'repost-via-repost',
  'starterpack-joined',
  'verified',
  'unverified',
] as const;

/** `subject` is a record of the recipient, or null where the reason has none. */
export type Notice = {
  readonly source: RecordRef;
  readonly reason: string;
  readonly subject: RecordRef | null;
  readonly sortMs: number;
  readonly isTakenDown: boolean;
};

type NoticeRow = { isTakenDown: boolean; subjectByReason: Map<string, RecordRef | null> };

const noticeVersion = 1;
const valueWriter = new ByteWriter(256);

function classOf(reason: string): number {
  if ((postReasons as readonly string[]).includes(reason)) return 0;
  const index = (ownClassReasons as readonly string[]).indexOf(reason);
  invariant(index > 0, 'a notification reason is one that has a class');
  return index;
}

function noticeKey(owner: number, sortMs: number, noticeClass: number, source: RecordRef): Buffer {
  const key = beginKey(owner, tableCode.notice);
  writeEntryTime(key, sortMs);
  writeDid(key.u8(noticeClass), source.did);
  writeCollection(key, source.collection);
  writeRkey(key, source.rkey);
  return key.finish();
}

export function noticePrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.notice).finish();
}

/** Returns the first key of an owner's notices at or after a time. */
export function noticeKeyAt(owner: number, timeMs: number): Buffer {
  const key = beginKey(owner, tableCode.notice);
  writeEntryTime(key, timeMs);
  return key.finish();
}

/** Subjects are the recipient's own records, so only their collection and rkey are kept; its DID is the row's owner. */
function encodeRow(row: NoticeRow): Buffer {
  valueWriter
    .u8(noticeVersion)
    .u8(row.isTakenDown ? 1 : 0)
    .u8(row.subjectByReason.size);
  for (const [reason, subject] of row.subjectByReason) {
    const noticeClass = classOf(reason);
    valueWriter.u8(noticeClass === 0 ? 128 + (postReasons as readonly string[]).indexOf(reason) : noticeClass);
    if (subject === null) {
      valueWriter.u8(0);
      continue;
    }
    valueWriter.u8(1);
    writeCollection(valueWriter, subject.collection);
    writeRkey(valueWriter, subject.rkey);
  }
  return valueWriter.finish();
}

function decodeRow(value: Buffer, recipient: string): NoticeRow {
  const reader = new ByteReader(value);
  invariant(reader.u8() === noticeVersion, 'a notice row has a known format version');
  const isTakenDown = reader.u8() === 1;
  const subjectByReason = new Map<string, RecordRef | null>();
  for (let left = reader.u8(); left > 0; left--) {
    const code = reader.u8();
    const reason = code >= 128 ? postReasons[code - 128] : ownClassReasons[code];
    invariant(reason !== undefined, 'a stored notice reason is one that was given out');
    subjectByReason.set(
      reason,
      reader.u8() === 0 ? null : { did: recipient, collection: readCollection(reader), rkey: readRkey(reader) },
    );
  }
  return { isTakenDown, subjectByReason };
}

/** Sets one reason of one source's notice; doing so again changes nothing. */
export function putNotice(state: SlotState, owner: number, notice: Notice): void {
  const key = noticeKey(owner, notice.sortMs, classOf(notice.reason), notice.source);
  const value = state.rows.getVolatile(key);
  const row =
    value === undefined
      ? { isTakenDown: false, subjectByReason: new Map() }
      : decodeRow(value, notice.subject?.did ?? '');
  row.subjectByReason.set(notice.reason, notice.subject);
  row.isTakenDown = notice.isTakenDown;
  state.rows.put(key, encodeRow(inReasonOrder(row)));
}

/** Equal rows have equal bytes, whatever order their reasons came in. */
function inReasonOrder(row: NoticeRow): NoticeRow {
  if (row.subjectByReason.size < 2) return row;
  const sorted = postReasons.flatMap((reason) =>
    row.subjectByReason.has(reason) ? [[reason, row.subjectByReason.get(reason) ?? null] as const] : [],
  );
  return { isTakenDown: row.isTakenDown, subjectByReason: new Map(sorted) };
}

/** Clears one reason of one source's notice. */
export function removeNotice(state: SlotState, owner: number, notice: Omit<Notice, 'subject' | 'isTakenDown'>): void {
  const key = noticeKey(owner, notice.sortMs, classOf(notice.reason), notice.source);
  const value = state.rows.getVolatile(key);
  if (value === undefined) return;
  const row = decodeRow(value, '');
  if (!row.subjectByReason.delete(notice.reason)) return;
  if (row.subjectByReason.size === 0) state.rows.remove(key);
  else state.rows.put(key, encodeRow(row));
}

/** Marks or unmarks whatever a record notifies of: marked notices stay listed and are not counted as unread. */
export function setNoticeTakedown(
  state: SlotState,
  owner: number,
  source: RecordRef,
  sortMs: number,
  isTakenDown: boolean,
): void {
  for (let noticeClass = 0; noticeClass < ownClassReasons.length; noticeClass++) {
    const key = noticeKey(owner, sortMs, noticeClass, source);
    const value = state.rows.getVolatile(key);
    if (value === undefined) continue;
    const row = decodeRow(value, '');
    if (row.isTakenDown === isTakenDown) continue;
    row.isTakenDown = isTakenDown;
    state.rows.put(key, encodeRow(row));
  }
}

/** Reads one row of a notice scan: the reason shown is the highest that is set. */
export function readNotice(key: Buffer, value: Buffer, recipient: string): Notice {
  const reader = readKey(key);
  const sortMs = readEntryTime(reader);
  reader.u8();
  const source = { did: readDid(reader), collection: readCollection(reader), rkey: readRkey(reader) };
  const row = decodeRow(value, recipient);
  const [reason, subject] = row.subjectByReason.entries().next().value ?? ['', null];
  return { source, reason, subject, sortMs, isTakenDown: row.isTakenDown };
}

/** True unless the notice is about a record of the recipient that no longer exists. */
export function isNoticeShown(state: SlotState, owner: number, notice: Notice): boolean {
  return notice.subject === null || hasRecord(state, owner, notice.subject.collection, notice.subject.rkey);
}

/** Returns the AT-URI of what a notice is about, or undefined. */
export function noticeSubjectUri(notice: Notice): string | undefined {
  return notice.subject === null ? undefined : recordUri(notice.subject);
}

/** Unread notices that are looked at before the count stops; the count then says at least this many. */
export const unreadScannedMax = 100_000;

/** Counts the notices after a time that are shown and not taken down. Units of `seenMs`: ms, exclusive. */
export function countUnread(state: SlotState, owner: number, recipient: string, seenMs: number | null): number {
  const start = seenMs === null ? noticePrefix(owner) : noticeKeyAt(owner, seenMs + 1);
  let count = 0;
  for (const row of state.rows.scan({ start, end: prefixEnd(noticePrefix(owner)), limit: unreadScannedMax })) {
    const notice = readNotice(row.key, row.value, recipient);
    if (!notice.isTakenDown && isNoticeShown(state, owner, notice)) count++;
  }
  return count;
}
