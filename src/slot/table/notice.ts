/**
 * Notifications: (owner, notice, sort time, class, source record) → flags, reasons with their
 * subjects.
 *
 * A post has one row whatever its relation to the recipient (class 0): each slot that contributes a
 * reason (the author's for mentions, the quoted author's, the root's for replies) sets and clears
 * its own, and the highest of mention, quote, reply is shown. Every other reason is a class of its
 * own. The class also implies the source's collection, so keys omit it.
 */
import { nsid } from '../../atproto/collection.ts';
import {
  type RecordRef,
  readCollection,
  readRkey,
  readTaggedDid,
  writeCollection,
  writeRkey,
  writeTaggedDid,
} from '../../atproto/compact-key.ts';
import { type NoticeReason, ownRowReasons, postReasons } from '../../atproto/notice-reason.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import type { EffectOf } from '../../entry/entry.ts';
import { hasRecord } from './record-row.ts';
import { beginKey, readKey, type SlotState, tableCode } from './slot-state.ts';

/** Posts are class 0; every other reason is a class of its own, by its index in the table. */
const classByReason: ReadonlyMap<NoticeReason, number> = new Map([
  ...postReasons.map((reason): [NoticeReason, number] => [reason, 0]),
  ...ownRowReasons.map(({ reason }, index): [NoticeReason, number] => [reason, 1 + index]),
]);

const collectionByClass: readonly string[] = [nsid.post, ...ownRowReasons.map(({ collection }) => collection)];

/** A notification as shown. `subject` is a record of the recipient, if the reason has one. */
export type Notice = {
  readonly source: RecordRef;
  readonly reason: NoticeReason;
  readonly subject: RecordRef | null;
  readonly sortMs: number;
  readonly isTakenDown: boolean;
};

type NoticeRow = { isTakenDown: boolean; subjectByReason: Map<NoticeReason, RecordRef | null> };

const noticeVersion = 2;
const valueWriter = new ByteWriter(256);

function classOf(reason: NoticeReason): number {
  return classByReason.get(reason)!;
}

