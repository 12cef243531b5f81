/** Base32 of RFC 4648, lower case and unpadded, between bytes. The alphabet of CIDs and did:plc. */

/** Letters by value. */
export const base32Letters: Buffer = Buffer.from('abcdefghijklmnopqrstuvwxyz234567', 'latin1');

/** Values by letter byte; above 31 for bytes that are not letters. */
export const base32Values: Uint8Array = new Uint8Array(256).fill(255);
for (let value = 0; value < 32; value++) base32Values[base32Letters[value]!] = value;

/**
 * Writes `source[start..end)`, a multiple of five bytes, as letters to `into[at..]`.
 *
 * Returns: the position after them.
 */
export function formatBase32(source: Uint8Array, start: number, end: number, into: Uint8Array, at: number): number {
  let position = at;
  for (let from = start; from < end; from += 5) {
    const high = (source[from]! << 12) | (source[from + 1]! << 4) | (source[from + 2]! >>> 4);
    const low = ((source[from + 2]! & 15) << 16) | (source[from + 3]! << 8) | source[from + 4]!;
    into[position++] = base32Letters[high >>> 15]!;
    into[position++] = base32Letters[(high >>> 10) & 31]!;
    into[position++] = base32Letters[(high >>> 5) & 31]!;
    into[position++] = base32Letters[high & 31]!;
    into[position++] = base32Letters[low >>> 15]!;
    into[position++] = base32Letters[(low >>> 10) & 31]!;
    into[position++] = base32Letters[(low >>> 5) & 31]!;
    into[position++] = base32Letters[low & 31]!;
  }
  return position;
}

/**
 * Reads `source[start..end)`, a multiple of eight letters, into bytes at `into[at..]`.
 *
 * Returns: false, with undefined bytes in `into`, when some are not letters.
 */
export function parseBase32(source: Uint8Array, start: number, end: number, into: Uint8Array, at: number): boolean {
  let seen = 0;
  for (let from = start, to = at; from < end; from += 8) {
    let high = 0;
    let low = 0;
    for (let digit = 0; digit < 4; digit++) {
      const left = base32Values[source[from + digit]!]!;
      const right = base32Values[source[from + 4 + digit]!]!;
      seen |= left | right;
      high = (high << 5) | left;
      low = (low << 5) | right;
    }
    into[to++] = high >>> 12;
    into[to++] = high >>> 4;
    into[to++] = (high << 4) | (low >>> 16);
    into[to++] = low >>> 8;
    into[to++] = low;
  }
  return seen <= 31;
}
