/** The DIDs of one message: where their bytes are, and each did:plc in the compact form of keys. */

import { plcDidLength, plcHead, plcIdBytes } from '../../atproto/did-plc.ts';
import { parseBase32 } from '../../base/base32.ts';
import { type ByteReader, hasBytesAt } from '../../base/bytes.ts';

/** Returns a hash whose top bits choose the bucket of an id. */
export function hashOfPlcId(ids: Buffer, at: number): number {
  const word = ids[at]! | (ids[at + 1]! << 8) | (ids[at + 2]! << 16) | (ids[at + 3]! << 24);
  return Math.imul(word, 0x9e3779b1);
}

/** Reused for all messages; grows to the longest list. */
export class DidList {
  count = 0;
  source: Buffer = plcHead;
  starts = new Int32Array(64);
  ends = new Int32Array(64);
  /** 1 where `ids` and `hashes` are set. */
  isPlc = new Uint8Array(64);
  /** `plcIdBytes` for each DID. */
  ids: Buffer = Buffer.alloc(64 * plcIdBytes);
  hashes = new Int32Array(64);

  /** Reads a count and as many length-delimited DIDs, which alias the reader's buffer. */
  read(reader: ByteReader): this {
    const { buffer } = reader;
    this.count = reader.count();
    this.source = buffer;
    if (this.count > this.starts.length) this.#grow(this.count * 2);
    for (let index = 0; index < this.count; index++) {
      const start = reader.lengthDelimitedRange();
      const end = reader.position;
      this.starts[index] = start;
      this.ends[index] = end;
      const at = index * plcIdBytes;
      const isPlc =
        end - start === plcDidLength &&
        hasBytesAt(buffer, start, plcHead) &&
        parseBase32(buffer, start + plcHead.length, end, this.ids, at);
      this.isPlc[index] = isPlc ? 1 : 0;
      if (isPlc) this.hashes[index] = hashOfPlcId(this.ids, at);
    }
    return this;
  }

  #grow(size: number): void {
    this.starts = new Int32Array(size);
    this.ends = new Int32Array(size);
    this.isPlc = new Uint8Array(size);
    this.ids = Buffer.alloc(size * plcIdBytes);
    this.hashes = new Int32Array(size);
  }

  text(index: number): string {
    return this.source.utf8Slice(this.starts[index]!, this.ends[index]!);
  }
}
