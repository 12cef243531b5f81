/** Stored keys, entries and chunks have one encoding, sort as their fields do, and read back. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { cidOfDigest, digestOfCid } from '../../../src/atproto/cid.ts';
import {
  readCollection,
  readDid,
  readRecordRef,
  readRkey,
  writeCollection,
  writeDid,
  writeRecordRef,
  writeRkey,
} from '../../../src/atproto/compact-key.ts';
import { isTid } from '../../../src/atproto/tid.ts';
import { ByteReader, ByteWriter } from '../../../src/base/bytes.ts';
import { readEntryTime, storedTime, writeEntryTime } from '../../../src/base/time-bytes.ts';
import { readEffect, writeEffect } from '../../../src/entry/effect-codec.ts';
import { decodeEntry, encodeEntry } from '../../../src/entry/entry-codec.ts';
import {
  type Chunk,
  type ChunkOutcome,
  decodeAppend,
  decodeOutcomes,
  effectsPerEntryMax,
  encodeAppend,
  encodeOutcomes,
  markOf,
  readChunk,
  readChunkHead,
  readMark,
  writeChunk,
  writeMark,
} from '../../../src/log/chunk.ts';
import {
  anyCid,
  anyCollection,
  anyDid,
  anyEffect,
  anyEntry,
  anyRef,
  anyRkey,
  plcDid,
  storableTime,
  tid,
  timeMsMax,
} from './arbitraries.ts';

function bytesOf<Value>(write: (writer: ByteWriter, value: Value) => void, value: Value): Buffer {
  const writer = new ByteWriter(16);
  write(writer, value);
  return writer.finish();
}

/** Reads a value back and checks that this consumes all bytes. */
function readBack<Value>(bytes: Buffer, read: (reader: ByteReader) => Value): Value {
  const reader = new ByteReader(bytes);
  const value = read(reader);
  expect(reader.remaining).toBe(0);
  return value;
}

function isPrefix(a: Buffer, b: Buffer): boolean {
  return a.length <= b.length && b.subarray(0, a.length).equals(a);
}

function holdsFor<Value>(any: fc.Arbitrary<Value>, numRuns: number, check: (value: Value) => void): void {
  fc.assert(
    fc.property(any, (value) => void check(value)),
    { numRuns },
  );
}

const runs = { numRuns: 2_000 };

const parts = [
  { name: 'a DID', any: anyDid, write: writeDid, read: readDid },
  { name: 'a record key', any: anyRkey, write: writeRkey, read: readRkey },
  { name: 'a collection', any: anyCollection, write: writeCollection, read: readCollection },
] as const;

describe('compact keys', () => {
  for (const { name, any, write, read } of parts) {
    it(`read back ${name} as it was written`, () => {
      holdsFor(any, 2_000, (value) => expect(readBack(bytesOf(write, value), read)).toBe(value));
    });

    it(`never make ${name} a prefix of another`, () => {
      const differ = ([a, b]: readonly [string, string]): boolean => a !== b;
      holdsFor(fc.tuple(any, any).filter(differ), 2_000, ([a, b]) => {
        expect(isPrefix(bytesOf(write, a), bytesOf(write, b))).toBe(false);
      });
    });
  }

  it('read back a record reference, and never make one a prefix of another', () => {
    fc.assert(
      fc.property(anyRef, anyRef, (a, b) => {
        const bytes = bytesOf(writeRecordRef, a);
        expect(readBack(bytes, readRecordRef)).toEqual(a);
        const other = bytesOf(writeRecordRef, b);
        expect(isPrefix(bytes, other)).toBe(bytes.equals(other));
      }),
      runs,
    );
  });

  it('keep the order of TIDs, at 8 bytes, and of plc DIDs, at 15 bytes after a tag', () => {
    const sign = (order: number): number => Math.sign(order);
    const byText = (a: string, b: string): number => sign(Buffer.compare(Buffer.from(a), Buffer.from(b)));
    fc.assert(
      fc.property(numberedTid, numberedTid, (a, b) => {
        expect(isTid(a)).toBe(true);
        expect(bytesOf(writeRkey, a)).toHaveLength(8);
        expect(sign(Buffer.compare(bytesOf(writeRkey, a), bytesOf(writeRkey, b)))).toBe(tidOrder(a, b));
      }),
      runs,
    );
    // The base32 alphabet of plc sorts digits after letters; the bytes sort as the alphabet does.
    fc.assert(
      fc.property(plcDid, plcDid, (a, b) => {
        expect(bytesOf(writeDid, a)).toHaveLength(16);
        const ranked = (did: string): string =>
          did.replace(/[2-7]/g, (digit) => String.fromCharCode(digit.charCodeAt(0) + 100));
        expect(sign(Buffer.compare(bytesOf(writeDid, a), bytesOf(writeDid, b)))).toBe(byText(ranked(a), ranked(b)));
      }),
      runs,
    );
  });

  it('read back the CIDs of records, and refuse others', () => {
    fc.assert(
      fc.property(anyCid, (cid) => {
        const digest = digestOfCid(cid);
        if (digest !== undefined) expect(cidOfDigest(digest)).toBe(cid);
        expect(digest === undefined).toBe(!/^bafyrei[a-h][a-z2-7]{50}[aeimquy4]$/.test(cid));
      }),
      runs,
    );
  });
});

/** TIDs below 2^63; greater ones are written as text. */
const numberedTid = tid.filter((rkey) => rkey < 'c');

