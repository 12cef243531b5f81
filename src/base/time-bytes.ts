/**
 * Times in keys, values and entries: milliseconds in six bytes, ascending with time.
 *
 * Records may claim any year; the bias makes year 0 the smallest. Times out of range are clamped,
 * so a hostile createdAt still sorts at one of the ends.
 */
import type { ByteReader, ByteWriter } from './bytes.ts';

/** Added to a time before it is written. */
export const entryTimeBiasMs = 62_167_219_200_000;
export const timeBytes = 6;
const biasedMax = 2 ** (8 * timeBytes) - 1;

function biasedTime(timeMs: number): number {
  const biased = Math.trunc(timeMs) + entryTimeBiasMs;
  return biased < 0 ? 0 : biased > biasedMax ? biasedMax : biased;
}

/** Writes a time, truncated to a whole millisecond and clamped to the range. */
export function writeEntryTime(writer: ByteWriter, timeMs: number): void {
  writer.u48(biasedTime(timeMs));
}

/** Returns the time as it will be read back. */
export function storedTime(timeMs: number): number {
  return biasedTime(timeMs) - entryTimeBiasMs;
}

/** Reads what `writeEntryTime` wrote. Units: ms since 1970. */
export function readEntryTime(reader: ByteReader): number {
  return reader.u48() - entryTimeBiasMs;
}

/** Writes to `into[at..]` what `writeEntryTime` writes. */
export function putTimeAt(into: Buffer, at: number, timeMs: number): void {
  into.writeUIntBE(biasedTime(timeMs), at, timeBytes);
}

/** Reads the time at `source[at..]`. Units: ms since 1970. */
export function timeAt(source: Uint8Array, at: number): number {
  const high = (source[at]! << 8) | source[at + 1]!;
  const low = ((source[at + 2]! << 24) | (source[at + 3]! << 16) | (source[at + 4]! << 8) | source[at + 5]!) >>> 0;
  return high * 2 ** 32 + low - entryTimeBiasMs;
}
