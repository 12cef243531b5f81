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
import { type NoticeReason, noticeReasons, ownRowReasons, postReasons } from '../../atproto/notice-reason.ts';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { readEntryTime, timeAt, writeEntryTime } from '../../base/time-bytes.ts';
import type { EffectOf } from '../../entry/entry.ts';
import { beginKey, readKey, type SlotState, tableCode } from './slot-state.ts';
import { changeUnreadCount, isNoticeCounted, noticeKeyAt, noticePrefix, uncountedNotice } from './unread-count.ts';

/** Posts are class 0; every other reason is a class of its own, by its index in the table. */
const classByReason: ReadonlyMap<NoticeReason, number> = new Map([
  ...postReasons.map((reason): [NoticeReason, number] => [reason, 0]),
  ...ownRowReasons.map(({ reason }, index): [NoticeReason, number] => [reason, 1 + index]),
]);

/** The collection of a notice's source. */
export const collectionByClass: readonly string[] = [nsid.post, ...ownRowReasons.map(({ collection }) => collection)];

/** A notification as shown. `subject` is a record of the recipient, if the reason has one. */
export type Notice = {
  readonly source: RecordRef;
  readonly reason: NoticeReason;
  readonly subject: RecordRef | null;
  readonly sortMs: number;
  readonly isTakenDown: boolean;
  /** Of the reason `reply`: the hash of the author of the thread's root, whom no row names. */
  readonly rootHash?: number;
  /** True for a reason that came while its thread was muted: neither listed nor counted. */
  readonly isMuted?: boolean;
};

type NoticeRow = {
  isTakenDown: boolean;
  isRecordGone: boolean;
  subjectByReason: Map<NoticeReason, RecordRef | null>;
  rootHash: number;
  /** Those that came while their thread was muted. */
  mutedReasons: ReadonlySet<NoticeReason>;
};

const noReasons: ReadonlySet<NoticeReason> = new Set();
/** Reasons of notices that stay listed when their record is gone. */
export const historicReasons: ReadonlySet<NoticeReason> = new Set(['verified', 'unverified']);

/** In the upper half of each row's first byte. */
export const noticeVersion = 3;
/** Of (owner, notificationSeen, 1) → the time up to which notices went with a deleted account. */
const removedUpToRow = 1;
const valueWriter = sharedWriter(256);

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

/**
 * Bits of a row's first byte, below the version, or of each reason's byte in a post's row. In the
 * first byte `recordGone` says that the reason shown is muted, unless that is a historic one.
 */
export const noticeFlag = { ...uncountedNotice, subject: 4, subjectIsPost: 8, muted: 16 } as const;
/** The index of a post's reason is below the flags. */
export const reasonMask = 3;

/**
 * Subjects are the recipient's own records, so only rkey and, unless it is that of posts,
 * collection are stored. The class implies the one reason of its rows; a post's row names each, and
 * the hash of whose slot sent the reason `reply`.
 */
function encodeRow(noticeClass: number, row: NoticeRow): Buffer {
  const { isTakenDown, isRecordGone, subjectByReason, mutedReasons } = row;
  const head =
    (noticeVersion << 4) | (isTakenDown ? noticeFlag.takenDown : 0) | (isRecordGone ? noticeFlag.recordGone : 0);
  if (noticeClass === 0) {
    const shown = mutedReasons.size === 0 ? undefined : postReasons.find((reason) => subjectByReason.has(reason));
    valueWriter.u8(shown !== undefined && mutedReasons.has(shown) ? head | noticeFlag.recordGone : head);
    // In this order equal rows have equal bytes, and the highest reason comes first.
    postReasons.forEach((reason, index) => {
      const subject = subjectByReason.get(reason);
      if (subject !== undefined) writeSubject(mutedReasons.has(reason) ? index | noticeFlag.muted : index, subject);
      if (subject !== undefined && reason === 'reply') valueWriter.u16(row.rootHash);
    });
    return valueWriter.finish();
  }
  const [subject = null] = subjectByReason.values();
  writeSubject(mutedReasons.size === 0 ? head : head | noticeFlag.recordGone, subject);
  return valueWriter.finish();
}

function writeSubject(head: number, subject: RecordRef | null): void {
  if (subject === null) {
    valueWriter.u8(head);
    return;
  }
  const isPost = subject.collection === nsid.post;
  valueWriter.u8(head | noticeFlag.subject | (isPost ? noticeFlag.subjectIsPost : 0));
  if (!isPost) writeCollection(valueWriter, subject.collection);
  writeRkey(valueWriter, subject.rkey);
}

