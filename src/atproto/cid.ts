/**
 * Content identifiers: CIDv1 with sha2-256 over dag-cbor or raw bytes, the two that the protocol knows.
 *
 * Owns: their 36 bytes, their base32 text, and the check of a block against its identifier.
 */
import { hash } from 'node:crypto';

/** Version, codec, hash code, hash length, digest. Units: bytes. */
export const cidBytes = 36;
/** The multibase prefix `b` and 58 base32 characters. Units: characters. */
const cidTextLength = 59;

/** What the bytes behind an identifier are: a blob, or a block of the data model. */
export const cidCodec = { raw: 0x55, dagCbor: 0x71 } as const;

const alphabet = Buffer.from('abcdefghijklmnopqrstuvwxyz234567', 'latin1');
const digits = (() => {
  const table = new Uint8Array(256).fill(255);
  for (let digit = 0; digit < 32; digit++) table[alphabet[digit]!] = digit;
  return table;
})();
const textScratch = Buffer.alloc(cidTextLength);

/** Writes 36 bytes as base32; the scratch is only read before the function returns. */
function formatBase32(source: Uint8Array, start: number): string {
  textScratch[0] = 0x62;
  let at = 1;
  const last = start + 35;
  for (let from = start; from < last; from += 5) {
    const high = (source[from]! << 12) | (source[from + 1]! << 4) | (source[from + 2]! >>> 4);
    const low = ((source[from + 2]! & 15) << 16) | (source[from + 3]! << 8) | source[from + 4]!;
    textScratch[at] = alphabet[high >>> 15]!;
    textScratch[at + 1] = alphabet[(high >>> 10) & 31]!;
    textScratch[at + 2] = alphabet[(high >>> 5) & 31]!;
    textScratch[at + 3] = alphabet[high & 31]!;
    textScratch[at + 4] = alphabet[low >>> 15]!;
    textScratch[at + 5] = alphabet[(low >>> 10) & 31]!;
    textScratch[at + 6] = alphabet[(low >>> 5) & 31]!;
    textScratch[at + 7] = alphabet[low & 31]!;
    at += 8;
  }
  textScratch[57] = alphabet[source[last]! >>> 3]!;
  textScratch[58] = alphabet[(source[last]! & 7) << 2]!;
  return textScratch.latin1Slice(0, cidTextLength);
}

/** One content identifier. It aliases the bytes that it was decoded from, until its text is asked for. */
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
    if (this.#text === '') this.#text = formatBase32(this.#source, this.#start);
    return this.#text;
  }

  /** The first four bytes of the digest, for tables. Units: an unsigned 32-bit integer. */
  get digestPrefix(): number {
    const at = this.#start + 4;
    const source = this.#source;
    return ((source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!) >>> 0;
  }

  /** True when the 36 bytes at `start` of `other` are this identifier. */
  isAt(other: Uint8Array, start: number): boolean {
    for (let index = 0; index < cidBytes; index++) {
      if (other[start + index] !== this.#source[this.#start + index]) return false;
    }
    return true;
  }

  /** Gives the protocol's JSON form. */
  toJSON(): { $link: string } {
    return { $link: this.text };
  }
}

/** True when an identifier of a kind that the protocol knows stands at `start`. */
export function isCidAt(source: Uint8Array, start: number): boolean {
  if (start + cidBytes > source.length || source[start] !== 1) return false;
  const codec = source[start + 1];
  return (
    (codec === cidCodec.dagCbor || codec === cidCodec.raw) && source[start + 2] === 0x12 && source[start + 3] === 0x20
  );
}

/** Reads base32 text. Returns undefined for anything that is not the one spelling of a known kind. */
export function parseCid(text: string): Cid | undefined {
  if (text.length !== cidTextLength || text.charCodeAt(0) !== 0x62) return undefined;
  const bytes = new Uint8Array(cidBytes);
  let window = 0;
  let bits = 0;
  let at = 0;
  for (let index = 1; index < cidTextLength; index++) {
    const code = text.charCodeAt(index);
    const digit = code < 256 ? digits[code]! : 255;
    if (digit === 255) return undefined;
    window = ((window & 127) << 5) | digit;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      bytes[at++] = window >>> bits;
    }
  }
  const hasRest = (window & ((1 << bits) - 1)) !== 0;
  return hasRest || !isCidAt(bytes, 0) ? undefined : new Cid(bytes);
}

/** Returns the identifier of a block, hashing it. */
export function cidOfBlock(block: Uint8Array, codec: number = cidCodec.dagCbor): Cid {
  const bytes = new Uint8Array(cidBytes);
  bytes.set([1, codec, 0x12, 0x20]);
  bytes.set(hash('sha256', block, 'buffer'), 4);
  return new Cid(bytes);
}

/** True when the sha2-256 of `block` is the digest of the identifier at `start` of `source`. */
export function isBlockIntact(source: Uint8Array, start: number, block: Uint8Array): boolean {
  const digest = hash('sha256', block, 'buffer');
  for (let index = 0; index < 32; index++) {
    if (digest[index] !== source[start + 4 + index]) return false;
  }
  return true;
}
