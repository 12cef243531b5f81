/** The DIDs of one message: where their bytes are, and the compact form of those compared. */

import { plcDidLength, plcHead } from '../../atproto/did-plc.ts';
import { base32Values, parseBase32 } from '../../base/base32.ts';
import { type ByteReader, hasBytesAt } from '../../base/bytes.ts';

/** The id of a did:plc and a byte of 0, so that ids are compared as words. */
export const plcIdWords = 4;
export const plcIdSpan = 4 * plcIdWords;

/** Returns a hash whose top bits choose the bucket of an id. */
export function hashOfPlcId(ids: Buffer, at: number): number {
  const word = ids[at]! | (ids[at + 1]! << 8) | (ids[at + 2]! << 16) | (ids[at + 3]! << 24);
  return Math.imul(word, 0x9e3779b1);
}

/** Returns a hash of an id, which its first letters tell as well; its top bits are a class. */
export function classHashOfPlcId(ids: Buffer, at: number): number {
  return classHashOfBits((ids[at]! << 12) | (ids[at + 1]! << 4) | (ids[at + 2]! >>> 4));
}

function classHashOfBits(bits: number): number {
  return Math.imul(bits, 0x9e3779b1);
}

/** Whether a DID was parsed, and what it is. */
const parsed = { not: 0, plc: 1, other: 2 } as const;

/** Reused for all messages; grows to the longest list. */
export class DidList {
  count = 0;
  source: Buffer = plcHead;
  starts = new Int32Array(64);
  ends = new Int32Array(64);
  /** Where a cache has the DID, for its use. */
  indexes = new Int32Array(64);
  #parsed = new Uint8Array(64);
  /** Once `isPlc` was asked, `plcIdSpan` bytes for each did:plc, these as words, and its hash. */
  ids: Buffer = Buffer.alloc(64 * plcIdSpan);
  idWords = new Int32Array(this.ids.buffer, this.ids.byteOffset, 64 * plcIdWords);
  hashes = new Int32Array(64);

  /** Reads a count and as many length-delimited DIDs, which alias the reader's buffer. */
  read(reader: ByteReader): this {
    const { buffer } = reader;
    this.count = reader.count();
    this.source = buffer;
    if (this.count > this.starts.length) this.#grow(this.count * 2);
    for (let index = 0; index < this.count; index++) {
      this.starts[index] = reader.lengthDelimitedRange();
      this.ends[index] = reader.position;
    }
    this.#parsed.fill(parsed.not, 0, this.count);
    return this;
  }

  /** True for a did:plc, whose id and hash are set then. Most probes are answered without. */
  isPlc(index: number): boolean {
    const known = this.#parsed[index];
    return known === parsed.plc || (known === parsed.not && this.#parse(index));
  }

  /** Returns the class hash of a did:plc; of another DID of that length, any. */
  classHashOf(index: number): number {
    const { source } = this;
    const at = this.starts[index]! + plcHead.length;
    const high = (base32Values[source[at]!]! << 15) | (base32Values[source[at + 1]!]! << 10);
    return classHashOfBits(high | (base32Values[source[at + 2]!]! << 5) | base32Values[source[at + 3]!]!);
  }

  /** True for the length of a did:plc. */
  isPlcLong(index: number): boolean {
    return this.ends[index]! - this.starts[index]! === plcDidLength;
  }

  #parse(index: number): boolean {
    const { source } = this;
    const [start, end, at] = [this.starts[index]!, this.ends[index]!, index * plcIdSpan];
    const isPlc =
      end - start === plcDidLength &&
      hasBytesAt(source, start, plcHead) &&
      parseBase32(source, start + plcHead.length, end, this.ids, at);
    if (isPlc) this.hashes[index] = hashOfPlcId(this.ids, at);
    this.#parsed[index] = isPlc ? parsed.plc : parsed.other;
    return isPlc;
  }

  #grow(size: number): void {
    this.starts = new Int32Array(size);
    this.ends = new Int32Array(size);
    this.indexes = new Int32Array(size);
    this.#parsed = new Uint8Array(size);
    this.ids = Buffer.alloc(size * plcIdSpan);
    this.idWords = new Int32Array(this.ids.buffer, this.ids.byteOffset, size * plcIdWords);
    this.hashes = new Int32Array(size);
  }

  text(index: number): string {
    return this.source.utf8Slice(this.starts[index]!, this.ends[index]!);
  }
}