function tidOrder(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

describe('times in keys', () => {
  it('read back every storable millisecond, negative ones too, in order', () => {
    fc.assert(
      fc.property(storableTime, storableTime, (a, b) => {
        const [left, right] = [bytesOf(writeEntryTime, a), bytesOf(writeEntryTime, b)];
        expect(readBack(left, readEntryTime)).toBe(a);
        expect(Math.sign(Buffer.compare(left, right))).toBe(Math.sign(a - b));
      }),
      runs,
    );
  });

  it('clamp times that six bytes cannot hold, and report it', () => {
    for (const timeMs of [-8.64e15, 8.64e15, Date.parse('9999-12-31T23:59:59.999Z'), timeMsMax + 1, 0.7, -0.7]) {
      expect(readBack(bytesOf(writeEntryTime, timeMs), readEntryTime)).toBe(storedTime(timeMs));
    }
    expect(storedTime(8.64e15)).toBe(timeMsMax);
    expect(storedTime(-8.64e15)).toBe(Date.parse('0000-01-01T00:00:00.000Z'));
  });
});

describe('entries and effects', () => {
  it('read back every entry as it was written', () => {
    holdsFor(anyEntry, 5_000, (entry) => expect(decodeEntry(encodeEntry(entry))).toEqual(entry));
  });

  it('read back every effect as it was written', () => {
    holdsFor(anyEffect, 5_000, (effect) => expect(readBack(bytesOf(writeEffect, effect), readEffect)).toEqual(effect));
  });
});

const mark = fc
  .tuple(fc.integer({ min: 0, max: 2 ** 30 }), fc.nat(effectsPerEntryMax - 1))
  .map(([seq, index]) => markOf(seq, index));
const slotIndex = fc.nat(65_535);
const items = fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 6 });
const anyChunk: fc.Arbitrary<Chunk> = fc.oneof(
  fc.record({ slot: slotIndex, origin: fc.constant(null), items, marks: fc.constant([]) }),
  fc
    .record({
      slot: slotIndex,
      origin: fc.record({
        slot: slotIndex,
        generation: fc.nat(2 ** 31 - 1),
        session: fc.nat(2 ** 31 - 1),
        previousMark: mark,
        known: fc.record({ session: fc.nat(2 ** 31 - 1), mark }),
        targetSlots: fc.nat(65_536),
      }),
      items,
      first: mark,
    })
    .map(({ first, ...chunk }) => ({ ...chunk, marks: chunk.items.map((_item, index) => first + index) })),
);
const anyOutcome: fc.Arbitrary<ChunkOutcome> = fc.oneof(
  fc.constant({ status: 'durable' as const, batchBytes: 65_536 }),
  fc.record({
    status: fc.constant('gap' as const),
    generation: fc.nat(2 ** 31 - 1),
    session: fc.nat(2 ** 31 - 1),
    lastMark: mark,
    isParents: fc.boolean(),
  }),
  fc.record({ status: fc.constant('split' as const), slots: fc.nat(65_536) }),
  fc.record({ status: fc.constant('refused' as const), code: fc.string(), message: fc.string({ unit: 'grapheme' }) }),
);

describe('entries and chunks of version 1, whose record keys have a tag', () => {
  const plc = [1, ...new Array<number>(15).fill(0)];
  const tidBehindTag = [1, 0x17, 0, 0, 0, 0, 0, 0, 0];

  it('are refused, since their bytes would be read as other record keys', () => {
    const times = new Array<number>(6).fill(0);
    // A commit with a deletion: DID, rev, no `since`, time, count, action, collection, rkey.
    const entry = Buffer.from([1, 1, ...plc, 0, 0, ...times, 1, 2, 3, ...tidBehindTag]);
    expect(() => decodeEntry(entry)).toThrow('known format version');
    const effect = [5, 1, ...plc, ...plc, 3, ...tidBehindTag];
    const originAndPreviousMark = new Array<number>(14).fill(0);
    const mark = [0, 0, 0, 0, 0, 0, 0, 1];
    const chunk = Buffer.from([1, 0, 0, 1, ...originAndPreviousMark, 1, ...mark, effect.length, ...effect]);
    expect(() => readChunkHead(chunk)).toThrow('known format version');
    expect(() => readChunk(chunk)).toThrow('known format version');
  });
});

describe('chunks', () => {
  it('read back as they were written, alone and in an append', () => {
    fc.assert(
      fc.property(fc.array(anyChunk, { maxLength: 5 }), (chunks) => {
        const written = chunks.map((chunk) => bytesOf(writeChunk, chunk));
        const read = decodeAppend(encodeAppend(written)).map((bytes) => readChunk(bytes));
        const plain = read.map((chunk) => ({ ...chunk, items: chunk.items.map((item) => Uint8Array.from(item)) }));
        expect(plain).toEqual(chunks);
      }),
      { numRuns: 1_000 },
    );
  });

  it('read back their outcomes', () => {
    holdsFor(fc.array(anyOutcome), 500, (outcomes) =>
      expect(decodeOutcomes(encodeOutcomes(outcomes), outcomes.length)).toEqual(outcomes),
    );
  });

  it('number effects by entry, then by index, in byte order too', () => {
    fc.assert(
      fc.property(mark, mark, (a, b) => {
        expect(readBack(bytesOf(writeMark, a), readMark)).toBe(a);
        expect(Math.sign(Buffer.compare(bytesOf(writeMark, a), bytesOf(writeMark, b)))).toBe(Math.sign(a - b));
      }),
      runs,
    );
    expect(markOf(1, 0)).toBeGreaterThan(markOf(0, effectsPerEntryMax - 1));
  });
});
