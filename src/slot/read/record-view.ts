/** A stored record row read in place: where its parts stand, without an object or a string for each. */
import { entryTimeBiasMs } from '../../atproto/entry-time.ts';
import { ByteReader } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { recordFlag, recordVersion } from '../record-row.ts';

const digestBytes = 32;

/** Points at one row; `read` points it at the next. The bytes are the caller's and are not copied. */
export class RecordView {
  value: Buffer = Buffer.alloc(0);
  flags = 0;
  indexedMs = 0;
  /** Meaningful only with `hasCreated`. */
  createdMs = 0;
  hasCreated = false;
  /** Where the digest stands, or -1 when the cid is a text, or, in edge form, not stored. */
  digestAt = -1;
  cidText = '';
  takedownRef = '';
  isTakenDown = false;
  postFlags = 0;
  isEdgeForm = false;
  bodyAt = 0;

  /** Reads what stands before the body. */
  read(value: Buffer): this {
    invariant(value[0] === recordVersion, 'a record row has a known format version');
    const flags = value[1]!;
    this.value = value;
    this.flags = flags;
    this.indexedMs = timeAt(value, 2);
    let at = 8;
    this.hasCreated = (flags & recordFlag.created) !== 0;
    if (this.hasCreated) {
      this.createdMs = timeAt(value, at);
      at += 6;
    }
    this.isEdgeForm = (flags & recordFlag.edgeForm) !== 0;
    this.isTakenDown = (flags & recordFlag.takedown) !== 0;
    if ((flags & (recordFlag.textCid | recordFlag.takedown)) !== 0) return this.#readTexts(at);
    this.digestAt = this.isEdgeForm ? -1 : at;
    this.#readTail(this.isEdgeForm ? at : at + digestBytes);
    return this;
  }

  #readTexts(at: number): this {
    const reader = new ByteReader(this.value, at);
    this.digestAt = -1;
    if ((this.flags & recordFlag.textCid) !== 0) this.cidText = reader.text();
    else if (!this.isEdgeForm) {
      this.digestAt = at;
      reader.bytes(digestBytes);
    }
    if (this.isTakenDown) this.takedownRef = reader.text();
    this.#readTail(reader.position);
    return this;
  }

  #readTail(at: number): void {
    const hasPostFlags = (this.flags & recordFlag.postFlags) !== 0;
    this.postFlags = hasPostFlags ? this.value[at]! : 0;
    this.bodyAt = hasPostFlags ? at + 1 : at;
  }

  /** The earlier of createdAt and indexedAt. Units: ms. */
  get sortMs(): number {
    return this.hasCreated ? Math.min(this.createdMs, this.indexedMs) : this.indexedMs;
  }
}

function timeAt(value: Buffer, at: number): number {
  const high = (value[at]! << 8) | value[at + 1]!;
  const low = ((value[at + 2]! << 24) | (value[at + 3]! << 16) | (value[at + 4]! << 8) | value[at + 5]!) >>> 0;
  return high * 4294967296 + low - entryTimeBiasMs;
}
