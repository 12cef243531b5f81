import { ByteWriter } from '../base/bytes.ts';
import { type Chunk, readChunk, writeChunk } from './chunk.ts';

/** Units: bytes; of a chunk's head, and beside each item. */
const headBytes = 64;
const itemBytes = 16;

function encode(chunk: Chunk, from: number, to: number): Uint8Array {
  const { slot, origin, items, marks } = chunk;
  const previousMark = from === 0 ? origin?.previousMark : marks[from - 1];
  const writer = new ByteWriter(headBytes);
  writeChunk(writer, {
    slot,
    origin: origin === null ? null : { ...origin, previousMark: previousMark! },
    items: items.slice(from, to),
    marks: marks.slice(from, to),
  });
  return writer.finish();
}

/**
 * Splits a chunk into chunks of at most `bytesMax`, in order; an item that is larger has one alone.
 *
 * Effects stay a chain: each part names the mark before it. Errors: MalformedBytes.
 */
export function splitChunk(bytes: Uint8Array, bytesMax: number): Uint8Array[] {
  if (bytes.length <= bytesMax) return [bytes];
  const chunk = readChunk(bytes);
  const parts: Uint8Array[] = [];
  let from = 0;
  let partBytes = headBytes;
  chunk.items.forEach((item, index) => {
    const added = item.length + itemBytes;
    if (index > from && partBytes + added > bytesMax) {
      parts.push(encode(chunk, from, index));
      from = index;
      partBytes = headBytes;
    }
    partBytes += added;
  });
  parts.push(encode(chunk, from, chunk.items.length));
  return parts;
}
