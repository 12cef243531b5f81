/** Unsigned LEB128, as in our own formats, protobuf and CAR: seven bits per byte, low first. */

/** No varint of 64 bits is longer. */
export const varint64BytesMax = 10;

/** Returns the encoded length of a whole number below 2^53. */
export function varintBytes(value: number): number {
  if (value < 0x80) return 1;
  if (value < 0x4000) return 2;
  if (value < 0x20_0000) return 3;
  let bytes = 4;
  for (let rest = Math.floor(value / 0x1000_0000); rest > 0; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}

/** Writes a whole number below 2^53 to `into[at..]`. Returns the position after it. */
export function writeVarint(into: Uint8Array, at: number, value: number): number {
  let position = at;
  let rest = value;
  // Shifts are faster than divisions, and exact once the rest fits in 31 bits.
  while (rest > 0x7fff_ffff) {
    into[position++] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
  }
  while (rest >= 0x80) {
    into[position++] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
  }
  into[position++] = rest;
  return position;
}

/**
 * Writes a whole number from -2^53 to -1 as 64 bits of two's complement, which take ten bytes.
 *
 * Returns: the position after it.
 */
export function writeNegativeVarint(into: Uint8Array, at: number, value: number): number {
  let position = at;
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest >= 0x80n; rest >>= 7n) into[position++] = Number(rest & 0x7fn) | 0x80;
  into[position++] = Number(rest);
  return position;
}

/** What `readVarint` returns instead of a number. */
export const varintFault = { cut: -1, long: -2 } as const;

let endOfLast = 0;

/** Returns the position after the number that `readVarint` returned last. */
export function varintEnd(): number {
  return endOfLast;
}

/**
 * Reads the number at `source[at..]`, which ends before `limit`; then see `varintEnd`.
 *
 * Returns: a `varintFault` when the bytes end early or are more than ten. Inexact above 2^53.
 */
export function readVarint(source: Uint8Array, at: number, limit: number): number {
  let value = 0;
  let scale = 1;
  for (let position = at; position < limit; ) {
    const byte = source[position++]!;
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) {
      endOfLast = position;
      return value;
    }
    if (position - at === varint64BytesMax) return varintFault.long;
    scale *= 0x80;
  }
  return varintFault.cut;
}
