/** Chunks that one message does not take. */
import { describe, expect, it } from 'vitest';
import { ByteWriter } from '../../../src/base/bytes.ts';
import { type Chunk, readChunk, writeChunk } from '../../../src/log/chunk.ts';
import { splitChunk } from '../../../src/log/split-chunk.ts';

function bytesOf(chunk: Chunk): Buffer {
  const writer = new ByteWriter(64);
  writeChunk(writer, chunk);
  return writer.finish();
}

const items = [300, 300, 900, 10, 10, 2_000, 5].map((length, index) => Buffer.alloc(length, index));

describe('a chunk that is split', () => {
  it('keeps its entries in order, each part below the limit but for an entry that is larger alone', () => {
    const whole = bytesOf({ slot: 3, origin: null, items, marks: [] });
    const parts = splitChunk(whole, 1_000);
    expect(parts.flatMap((part) => readChunk(part).items)).toEqual(items);
    expect(parts.map((part) => readChunk(part).items.length)).toEqual([2, 1, 2, 1, 1]);
    expect(parts.filter(({ length }) => length > 1_000)).toHaveLength(1);
    expect(splitChunk(whole, whole.length)).toEqual([whole]);
  });

  it('stays a chain of effects', () => {
    const origin = {
      slot: 1,
      generation: 2,
      session: 4,
      previousMark: 5,
      known: { session: 3, mark: 5 },
      targetSlots: 8,
    };
    const marks = items.map((_item, index) => 10 + index);
    const parts = splitChunk(bytesOf({ slot: 3, origin, items, marks }), 1_000).map(readChunk);
    expect(parts.map((part) => part.origin?.previousMark)).toEqual([5, 11, 12, 14, 15]);
    expect(parts.flatMap((part) => part.marks)).toEqual(marks);
    expect(new Set(parts.map((part) => JSON.stringify({ ...part.origin, previousMark: 0 }))).size).toBe(1);
  });
});