function decodeRow(noticeClass: number, value: Buffer, recipient: string): NoticeRow {
  const reader = new ByteReader(value);
  const head = reader.u8();
  invariant(head >>> 4 === noticeVersion, 'a notice row has a known format version');
  const isTakenDown = (head & noticeFlag.takenDown) !== 0;
  const isRecordGone = (head & noticeFlag.recordGone) !== 0;
  const readSubject = (flags: number): RecordRef | null => {
    if ((flags & noticeFlag.subject) === 0) return null;
    const collection = (flags & noticeFlag.subjectIsPost) === 0 ? readCollection(reader) : nsid.post;
    return { did: recipient, collection, rkey: readRkey(reader) };
  };
  if (noticeClass !== 0) {
    const reason = ownRowReasons[noticeClass - 1]?.reason;
    invariant(reason !== undefined, 'a stored notice class is known');
    const subjectByReason = new Map([[reason, readSubject(head)]]);
    const row = { isTakenDown, isRecordGone, subjectByReason, rootHash: 0, mutedReasons: noReasons };
    const isMuted = isRecordGone && !historicReasons.has(reason);
    return isMuted ? { ...row, isRecordGone: false, mutedReasons: new Set([reason]) } : row;
  }
  const subjectByReason = new Map<NoticeReason, RecordRef | null>();
  const muted: NoticeReason[] = [];
  let rootHash = 0;
  while (reader.remaining > 0) {
    const code = reader.u8();
    const reason = postReasons[code & reasonMask];
    invariant(reason !== undefined, 'a stored notice reason is known');
    subjectByReason.set(reason, readSubject(code));
    if (reason === 'reply') rootHash = reader.u16();
    if ((code & noticeFlag.muted) !== 0) muted.push(reason);
  }
  const mutedReasons = muted.length === 0 ? noReasons : new Set(muted);
  return { isTakenDown, isRecordGone: false, subjectByReason, rootHash, mutedReasons };
}

/** A row that may be written: where it is, and whether it is counted as unread now. */
type StoredNotice = { readonly key: Buffer; readonly noticeClass: number; readonly wasCounted: boolean };

/** Writes a notice's row, or removes one without reasons, and keeps the unread count in step. */
function storeRow(
  state: SlotState,
  owner: number,
  { key, noticeClass, wasCounted }: StoredNotice,
  row: NoticeRow,
): void {
  const value = row.subjectByReason.size === 0 ? undefined : encodeRow(noticeClass, row);
  if (value === undefined) state.rows.remove(key);
  else state.rows.put(key, value);
  const isCounted = value !== undefined && isNoticeCounted(value);
  if (isCounted !== wasCounted) changeUnreadCount(state, owner, key, isCounted ? 1 : -1);
}

/** Returns the key of one reason of a notice among what a source has confirmed. */
export function noticeReasonKey(owner: number, { source, reason, sortMs }: NoticeIdentity): Buffer {
  return Buffer.concat([noticeKey(owner, sortMs, classOf(reason), source), Buffer.of(noticeReasons.indexOf(reason))]);
}

/** Returns the reasons of a stored notice; their subjects are records of its recipient. */
export function readNoticeReasons(key: Buffer, value: Buffer): Notice[] {
  const { source, sortMs, noticeClass } = readNoticeKey(key);
  const { isTakenDown, subjectByReason, rootHash } = decodeRow(noticeClass, value, '');
  return [...subjectByReason].map(([reason, subject]) => ({ source, reason, subject, sortMs, isTakenDown, rootHash }));
}

function readNoticeKey(key: Buffer): { source: RecordRef; sortMs: number; noticeClass: number } {
  const reader = readKey(key);
  const sortMs = readEntryTime(reader);
  const { tag: noticeClass, did } = readTaggedDid(reader);
  const collection = collectionByClass[noticeClass];
  invariant(collection !== undefined, 'a stored notice class is known');
  return { source: { did, collection, rkey: readRkey(reader) }, sortMs, noticeClass };
}

/**
 * Sets one reason of one source's notice; repeating it changes nothing. The record of an
 * `unverified` is gone by definition.
 */
export function putNotice(state: SlotState, owner: number, notice: Notice): void {
  const noticeClass = classOf(notice.reason);
  const key = noticeKey(owner, notice.sortMs, noticeClass, notice.source);
  const fresh = encodeRow(noticeClass, rowWith(notice, undefined));
  // Most are new.
  if (state.rows.putNew(key, fresh)) {
    if (isNoticeCounted(fresh)) changeUnreadCount(state, owner, key, 1);
    return;
  }
  const value = state.rows.getVolatile(key);
  invariant(value !== undefined, 'what is not new is stored');
  const wasCounted = isNoticeCounted(value);
  const known = decodeRow(noticeClass, value, notice.subject?.did ?? '');
  storeRow(state, owner, { key, noticeClass, wasCounted }, rowWith(notice, known));
}