function noticeKey(owner: number, sortMs: number, noticeClass: number, source: RecordRef): Buffer {
  const key = beginKey(owner, tableCode.notice);
  writeEntryTime(key, sortMs);
  writeTaggedDid(key, noticeClass, source.did);
  writeRkey(key, source.rkey);
  return key.finish();
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

/** Bits of a row's first byte, below the version, or of each reason's byte in a post's row. */
const flag = { takenDown: 1, subject: 4, subjectIsPost: 8 } as const;
/** The index of a post's reason is below the flags. */
const reasonMask = 3;

/**
 * Subjects are the recipient's own records, so only rkey and, unless it is that of posts,
 * collection are stored. The class implies the one reason of its rows; a post's row names each.
 */
function encodeRow(noticeClass: number, { isTakenDown, subjectByReason }: NoticeRow): Buffer {
  const head = (noticeVersion << 4) | (isTakenDown ? flag.takenDown : 0);
  if (noticeClass === 0) {
    valueWriter.u8(head);
    // In this order equal rows have equal bytes, and the highest reason comes first.
    postReasons.forEach((reason, index) => {
      const subject = subjectByReason.get(reason);
      if (subject !== undefined) writeSubject(index, subject);
    });
    return valueWriter.finish();
  }
  const [subject = null] = subjectByReason.values();
  writeSubject(head, subject);
  return valueWriter.finish();
}

function writeSubject(head: number, subject: RecordRef | null): void {
  if (subject === null) {
    valueWriter.u8(head);
    return;
  }
  const isPost = subject.collection === nsid.post;
  valueWriter.u8(head | flag.subject | (isPost ? flag.subjectIsPost : 0));
  if (!isPost) writeCollection(valueWriter, subject.collection);
  writeRkey(valueWriter, subject.rkey);
}

function decodeRow(noticeClass: number, value: Buffer, recipient: string): NoticeRow {
  const reader = new ByteReader(value);
  const head = reader.u8();
  invariant(head >>> 4 === noticeVersion, 'a notice row has a known format version');
  const isTakenDown = (head & flag.takenDown) !== 0;
  const readSubject = (flags: number): RecordRef | null => {
    if ((flags & flag.subject) === 0) return null;
    const collection = (flags & flag.subjectIsPost) === 0 ? readCollection(reader) : nsid.post;
    return { did: recipient, collection, rkey: readRkey(reader) };
  };
  if (noticeClass !== 0) {
    const reason = ownRowReasons[noticeClass - 1]?.reason;
    invariant(reason !== undefined, 'a stored notice class is known');
    return { isTakenDown, subjectByReason: new Map([[reason, readSubject(head)]]) };
  }
  const subjectByReason = new Map<NoticeReason, RecordRef | null>();
  while (reader.remaining > 0) {
    const code = reader.u8();
    const reason = postReasons[code & reasonMask];
    invariant(reason !== undefined, 'a stored notice reason is known');
    subjectByReason.set(reason, readSubject(code));
  }
  return { isTakenDown, subjectByReason };
}

/** Sets one reason of one source's notice; repeating it changes nothing. */
export function putNotice(state: SlotState, owner: number, notice: Notice): void {
  const noticeClass = classOf(notice.reason);
  const key = noticeKey(owner, notice.sortMs, noticeClass, notice.source);
  const value = state.rows.getVolatile(key);
  const row =
    value === undefined
      ? { isTakenDown: false, subjectByReason: new Map() }
      : decodeRow(noticeClass, value, notice.subject?.did ?? '');
  row.subjectByReason.set(notice.reason, notice.subject);
  row.isTakenDown = notice.isTakenDown;
  state.rows.put(key, encodeRow(noticeClass, row));
}

/** Clears one reason of one source's notice. */
export function removeNotice(state: SlotState, owner: number, notice: Omit<Notice, 'subject' | 'isTakenDown'>): void {
  const noticeClass = classOf(notice.reason);
  const key = noticeKey(owner, notice.sortMs, noticeClass, notice.source);
  const value = state.rows.getVolatile(key);
  if (value === undefined) return;
  const row = decodeRow(noticeClass, value, '');
  if (!row.subjectByReason.delete(notice.reason)) return;
  if (row.subjectByReason.size === 0) state.rows.remove(key);
  else state.rows.put(key, encodeRow(noticeClass, row));
}

/** Marks or unmarks every notice of a record: a marked one is listed but not counted as unread. */
export function setNoticeTakedown(state: SlotState, owner: number, effect: EffectOf<'notice-takedown'>): void {
  const { source, sortMs, isTakenDown } = effect;
  for (let noticeClass = 0; noticeClass < collectionByClass.length; noticeClass++) {
    if (collectionByClass[noticeClass] !== source.collection) continue;
    const key = noticeKey(owner, sortMs, noticeClass, source);
    const value = state.rows.getVolatile(key);
    if (value === undefined) continue;
    const row = decodeRow(noticeClass, value, '');
    if (row.isTakenDown === isTakenDown) continue;
    row.isTakenDown = isTakenDown;
    state.rows.put(key, encodeRow(noticeClass, row));
  }
}

/** Reads one row of a notice scan: the reason shown is the highest that is set. */
export function readNotice(key: Buffer, value: Buffer, recipient: string): Notice {
  const reader = readKey(key);
  const sortMs = readEntryTime(reader);
  const { tag: noticeClass, did } = readTaggedDid(reader);
  const collection = collectionByClass[noticeClass];
  invariant(collection !== undefined, 'a stored notice class is known');
  const source = { did, collection, rkey: readRkey(reader) };
  const row = decodeRow(noticeClass, value, recipient);
  const [shown] = row.subjectByReason;
  invariant(shown !== undefined, 'a stored notice has a reason');
  const [reason, subject] = shown;
  return { source, reason, subject, sortMs, isTakenDown: row.isTakenDown };
}

/** True unless the notice is about a record of the recipient that no longer exists. */
export function isNoticeShown(state: SlotState, owner: number, notice: Notice): boolean {
  return notice.subject === null || hasRecord(state, owner, notice.subject.collection, notice.subject.rkey);
}
