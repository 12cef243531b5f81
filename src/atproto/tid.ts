/**
 * Timestamp identifiers: 64 bits as 13 base32 letters, sorted by time, or as eight bytes.
 *
 * The upper 54 bits are microseconds since 1970, the lower ten a clock number. Only those below
 * 2^63 (times before 2255) have an eight-byte form: its first byte is below 0x80, which keys rely
 * on.
 */
import { type ByteWriter, copyAscii } from '../base/bytes.ts';

const letters = Buffer.from('234567abcdefghijklmnopqrstuvwxyz', 'latin1');
const values = new Uint8Array(256).fill(255);
for (let value = 0; value < 32; value++) values[letters[value]!] = value;

/** Units: characters. */
export const tidLength = 13;
export const tidBytes = 8;
/** Later ones have no eight-byte form. Units: ms since 1970. */
export const packedTidMsEnd = 2 ** 53 / 1000;

const scratch = Buffer.alloc(tidLength);

/** The words of the last parsed identifier, signed: a number above 2^31 would be allocated. */
let high = 0;
let low = 0;

/** Splits the letters at `source[at..]` into the two words; false when they are not a TID. */
function parseWords(source: Uint8Array, at: number): boolean {
  const first = values[source[at]!]!;
  if (first > 15) return false;
  let above = first;
  let seen = 0;
  for (let index = 1; index < 6; index++) {
    const value = values[source[at + index]!]!;
    seen |= value;
    above = (above << 5) | value;
  }
  const seventh = values[source[at + 6]!]!;
  let below = seventh & 3;
  for (let index = 7; index < tidLength; index++) {
    const value = values[source[at + index]!]!;
    seen |= value;
    below = (below << 5) | value;
  }
  high = (above << 3) | (seventh >>> 2);
  low = below;
  return (seen | seventh) <= 31;
}

function parseText(text: string): boolean {
  if (text.length !== tidLength) return false;
  copyAscii(text, 0, tidLength, scratch, 0);
  return parseWords(scratch, 0);
}

function wordsMs(): number {
  return ((high >>> 0) * 2 ** 22 + (low >>> 10)) / 1000;
}

/** True for a timestamp identifier. */
export function isTid(text: string): boolean {
  return parseText(text);
}

/** Returns the time of a TID in fractional ms since 1970, or undefined for another text. */
export function tidMs(text: string): number | undefined {
  return parseText(text) ? wordsMs() : undefined;
}

/**
 * Returns the time in the first 11 of 13 letters, whatever the other two are, as the official plane
 * reads a record key; undefined for any other text. Units: ms since 1970, with fractions.
 */
export function looseTidMs(text: string): number | undefined {
  if (text.length !== tidLength) return undefined;
  copyAscii(text, 0, tidLength, scratch, 0);
  let micros = 0;
  for (let index = 0; index < 11; index++) {
    const value = values[scratch[index]!]!;
    if (value > 31) return undefined;
    micros = micros * 32 + value;
  }
  return micros / 1000;
}

/** Returns the time of the packed TID at `source[at..]` in fractional ms since 1970. */
export function packedTidMs(source: Buffer, at: number): number {
  high = wordAt(source, at);
  low = wordAt(source, at + 4);
  return wordsMs();
}

/** Faster than a method of Buffer, which checks its argument. */
function wordAt(source: Buffer, at: number): number {
  return (source[at]! << 24) | (source[at + 1]! << 16) | (source[at + 2]! << 8) | source[at + 3]!;
}

/** Writes the eight bytes of the TID in letters at `source[at..]`; false when it has none. */
export function packTid(source: Uint8Array, at: number, into: Uint8Array, to: number): boolean {
  if (!parseWords(source, at) || high < 0) return false;
  into[to] = high >>> 24;
  into[to + 1] = high >>> 16;
  into[to + 2] = high >>> 8;
  into[to + 3] = high;
  into[to + 4] = low >>> 24;
  into[to + 5] = low >>> 16;
  into[to + 6] = low >>> 8;
  into[to + 7] = low;
  return true;
}

/** Like `packTid`, for a text. */
export function packTidText(text: string, into: Uint8Array, to: number): boolean {
  if (text.length !== tidLength) return false;
  copyAscii(text, 0, tidLength, scratch, 0);
  return packTid(scratch, 0, into, to);
}

function formatWords(above: number, below: number, into: Uint8Array, at: number): void {
  let position = at;
  into[position++] = letters[above >>> 28]!;
  for (let shift = 23; shift >= 3; shift -= 5) into[position++] = letters[(above >>> shift) & 31]!;
  into[position++] = letters[((above & 7) << 2) | (below >>> 30)]!;
  for (let shift = 25; shift >= 0; shift -= 5) into[position++] = letters[(below >>> shift) & 31]!;
}

/** Writes the 13 letters of the packed TID at `source[at..]` to `into[to..]`. */
export function formatTid(source: Buffer, at: number, into: Uint8Array, to: number): void {
  formatWords(wordAt(source, at), wordAt(source, at + 4), into, to);
}

/** Returns the text of the packed TID at `source[at..]`. */
export function unpackTid(source: Buffer, at: number): string {
  formatTid(source, at, scratch, 0);
  return scratch.latin1Slice(0, tidLength);
}

/** Writes the eight bytes of the first TID at `micros`, clamped to the last packable TID. */
export function writeTid(writer: ByteWriter, micros: number): void {
  const above = Math.floor(micros / 2 ** 22);
  if (above >= 2 ** 31) writer.u32(0x7fff_ffff).u32(0xffff_ffff);
  else writer.u32(above).u32((micros % 2 ** 22) * 1024);
}

/** Returns the TID at `micros` since 1970 (below 2^53) with a `clock` below 1024. */
export function tidOf(micros: number, clock: number): string {
  formatWords(Math.floor(micros / 2 ** 22), ((micros % 2 ** 22) * 1024 + clock) >>> 0, scratch, 0);
  return scratch.latin1Slice(0, tidLength);
}

/** Returns the time of a TID. Units: microseconds since 1970. */
export function microsOf(tid: string): number {
  parseText(tid);
  return (high >>> 0) * 2 ** 22 + (low >>> 10);
}
