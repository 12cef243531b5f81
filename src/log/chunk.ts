/**
 * Chunks: the unit in which entries are sent, logged and acknowledged.
 *
 * A chunk is for one slot. One from outside holds entries; one from another slot holds effects,
 * each with its mark, and the mark of the effect before them, by which the target detects a gap. A
 * mark is the seq of the entry that caused the effect times 2^20 plus the effect's index within
 * that entry, so it does not depend on batches.
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import type { Entry } from '../entry/entry.ts';
import { encodeEntry } from '../entry/entry-codec.ts';

/** A mark, and the session of its source in which it was received. */
export type KnownMark = { readonly session: number; readonly mark: number };

/** How far a target has the effects of a source; generation 0 if it never had any. */
export type EffectPosition = { readonly generation: number; readonly session: number; readonly lastMark: number };

/** `isParents`: the target has nothing of the source, and this is how far it has its parent's. */
export type KnownPosition = EffectPosition & { readonly isParents: boolean };

/** The slot whose effects these are, and the mark of the effect before them. */
export type EffectOrigin = {
  readonly slot: number;
  readonly generation: number;
  /** The opening of the source that sends now. */
  readonly session: number;
  readonly previousMark: number;
  /** The target's position, which the source has found in its own past; zeros at first. */
  readonly known: KnownMark;
  /** The number of slots by which the source has chosen the target. */
  readonly targetSlots: number;
};

export type Chunk = {
  readonly slot: number;
  /** Null for entries from outside. */
  readonly origin: EffectOrigin | null;
  /** Encoded entries or effects. */
  readonly items: readonly Uint8Array[];
  /** For effects one ascending mark for each item, else empty. */
  readonly marks: readonly number[];
};

const chunkVersion = 4;
/** Marks leave room for more effects than any entry can cause (`effectsOfEntryMax` of apply). */
export const effectsPerEntryMax = 2 ** 20;

/** Returns an effect's mark; `index` is below `effectsPerEntryMax`, so that marks ascend. */
export function markOf(seq: number, index: number): number {
  return seq * effectsPerEntryMax + index;
}

/** Returns the seq of the entry that caused an effect. */
export function seqOfMark(mark: number): number {
  return Math.floor(mark / effectsPerEntryMax);
}

/** Writes a mark in eight bytes that sort like the mark. */
export function writeMark(writer: ByteWriter, mark: number): void {
  writer.u48(Math.floor(mark / 2 ** 16)).u16(mark % 2 ** 16);
}

/** Reads a mark. */
export function readMark(reader: ByteReader): number {
  const mark = reader.u48() * 2 ** 16 + reader.u16();
  if (!Number.isSafeInteger(mark)) reader.fail('with a mark that no slot gives');
  return mark;
}

/** Writes a chunk; with an origin, it has a mark before each item. */
export function writeChunk(writer: ByteWriter, chunk: Chunk): void {
  writer
    .u8(chunkVersion)
    .u16(chunk.slot)
    .u8(chunk.origin === null ? 0 : 1);
  if (chunk.origin !== null) {
    const { slot, generation, session, previousMark, known, targetSlots } = chunk.origin;
    writeMark(writer.u16(slot).u32(generation).u32(session), previousMark);
    writeMark(writer.u32(known.session), known.mark);
    writer.u32(targetSlots);
  }
  writer.varint(chunk.items.length);
  chunk.items.forEach((item, index) => {
    if (chunk.origin !== null) writeMark(writer, chunk.marks[index]!);
    writer.lengthDelimited(item);
  });
}

/** Writes a chunk of entries from outside, whose items are encoded and length-delimited. */
export function writeEntriesChunk(
  writer: ByteWriter,
  slot: number,
  itemCount: number,
  lengthDelimitedItems: Uint8Array,
): void {
  writer.u8(chunkVersion).u16(slot).u8(0).varint(itemCount).bytes(lengthDelimitedItems);
}

/** Encodes a chunk of entries that come from no other slot. */
export function encodeEntryChunk(slot: number, entries: readonly Entry[]): Buffer {
  const writer = new ByteWriter(64 * entries.length);
  writeChunk(writer, { slot, origin: null, items: entries.map(encodeEntry), marks: [] });
  return writer.finish();
}

function chunkReader(bytes: Uint8Array): ByteReader {
  const reader = new ByteReader(bytes, 0, 'a chunk');
  if (reader.u8() !== chunkVersion) reader.failVersion();
  return reader;
}

