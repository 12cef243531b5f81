/**
 * Content identifiers: CIDv1 with sha2-256 of dag-cbor or raw bytes, the two kinds in the protocol.
 *
 * Owns: their 36 bytes, their base32 text, and the check of a block against its identifier.
 */
import { hash } from 'node:crypto';
import { base32Letters, base32Values, formatBase32, parseBase32 } from '../base/base32.ts';
import { copyAscii, isSameBytes } from '../base/bytes.ts';

/** Version, codec, hash code, hash length, digest. */
export const cidBytes = 36;
/** The multibase prefix `b` and 58 base32 characters. */
export const cidTextLength = 59;

/** The kind of content: a blob, or a block of the data model. */
export const cidCodec = { raw: 0x55, dagCbor: 0x71 } as const;

/** The prefix of all block CIDs. The next letter has two zero bits, then digest bits. */
export const cidHead: Buffer = Buffer.from('bafyrei', 'latin1');
/** The same for blobs. */
export const blobCidHead: Buffer = Buffer.from('bafkrei', 'latin1');
const headLength = cidHead.length;
export const cidDigestBytes = 32;
const digestAt = cidBytes - cidDigestBytes;
const textScratch = Buffer.alloc(cidTextLength);

/** Writes the 59 letters of the CID with this head and digest to `into[to..]`. */
export function formatCid(head: Buffer, source: Uint8Array, at: number, into: Uint8Array, to: number): void {
  for (let index = 0; index < headLength; index++) into[to + index] = head[index]!;
  const last = at + cidDigestBytes - 1;
  let position = to + headLength;
  into[position++] = base32Letters[source[at]! >>> 5]!;
  into[position++] = base32Letters[source[at]! & 31]!;
  position = formatBase32(source, at + 1, last, into, position);
  into[position++] = base32Letters[source[last]! >>> 3]!;
  into[position] = base32Letters[(source[last]! & 7) << 2]!;
}

/**
 * Reads the digest of the CID whose 59 letters are at `source[at..]` and whose head was checked.
 *
 * Returns: false, with undefined bytes in `into`, when the rest is not a canonical digest.
 */
export function parseCidDigest(source: Uint8Array, at: number, into: Uint8Array, to: number): boolean {
  const start = at + headLength;
  const first = base32Values[source[start]!]!;
  const second = base32Values[source[start + 1]!]!;
  const lastButOne = base32Values[source[start + 50]!]!;
  const last = base32Values[source[start + 51]!]!;
  if (first > 7 || (second | lastButOne | last) > 31 || (last & 3) !== 0) return false;
  into[to] = (first << 5) | second;
  into[to + 31] = (lastButOne << 3) | (last >>> 2);
  return parseBase32(source, start + 2, start + 50, into, to + 1);
}

const digestScratch = Buffer.alloc(cidDigestBytes);

/**
 * Returns the digest in the text of a block's CID, undefined for any other text.
 *
 * The next call overwrites the buffer.
 */
export function digestOfCid(cid: string): Buffer | undefined {
  if (cid.length !== cidTextLength || !cid.startsWith('bafyrei')) return undefined;
  copyAscii(cid, headLength, cidTextLength, textScratch, headLength);
  return parseCidDigest(textScratch, 0, digestScratch, 0) ? digestScratch : undefined;
}

/** Returns the text of the CID of a block with this digest at `source[at..]`. */
export function cidOfDigest(source: Uint8Array, at = 0): string {
  formatCid(cidHead, source, at, textScratch, 0);
  return textScratch.latin1Slice(0, cidTextLength);
}

/** One content identifier. It aliases the bytes that it was decoded from, until `text` is read. */
export class Cid {
  readonly #source: Uint8Array;
  readonly #start: number;
  #text = '';

  /** Shape: `isCidAt(source, start)` holds. */
  constructor(source: Uint8Array, start = 0) {
    this.#source = source;
    this.#start = start;
  }