/** Returns the row of a notice with one more reason; `known` is what is stored of it. */
function rowWith(notice: Notice, known: NoticeRow | undefined): NoticeRow {
  const subjectByReason = known?.subjectByReason ?? new Map<NoticeReason, RecordRef | null>();
  let mutedReasons = known?.mutedReasons ?? noReasons;
  // A reason is judged when it comes; what repeats it does not judge it again.
  if (notice.isMuted === true && !subjectByReason.has(notice.reason))
    mutedReasons = new Set([...mutedReasons, notice.reason]);
  subjectByReason.set(notice.reason, notice.subject);
  const isRecordGone = notice.reason === 'unverified';
  const rootHash = (notice.reason === 'reply' ? notice.rootHash : known?.rootHash) ?? 0;
  return { isTakenDown: notice.isTakenDown, isRecordGone, subjectByReason, rootHash, mutedReasons };
}

/** Changes a stored notice by what `change` returns for it; undefined changes nothing. */
function changeNotice(
  state: SlotState,
  owner: number,
  noticeClass: number,
  { source, sortMs }: Pick<Notice, 'source' | 'sortMs'>,
  change: (row: NoticeRow) => NoticeRow | undefined,
): void {
  const key = noticeKey(owner, sortMs, noticeClass, source);
  const value = state.rows.getVolatile(key);
  if (value === undefined) return;
  const changed = change(decodeRow(noticeClass, value, ''));
  if (changed !== undefined) storeRow(state, owner, { key, noticeClass, wasCounted: isNoticeCounted(value) }, changed);
}

type NoticeIdentity = Pick<Notice, 'source' | 'reason' | 'sortMs'>;

/** Clears one reason of one source's notice. */
export function removeNotice(state: SlotState, owner: number, notice: NoticeIdentity): void {
  const { reason } = notice;
  changeNotice(state, owner, classOf(reason), notice, (row) => {
    if (!row.subjectByReason.delete(reason)) return undefined;
    if (!row.mutedReasons.has(reason)) return row;
    return { ...row, mutedReasons: new Set([...row.mutedReasons].filter((other) => other !== reason)) };
  });
}

/** Marks a notice that outlives its record: it is listed and not counted. */
export function markNoticeRecordGone(state: SlotState, owner: number, notice: NoticeIdentity): void {
  changeNotice(state, owner, classOf(notice.reason), notice, (row) => ({ ...row, isRecordGone: true }));
}

/** Marks or unmarks every notice of a record: a marked one is listed but not counted as unread. */
export function setNoticeTakedown(state: SlotState, owner: number, effect: EffectOf<'notice-takedown'>): void {
  const { source, isTakenDown } = effect;
  for (let noticeClass = 0; noticeClass < collectionByClass.length; noticeClass++) {
    if (collectionByClass[noticeClass] !== source.collection) continue;
    changeNotice(state, owner, noticeClass, effect, (row) =>
      row.isTakenDown === isTakenDown ? undefined : { ...row, isTakenDown },
    );
  }
}

/** True when a notice of the same source, time and class is stored. */
export function hasNotice(state: SlotState, owner: number, { source, reason, sortMs }: NoticeIdentity): boolean {
  return state.rows.has(noticeKey(owner, sortMs, classOf(reason), source));
}

function removedUpToKey(owner: number): Buffer {
  return beginKey(owner, tableCode.notificationSeen).u8(removedUpToRow).finish();
}

/** Notes that an owner's account was deleted, with its notices up to a time. */
export function putNoticesRemovedUpTo(state: SlotState, owner: number, timeMs: number): void {
  if (timeMs <= noticesRemovedUpToMs(state, owner)) return;
  writeEntryTime(valueWriter, timeMs);
  state.rows.put(removedUpToKey(owner), valueWriter.finish());
}

/** Returns up to when an owner's notices went with its account; -∞ for never. Units: ms. */
export function noticesRemovedUpToMs(state: SlotState, owner: number): number {
  const value = state.rows.getVolatile(removedUpToKey(owner));
  return value === undefined ? Number.NEGATIVE_INFINITY : timeAt(value, 0);
}

/** Removes an owner's first notices up to a time, at most `limit`. Returns how many it removed. */
export function removeNoticesUpTo(state: SlotState, owner: number, timeMs: number, limit: number): number {
  const range = { start: noticePrefix(owner), end: noticeKeyAt(owner, timeMs + 1), limit };
  const rows = [...state.rows.scan(range)];
  for (const { key, value } of rows) {
    state.rows.remove(key);
    if (isNoticeCounted(value)) changeUnreadCount(state, owner, key, -1);
  }
  return rows.length;
}

/** Reads one row of a notice scan: the reason shown is the highest that is set. */
export function readNotice(key: Buffer, value: Buffer, recipient: string): Notice {
  const { source, sortMs, noticeClass } = readNoticeKey(key);
  const row = decodeRow(noticeClass, value, recipient);
  const [shown] = row.subjectByReason;
  invariant(shown !== undefined, 'a stored notice has a reason');
  const [reason, subject] = shown;
  return { source, reason, subject, sortMs, isTakenDown: row.isTakenDown, isMuted: row.mutedReasons.has(reason) };
}