function readOrigin(reader: ByteReader): EffectOrigin {
  return {
    slot: reader.u16(),
    generation: reader.u32(),
    session: reader.u32(),
    previousMark: readMark(reader),
    known: { session: reader.u32(), mark: readMark(reader) },
    targetSlots: reader.u32(),
  };
}

/** Reads a chunk; its items alias `bytes`. Errors: MalformedBytes. */
export function readChunk(bytes: Uint8Array): Chunk {
  const reader = chunkReader(bytes);
  const slot = reader.u16();
  const origin = reader.u8() === 0 ? null : readOrigin(reader);
  const count = reader.varint();
  const items: Uint8Array[] = [];
  const marks: number[] = [];
  for (let index = 0; index < count; index++) {
    if (origin !== null) marks.push(readMark(reader));
    items.push(reader.lengthDelimited());
  }
  reader.end();
  return { slot, origin, items, marks };
}

/** Returns a copy of a chunk that is for another slot. */
export function chunkFor(slot: number, chunk: Uint8Array): Buffer {
  const bytes = Buffer.from(chunk);
  bytes.writeUInt16BE(slot, 1);
  return bytes;
}

/** What a queue needs to know of a chunk. */
export type ChunkHead = { readonly slot: number; readonly isFromSlot: boolean; readonly itemCount: number };

const originBytes = 34;

/** Reads a chunk's head, but none of its items. Errors: MalformedBytes. */
export function readChunkHead(bytes: Uint8Array): ChunkHead {
  const reader = chunkReader(bytes);
  const slot = reader.u16();
  const isFromSlot = reader.u8() !== 0;
  if (isFromSlot) reader.skip(originBytes);
  return { slot, isFromSlot, itemCount: reader.varint() };
}

/** Encodes the payload of `slot.append`: encoded chunks for slots of one node. */
export function encodeAppend(chunks: readonly Uint8Array[]): Buffer {
  const writer = new ByteWriter(chunks.reduce((bytes, chunk) => bytes + chunk.length + 8, 8));
  writer.varint(chunks.length);
  for (const chunk of chunks) writer.lengthDelimited(chunk);
  return writer.view();
}

/** Decodes the payload of `slot.append`; the chunks alias it. Errors: MalformedBytes. */
export function decodeAppend(payload: Uint8Array): Buffer[] {
  const reader = new ByteReader(payload, 0, 'slot.append');
  return Array.from({ length: reader.count() }, () => reader.lengthDelimited());
}

/** In the log and on disk. `batchBytes` is the size of the slot's batches from now on. */
export type Durable = { readonly status: 'durable'; readonly batchBytes: number };

/**
 * A `gap` means that the chunk does not follow the target's position; `split` that its source knows
 * another number of slots than the target, which is one of `slots`.
 */
export type ChunkOutcome =
  | Durable
  | ({ readonly status: 'gap' } & KnownPosition)
  | { readonly status: 'split'; readonly slots: number }
  | { readonly status: 'refused'; readonly code: string; readonly message: string };

/** Encodes the answer of `slot.append`: one outcome for each chunk, in the order of the request. */
export function encodeOutcomes(outcomes: readonly ChunkOutcome[]): Buffer {
  const writer = new ByteWriter(64);
  writer.varint(outcomes.length);
  for (const outcome of outcomes) {
    if (outcome.status === 'durable') writer.u8(0).varint(outcome.batchBytes);
    else if (outcome.status === 'gap')
      writeMark(
        writer
          .u8(outcome.isParents ? 4 : 1)
          .u32(outcome.generation)
          .u32(outcome.session),
        outcome.lastMark,
      );
    else if (outcome.status === 'split') writer.u8(3).u32(outcome.slots);
    else writer.u8(2).text(outcome.code).text(outcome.message);
  }
  return writer.finish();
}

/** Decodes the answer of `slot.append` to `chunkCount` chunks. Errors: MalformedBytes. */
export function decodeOutcomes(bytes: Uint8Array, chunkCount: number): ChunkOutcome[] {
  const reader = new ByteReader(bytes, 0, 'slot.append answer');
  if (reader.count() !== chunkCount) reader.fail('to another number of chunks');
  return Array.from({ length: chunkCount }, (): ChunkOutcome => {
    const status = reader.u8();
    if (status === 0) return { status: 'durable', batchBytes: reader.varint() };
    if (status === 1 || status === 4) {
      const at = { generation: reader.u32(), session: reader.u32(), lastMark: readMark(reader) };
      return { status: 'gap', ...at, isParents: status === 4 };
    }
    if (status === 3) return { status: 'split', slots: reader.u32() };
    return { status: 'refused', code: reader.text(), message: reader.text() };
  });
}
