/**
 * A stored record row read without copies: the positions of its parts.
 *
 * Owns the layout of a row's head, which precedes its body. Version and flags in one byte;
 * indexedAt; createdAt, if any, as two bytes of distance from indexedAt when that is near; the
 * cid's digest or text, which a row in edge form omits; the takedown ref, if any; post flags when
 * set.
 */
import { cidDigestBytes } from '../../atproto/cid.ts';
import { type EdgeKind, edgeByKind, kindByPlainForm } from '../../atproto/edge-kind.ts';
import { ByteReader, type ByteWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { storedTime, timeAt, timeBytes, writeEntryTime } from '../../base/time-bytes.ts';

/** The upper two bits of every record row's first byte, checked on read. */
const rowVersion = 2 << 6;
const versionBits = 3 << 6;
/**
 * Bits of a row's first byte; part of the stored format. `textCid`: the cid, in edge form that of
 * the subject, is a text and no digest. In edge form the last two hold the kind instead, since
 * every such row has a createdAt and none has post flags.
 */
export const recordFlag = { takedown: 1, textCid: 2, nearCreated: 4, edgeForm: 8, created: 16, postFlags: 32 } as const;
/** A bit of the byte of post flags: a list of tags comes between it and the body. */
export const tagsFollow = 0x80;
const noTags: readonly string[] = [];
const kindShift = 4;
const kindMask = 3;

/** Two bytes hold how much earlier than indexedAt, plus this, a record was created. Units: ms. */
const aheadMsMax = 8_192;
const nearMsMax = 0xffff;

/** Returns the flags of a row in edge form. */
export function edgeFormFlags(kind: EdgeKind): number {
  const { plainForm } = edgeByKind[kind];
  invariant(plainForm !== null && plainForm <= kindMask, 'a row in edge form is of a kind that has one');
  return recordFlag.edgeForm | (plainForm << kindShift);
}

/** Writes the first byte and the times of a row. `flags` are all but `nearCreated`. */
export function writeRecordHead(writer: ByteWriter, flags: number, indexedMs: number, createdMs: number | null): void {
  const beforeMs = createdMs === null ? -1 : storedTime(indexedMs) - storedTime(createdMs) + aheadMsMax;
  const isNear = beforeMs >= 0 && beforeMs <= nearMsMax;
  writer.u8(rowVersion | flags | (isNear ? recordFlag.nearCreated : 0));
  writeEntryTime(writer, indexedMs);
  if (isNear) writer.u16(beforeMs);
  else if (createdMs !== null) writeEntryTime(writer, createdMs);
}

/** One row; `read` moves to another. The bytes are the caller's and are not copied. */
export class RecordView {
  value: Buffer = Buffer.alloc(0);
  flags = 0;
  indexedMs = 0;
  /** Meaningful only with `hasCreated`. */
  createdMs = 0;
  hasCreated = false;
  /** The position of the digest; -1 when the cid is a text or, in edge form, is not stored. */
  digestAt = -1;
  cidText = '';
  takedownRef = '';
  isTakenDown = false;
  postFlags = 0;
  isEdgeForm = false;
  /** An operator's tags; never of a row in edge form. */
  tags: readonly string[] = noTags;
  bodyAt = 0;

  /** Reads the head. Errors: InvariantError for an unknown format version. */
  read(value: Buffer): this {
    const flags = value[0]!;
    invariant((flags & versionBits) === rowVersion, 'a record row has a known format version');
    this.value = value;
    this.flags = flags;
    this.indexedMs = timeAt(value, 1);
    this.isEdgeForm = (flags & recordFlag.edgeForm) !== 0;
    this.isTakenDown = (flags & recordFlag.takedown) !== 0;
    this.hasCreated = (flags & (recordFlag.created | recordFlag.edgeForm)) !== 0;
    let at = 1 + timeBytes;
    if ((flags & recordFlag.nearCreated) !== 0) {
      this.createdMs = this.indexedMs + aheadMsMax - ((value[at]! << 8) | value[at + 1]!);
      at += 2;
    } else if (this.hasCreated) {
      this.createdMs = timeAt(value, at);
      at += timeBytes;
    }
    this.digestAt = -1;
    if ((flags & (recordFlag.textCid | recordFlag.takedown)) !== 0) return this.#readTexts(at);
    if (!this.isEdgeForm) {
      this.digestAt = at;
      at += cidDigestBytes;
    }
    return this.#readTail(at);
  }

  #readTexts(at: number): this {
    const reader = new ByteReader(this.value, at);
    if (!this.isEdgeForm) {
      if ((this.flags & recordFlag.textCid) !== 0) this.cidText = reader.text();
      else {
        this.digestAt = at;
        reader.skip(cidDigestBytes);
      }
    }
    if (this.isTakenDown) this.takedownRef = reader.text();
    return this.#readTail(reader.position);
  }

  #readTail(at: number): this {
    const hasPostFlags = !this.isEdgeForm && (this.flags & recordFlag.postFlags) !== 0;
    this.postFlags = hasPostFlags ? this.value[at]! & ~tagsFollow : 0;
    this.bodyAt = hasPostFlags ? at + 1 : at;
    this.tags = noTags;
    return hasPostFlags && (this.value[at]! & tagsFollow) !== 0 ? this.#readTags(at + 1) : this;
  }

  #readTags(at: number): this {
    const reader = new ByteReader(this.value, at);
    this.tags = reader.texts();
    this.bodyAt = reader.position;
    return this;
  }

  /** The kind of a row in edge form. */
  get kind(): EdgeKind {
    return kindByPlainForm[(this.flags >>> kindShift) & kindMask]!;
  }

  /** The earlier of createdAt and indexedAt. Units: ms. */
  get sortMs(): number {
    return this.hasCreated ? Math.min(this.createdMs, this.indexedMs) : this.indexedMs;
  }
}

/** Returns indexedAt of a record's row. Units: ms. */
export function indexedMsOf(value: Buffer): number {
  return timeAt(value, 1);
}
