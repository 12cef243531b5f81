/**
 * Times in keys, values and entries: milliseconds, six bytes, ascending with time.
 *
 * Records may claim any year; the bias makes year 0 the smallest. What lies outside is clamped, so that a hostile
 * createdAt still sorts at one of the ends.
 */
import type { ByteReader, ByteWriter } from '../base/bytes.ts';

const yearZeroMs = 62_167_219_200_000;
const biasedMax = 2 ** 48 - 1;

export function writeEntryTime(writer: ByteWriter, timeMs: number): void {
  const biased = Math.trunc(timeMs) + yearZeroMs;
  writer.u48(biased < 0 ? 0 : biased > biasedMax ? biasedMax : biased);
}

export function readEntryTime(reader: ByteReader): number {
  return reader.u48() - yearZeroMs;
}
