/**
 * Chunks: the unit in which entries travel, are stored in the log, and are acknowledged.
 *
 * A chunk holds entries for one slot. One from outside holds entries; one from another slot holds
 * effects, each with its mark, and the mark of the effect before the first, by which the target
 * notices a gap. A mark is the source's log position of the entry that caused the effect times 2^20
 * plus the effect's index within it, so that it does not depend on batches.
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';

/** What apply adds to a target: where the effects come from, and after which mark they follow. */
export type EffectOrigin = { readonly slot: number; readonly generation: number; readonly previousMark: number };

export type Chunk = {
  readonly slot: number;
  /** Null for entries from outside. */
  readonly origin: EffectOrigin | null;
  /** Each item's bytes: an entry, or an effect. */
  readonly items: readonly Uint8Array[];
  /** One mark an item, ascending, for effects; empty otherwise. */
  readonly marks: readonly number[];
};

const chunkVersion = 2;
/**
 * Effects that one entry may cause. A commit of 200 updates, each of a post with 100 mentions and
 * 200 reposters, causes 121,200.
 */
export const effectsPerEntryMax = 2 ** 20;

/**
 * Returns the mark of an effect from the log position of its entry and its index among that entry's
 * effects.
 *
 * Shape: `index` is below `effectsPerEntryMax`, so that marks ascend as their effects were made.
 */
export function markOf(seq: number, index: number): number {
  return seq * effectsPerEntryMax + index;
}

/** Writes a mark in eight bytes whose order is its order. */
export function writeMark(writer: ByteWriter, mark: number): void {
  writer.u48(Math.floor(mark / 2 ** 16)).u16(mark % 2 ** 16);
}

/** Reads what `writeMark` wrote. */
export function readMark(reader: ByteReader): number {
  return reader.u48() * 2 ** 16 + reader.u16();
}

/**
 * Writes one chunk. A chunk with an origin has a mark before each item, so it holds as many marks
 * as items.
 */
export function writeChunk(writer: ByteWriter, chunk: Chunk): void {
  writer
    .u8(chunkVersion)
    .u16(chunk.slot)
    .u8(chunk.origin === null ? 0 : 1);
  if (chunk.origin !== null) {
    writer.u16(chunk.origin.slot).u32(chunk.origin.generation);
    writeMark(writer, chunk.origin.previousMark);
  }
  writer.varint(chunk.items.length);
  chunk.items.forEach((item, index) => {
    if (chunk.origin !== null) writeMark(writer, chunk.marks[index]!);
    writer.lengthDelimited(item);
  });
}

/**
 * Writes one chunk of entries from outside, whose items are at hand as bytes: each behind its
 * length, one after the other.
 */
export function writeEntriesChunk(
  writer: ByteWriter,
  slot: number,
  itemCount: number,
  lengthDelimitedItems: Uint8Array,
): void {
  writer.u8(chunkVersion).u16(slot).u8(0).varint(itemCount).bytes(lengthDelimitedItems);
}

function chunkReader(bytes: Uint8Array): ByteReader {
  const reader = new ByteReader(bytes, 0, 'a chunk');
  if (reader.u8() !== chunkVersion) reader.fail('of an unknown format version');
  return reader;
}

/** Reads one chunk; its items alias `bytes`. Errors: MalformedBytes. */
export function readChunk(bytes: Uint8Array): Chunk {
  const reader = chunkReader(bytes);
  const slot = reader.u16();
  const origin =
    reader.u8() === 0 ? null : { slot: reader.u16(), generation: reader.u32(), previousMark: readMark(reader) };
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

/**
 * What a queue has to know of a chunk: for which slot, from another slot or from outside, how many
 * entries.
 */
export type ChunkHead = { readonly slot: number; readonly isFromSlot: boolean; readonly itemCount: number };

const originBytes = 14;

/** Reads a chunk's head; only the slot reads its items. Errors: MalformedBytes. */
export function readChunkHead(bytes: Uint8Array): ChunkHead {
  const reader = chunkReader(bytes);
  const slot = reader.u16();
  const isFromSlot = reader.u8() !== 0;
  if (isFromSlot) reader.skip(originBytes);
  return { slot, isFromSlot, itemCount: reader.varint() };
}

/** Writes the payload of `slot.append`: chunks for slots of one node, each as its own bytes. */
export function encodeAppend(chunks: readonly Uint8Array[]): Buffer {
  const writer = new ByteWriter(chunks.reduce((bytes, chunk) => bytes + chunk.length + 8, 8));
  writer.varint(chunks.length);
  for (const chunk of chunks) writer.lengthDelimited(chunk);
  return writer.view();
}

/** Reads what `encodeAppend` wrote; the chunks alias `payload`. Errors: MalformedBytes. */
export function decodeAppend(payload: Uint8Array): Buffer[] {
  const reader = new ByteReader(payload, 0, 'slot.append');
  return Array.from({ length: reader.count() }, () => reader.lengthDelimited());
}

/** In the log and on disk. `batchBytes` is what the slot would take in at once, from now on. */
export type Durable = { readonly status: 'durable'; readonly batchBytes: number };

/**
 * What became of one chunk: in the log and on disk; refused because it does not follow on the last
 * mark, which is named; or refused for another reason, with the error's code.
 */
export type ChunkOutcome =
  | Durable
  | { readonly status: 'gap'; readonly lastMark: number }
  | { readonly status: 'refused'; readonly code: string; readonly message: string };

/** Writes the answer of `slot.append`: one outcome for each chunk of the request, in its order. */
export function encodeOutcomes(outcomes: readonly ChunkOutcome[]): Buffer {
  const writer = new ByteWriter(64);
  writer.varint(outcomes.length);
  for (const outcome of outcomes) {
    if (outcome.status === 'durable') writer.u8(0).varint(outcome.batchBytes);
    else if (outcome.status === 'gap') writeMark(writer.u8(1), outcome.lastMark);
    else writer.u8(2).text(outcome.code).text(outcome.message);
  }
  return writer.finish();
}

/** Reads what `encodeOutcomes` wrote. Errors: MalformedBytes. */
export function decodeOutcomes(bytes: Uint8Array): ChunkOutcome[] {
  const reader = new ByteReader(bytes, 0, 'slot.append answer');
  return Array.from({ length: reader.count() }, (): ChunkOutcome => {
    const status = reader.u8();
    if (status === 0) return { status: 'durable', batchBytes: reader.varint() };
    if (status === 1) return { status: 'gap', lastMark: readMark(reader) };
    return { status: 'refused', code: reader.text(), message: reader.text() };
  });
}
