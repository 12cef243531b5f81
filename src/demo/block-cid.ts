/** CIDs of the demo's blocks: sha-256 over DAG-CBOR, or over raw bytes for blobs. */
import { hash } from 'node:crypto';

const dagCborPrefix = Buffer.from([0x01, 0x71, 0x12, 0x20]);
const rawPrefix = Buffer.from([0x01, 0x55, 0x12, 0x20]);
const base32Alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
const base32Pairs: readonly string[] = Array.from(
  { length: 1024 },
  (_unused, value) => base32Alphabet[value >>> 5]! + base32Alphabet[value & 31]!,
);

function cidOf(prefix: Buffer, bytes: Uint8Array): Buffer {
  // A buffer each would cost an allocation more: the digest lands behind the prefix.
  const cid = Buffer.allocUnsafe(36);
  prefix.copy(cid);
  cid.latin1Write(hash('sha256', bytes, 'binary'), 4, 32);
  return cid;
}

/** Returns the 36 bytes of the CID of a DAG-CBOR block. */
export function blockCid(block: Uint8Array): Buffer {
  return cidOf(dagCborPrefix, block);
}

/** Returns the 36 bytes of the CID of a blob. */
export function blobCid(blob: Uint8Array): Buffer {
  return cidOf(rawPrefix, blob);
}

/** Returns lower-case base32 without padding. */
export function base32(bytes: Uint8Array): string {
  let text = '';
  let index = 0;
  // Five bytes are four pairs of characters.
  for (; index + 5 <= bytes.length; index += 5) {
    const high = (bytes[index]! << 12) | (bytes[index + 1]! << 4) | (bytes[index + 2]! >>> 4);
    const low = ((bytes[index + 2]! & 15) << 16) | (bytes[index + 3]! << 8) | bytes[index + 4]!;
    text += base32Pairs[high >>> 10]! + base32Pairs[high & 1023]! + base32Pairs[low >>> 10]! + base32Pairs[low & 1023]!;
  }
  let bits = 0;
  let rest = 0;
  for (; index < bytes.length; index++) {
    rest = ((rest << 8) | bytes[index]!) & 0xfff;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += base32Alphabet[(rest >>> (bits - 5)) & 31]!;
  }
  if (bits > 0) text += base32Alphabet[(rest << (5 - bits)) & 31]!;
  return text;
}

/** Returns a CID's text: multibase base32. */
export function cidText(cid: Uint8Array): string {
  return `b${base32(cid)}`;
}
