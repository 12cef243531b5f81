/**
 * A stored notice read without strings: where its parts are, and which of its reasons is shown.
 *
 * See notice.ts for the layout. The view copies the row, so that other rows may be read meanwhile.
 */
import { collectionCode, nsid } from '../../atproto/collection.ts';
import { plcFollows, readCollection, readRkey, rkeyTag, skipDid } from '../../atproto/compact-key.ts';
import { plcIdBytes } from '../../atproto/did-plc.ts';
import { type NoticeReason, ownRowReasons, postReasons } from '../../atproto/notice-reason.ts';
import { tidBytes } from '../../atproto/tid.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { timeAt, timeBytes } from '../../base/time-bytes.ts';
import type { LentRow } from '../../storage/row-cursor.ts';
import { collectionByClass, historicReasons, noticeFlag, noticeVersion, reasonMask } from './notice.ts';
import { beginKey, keyHeadBytes, type SlotState, tableCode } from './slot-state.ts';

const classAt = keyHeadBytes + timeBytes;
const postCode = collectionCode(nsid.post)!;

/** One notice; `read` moves to another. Positions are in `bytes`. */
export class NoticeView {
  readonly #bytes = new ByteWriter(4096);
  keyLength = 0;
  sortMs = 0;
  /** Of the source; its author's DID and its rkey are at `didAt` and `rkeyAt`. */
  collection = '';
  didAt = 0;
  rkeyAt = 0;
  reason: NoticeReason = 'mention';
  /** Came while its thread was muted. */
  isMuted = false;
  /** A record of the recipient: its collection, unless it is that of posts, and its rkey. */
  subjectAt = -1;
  subjectEnd = -1;
  isSubjectPost = false;

  /** Valid until the next `read`. */
  get bytes(): Buffer {
    return this.#bytes.buffer;
  }

  /** True when the author's DID is a did:plc. */
  get isPlc(): boolean {
    return this.bytes[this.didAt]! >= plcFollows;
  }

  read({ key, keyLength, value }: LentRow): void {
    this.#bytes.clear().few(key, 0, keyLength).few(value, 0, value.length);
    this.keyLength = keyLength;
    const noticeClass = this.#readKey();
    const head = value[0]!;
    invariant(head >>> 4 === noticeVersion, 'a notice row has a known format version');
    if (noticeClass === 0) this.#readPostRow();
    else this.#readOwnRow(noticeClass, head);
  }

  /** Returns the class. */
  #readKey(): number {
    const { bytes } = this;
    this.sortMs = timeAt(bytes, keyHeadBytes);
    const tag = bytes[classAt]!;
    const isPlc = tag >= plcFollows;
    const noticeClass = isPlc ? tag - plcFollows : tag;
    this.didAt = isPlc ? classAt : classAt + 1;
    this.rkeyAt = isPlc ? classAt + 1 + plcIdBytes : this.#endOf(this.didAt, skipDid);
    const collection = collectionByClass[noticeClass];
    invariant(collection !== undefined, 'a stored notice class is known');
    this.collection = collection;
    return noticeClass;
  }

  #readOwnRow(noticeClass: number, head: number): void {
    const { reason } = ownRowReasons[noticeClass - 1]!;
    this.reason = reason;
    this.isMuted = (head & noticeFlag.recordGone) !== 0 && !historicReasons.has(reason);
    this.#readSubject(head, this.keyLength + 1);
  }

  /** The first reason is the highest, which is shown. */
  #readPostRow(): void {
    const at = this.keyLength + 1;
    invariant(at < this.#bytes.length, 'a stored notice has a reason');
    const code = this.bytes[at]!;
    const reason = postReasons[code & reasonMask];
    invariant(reason !== undefined, 'a stored notice reason is known');
    this.reason = reason;
    this.isMuted = (code & noticeFlag.muted) !== 0;
    this.#readSubject(code, at + 1);
  }

  #readSubject(flags: number, at: number): void {
    this.subjectAt = (flags & noticeFlag.subject) === 0 ? -1 : at;
    this.isSubjectPost = (flags & noticeFlag.subjectIsPost) !== 0;
    if (this.subjectAt < 0) return;
    if (this.hasPostSubject) this.subjectEnd = at + tidBytes;
    else {
      this.subjectEnd = this.#endOf(at, (reader) => {
        if (!this.isSubjectPost) readCollection(reader);
        readRkey(reader);
      });
    }
  }

  /** True when the subject is a post whose rkey is a TID. */
  get hasPostSubject(): boolean {
    return this.subjectAt >= 0 && this.isSubjectPost && this.bytes[this.subjectAt]! < rkeyTag.self;
  }

  #endOf(at: number, pass: (reader: ByteReader) => void): number {
    const reader = new ByteReader(this.#bytes.view(), at);
    pass(reader);
    return reader.position;
  }

  /** True when the subject, a record of the recipient, still exists. */
  isSubjectStored(state: SlotState, owner: number): boolean {
    const key = beginKey(owner, tableCode.record);
    if (this.isSubjectPost) key.u8(postCode);
    return state.rows.has(key.raw(this.bytes, this.subjectAt, this.subjectEnd).finish());
  }
}
