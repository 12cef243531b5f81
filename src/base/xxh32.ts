/** xxHash32 with seed 0, over bytes and over the letters of a did:plc. */

const prime1 = 0x9e3779b1;
const prime2 = 0x85ebca77;
const prime3 = 0xc2b2ae3d;
const prime4 = 0x27d4eb2f;
const prime5 = 0x165667b1;

/** Length of `did:plc:` and 24 letters. */
const plcDidBytes = 32;

function rotateLeft(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}

function round(accumulator: number, lane: number): number {
  return Math.imul(rotateLeft((accumulator + Math.imul(lane, prime2)) | 0, 13), prime1);
}

function lane(source: Buffer, position: number): number {
  return (
    source[position]! | (source[position + 1]! << 8) | (source[position + 2]! << 16) | (source[position + 3]! << 24)
  );
}

/** xxHash32 with seed 0 of `length` bytes, unsigned. Source: the xxHash specification. */
export function xxh32(source: Buffer, length = source.length): number {
  let position = 0;
  let hash: number;
  if (length >= 16) {
    let a = (prime1 + prime2) | 0;
    let b = prime2 | 0;
    let c = 0;
    let d = -prime1 | 0;
    for (const end = length - 16; position <= end; position += 16) {
      a = round(a, lane(source, position));
      b = round(b, lane(source, position + 4));
      c = round(c, lane(source, position + 8));
      d = round(d, lane(source, position + 12));
    }
    hash = (rotateLeft(a, 1) + rotateLeft(b, 7) + rotateLeft(c, 12) + rotateLeft(d, 18)) | 0;
  } else {
    hash = prime5 | 0;
  }
  hash = (hash + length) | 0;
  for (; position + 4 <= length; position += 4) {
    hash = Math.imul(rotateLeft((hash + Math.imul(lane(source, position), prime3)) | 0, 17), prime4);
  }
  for (; position < length; position++) {
    hash = Math.imul(rotateLeft((hash + Math.imul(source[position]!, prime5)) | 0, 11), prime1);
  }
  return finish(hash);
}

function finish(sum: number): number {
  let hash = Math.imul(sum ^ (sum >>> 15), prime2);
  hash = Math.imul(hash ^ (hash >>> 13), prime3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

/** The first two accumulators after `did:plc:`, the prefix of every did:plc. */
const plcA = round((prime1 + prime2) | 0, 0x3a646964);
const plcB = round(prime2 | 0, 0x3a636c70);

/**
 * xxHash32 with seed 0 of a did:plc, whose 24 letters are given as six little-endian words.
 *
 * Returns: the same as `xxh32` of its text.
 */
export function xxh32OfPlc(words: Int32Array): number {
  const a = round(plcA, words[2]!);
  const b = round(plcB, words[3]!);
  const c = round(round(0, words[0]!), words[4]!);
  const d = round(round(-prime1 | 0, words[1]!), words[5]!);
  const hash = (rotateLeft(a, 1) + rotateLeft(b, 7) + rotateLeft(c, 12) + rotateLeft(d, 18) + plcDidBytes) | 0;
  return finish(hash);
}