  /** The 36 bytes, aliasing the source. */
  get bytes(): Uint8Array {
    return this.#source.subarray(this.#start, this.#start + cidBytes);
  }

  get codec(): number {
    return this.#source[this.#start + 1]!;
  }

  /** Base32 text. */
  get text(): string {
    if (this.#text === '') {
      formatCid(
        this.codec === cidCodec.raw ? blobCidHead : cidHead,
        this.#source,
        this.#start + digestAt,
        textScratch,
        0,
      );
      this.#text = textScratch.latin1Slice(0, cidTextLength);
    }
    return this.#text;
  }

  /** The first four bytes of the digest as an unsigned integer, for hash tables. */
  get digestPrefix(): number {
    const at = this.#start + 4;
    const source = this.#source;
    return ((source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!) >>> 0;
  }

  /** True when the 36 bytes at `start` of `other` are this identifier. */
  isAt(other: Uint8Array, start: number): boolean {
    return isSameBytes(other, start, this.#source, this.#start, cidBytes);
  }

  /** The protocol's JSON form. */
  toJSON(): { $link: string } {
    return { $link: this.text };
  }
}

/** True when a CID of a kind in the protocol is at `start`. */
export function isCidAt(source: Uint8Array, start: number): boolean {
  if (start + cidBytes > source.length || source[start] !== 1) return false;
  const codec = source[start + 1];
  return (
    (codec === cidCodec.dagCbor || codec === cidCodec.raw) && source[start + 2] === 0x12 && source[start + 3] === 0x20
  );
}

/** Returns the bytes of a CID with an empty digest. */
function withoutDigest(codec: number): Uint8Array {
  const bytes = new Uint8Array(cidBytes);
  bytes[0] = 1;
  bytes[1] = codec;
  bytes[2] = 0x12;
  bytes[3] = 0x20;
  return bytes;
}

/** Reads base32 text. Returns undefined for anything but the canonical text of a known kind. */
export function parseCid(text: string): Cid | undefined {
  const codec = text.startsWith('bafyrei') ? cidCodec.dagCbor : text.startsWith('bafkrei') ? cidCodec.raw : 0;
  if (text.length !== cidTextLength || codec === 0) return undefined;
  const bytes = withoutDigest(codec);
  copyAscii(text, headLength, cidTextLength, textScratch, headLength);
  return parseCidDigest(textScratch, 0, bytes, digestAt) ? new Cid(bytes) : undefined;
}

const recordHead = Buffer.from([1, cidCodec.dagCbor, 0x12, 0x20]);

/** Returns the digest in the 36 bytes of a DAG-CBOR block's CID; undefined for any other CID. */
export function recordDigestOf(cid: Uint8Array): Uint8Array | undefined {
  for (let index = 0; index < recordHead.length; index++) if (cid[index] !== recordHead[index]) return undefined;
  return cid.subarray(recordHead.length);
}

/** Returns the 36 bytes of the CID of the DAG-CBOR block with this SHA-256. */
export function recordCidOf(digest: Uint8Array): Uint8Array {
  const cid = Buffer.allocUnsafe(cidBytes);
  cid.set(recordHead);
  cid.set(digest, recordHead.length);
  return cid;
}

/** Hashes a block. Returns its CID. */
export function cidOfBlock(block: Uint8Array, codec: number = cidCodec.dagCbor): Cid {
  const bytes = withoutDigest(codec);
  bytes.set(hash('sha256', block, 'buffer'), digestAt);
  return new Cid(bytes);
}

/** True when the sha2-256 of `block` is the digest of the CID at `start` of `source`. */
export function isBlockIntact(source: Uint8Array, start: number, block: Uint8Array): boolean {
  return isSameBytes(hash('sha256', block, 'buffer'), 0, source, start + digestAt, cidDigestBytes);
}

/** Returns the first 48 bits of a CID's digest, by which a record's versions differ. */
export function versionOfCid(cid: Uint8Array): number {
  let version = 0;
  for (let at = digestAt; at < digestAt + 6; at++) version = version * 256 + cid[at]!;
  return version;
}
