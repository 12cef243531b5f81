/**
 * CIDs as the 32 bytes of their digest, for CIDv1 of DAG-CBOR with SHA-256; any other is kept as text.
 *
 * Base32 is done here, without a general codec, because it runs once or more for each record written or served.
 */

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
const charCodes = Buffer.from(alphabet, 'latin1');
const values = new Uint8Array(128).fill(255);
for (let value = 0; value < 32; value++) values[charCodes[value]!] = value;

/** `b` + base32 of 01 71 12 20: what every DAG-CBOR SHA-256 CIDv1 begins with, but for bits shared with the digest. */
const header = Buffer.from([0x01, 0x71, 0x12, 0x20]);
const textLength = 59;
const cidLength = 36;
const cidScratch = Buffer.alloc(cidLength);
const textScratch = Buffer.alloc(textLength);
textScratch[0] = 'b'.charCodeAt(0);

/** Returns the digest in a buffer that the next call overwrites, or undefined when `cid` is of another kind. */
export function cidBytesOf(cid: string): Buffer | undefined {
  if (cid.length !== textLength || !cid.startsWith('bafyrei')) return undefined;
  let bits = 0;
  let bitCount = 0;
  let position = 0;
  for (let index = 1; index < textLength; index++) {
    const code = cid.charCodeAt(index);
    const value = code < 128 ? values[code]! : 255;
    if (value === 255) return undefined;
    bits = ((bits & 0xff) << 5) | value;
    bitCount += 5;
    if (bitCount >= 8) {
      bitCount -= 8;
      cidScratch[position++] = (bits >>> bitCount) & 255;
    }
  }
  const hasPadding = (bits & ((1 << bitCount) - 1)) !== 0;
  return hasPadding || header.compare(cidScratch, 0, 4) !== 0 ? undefined : cidScratch.subarray(4);
}

/** Returns the text of the CIDv1 of DAG-CBOR with this SHA-256. */
export function cidOfDigest(digest: Buffer): string {
  header.copy(cidScratch);
  digest.copy(cidScratch, 4);
  let bits = 0;
  let bitCount = 0;
  let position = 1;
  for (let index = 0; index < cidLength; index++) {
    bits = ((bits & 0x1f) << 8) | cidScratch[index]!;
    bitCount += 8;
    while (bitCount >= 5) {
      bitCount -= 5;
      textScratch[position++] = charCodes[(bits >>> bitCount) & 31]!;
    }
  }
  textScratch[position] = charCodes[(bits << (5 - bitCount)) & 31]!;
  return textScratch.latin1Slice(0, textLength);
}
