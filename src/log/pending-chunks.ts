/** Entries that wait to be appended to the logs of slots, and how what waits is cut again. */
import { ByteWriter } from '../base/bytes.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { decodeEntry } from '../entry/entry-codec.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import { readChunk, writeChunk } from './chunk.ts';
import { EntriesRefused } from './entries-refused.ts';

/** Entries for one slot that are appended together, and acknowledged together. */
export type PendingChunk = {
  readonly slot: number;
  itemCount: number;
  entryBytes: number;
  /** Null once the chunk is sealed. */
  writer: ByteWriter | null;
  /** The encoded chunk; null until it is sealed. */
  bytes: Buffer | null;
  isInFlight: boolean;
  readonly durable: PromiseWithResolvers<void>;
};

/** Some entries of a chunk, which go together. */
type Part = { readonly slot: number; readonly items: readonly Uint8Array[] };

/** Returns a chunk for each part of a sealed chunk, which ends when all of them have ended. */
function partsOf({ entryBytes, durable }: PendingChunk, parts: readonly Part[]): PendingChunk[] {
  const chunks = parts.map(({ slot, items }): PendingChunk => {
    const writer = new ByteWriter(items.reduce((bytes, item) => bytes + item.length + 8, 32));
    writeChunk(writer, { slot, origin: null, items, marks: [] });
    return {
      slot,
      itemCount: items.length,
      entryBytes: 0,
      writer: null,
      bytes: writer.finish(),
      isInFlight: false,
      durable: Promise.withResolvers<void>(),
    };
  });
  // The first part stands for the bytes of all, so that their sum does not change.
  chunks[0]!.entryBytes = entryBytes;
  void Promise.allSettled(chunks.map((chunk) => chunk.durable.promise)).then((outcomes) => {
    const errors = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    const refused = errors.filter((error) => error instanceof EntriesRefused);
    if (errors.length === 0) durable.resolve();
    else if (refused.length < errors.length) durable.reject(errors.find((error) => !(error instanceof EntriesRefused)));
    else {
      const [{ reason, message }] = refused as [EntriesRefused];
      durable.reject(new EntriesRefused(reason, new Set(refused.flatMap(({ dids }) => [...dids])), message));
    }
  });
  return chunks;
}

/** Returns a chunk for each entry of a sealed chunk, which ends when all of them have ended. */
export function entryChunks(chunk: PendingChunk): PendingChunk[] {
  const { items } = readChunk(chunk.bytes!);
  return partsOf(
    chunk,
    items.map((item) => ({ slot: chunk.slot, items: [item] })),
  );
}

/** Returns chunks for the slots of which there are `slots` now, in the order of a sealed chunk. */
export function divideChunk(chunk: PendingChunk, slots: number): PendingChunk[] {
  const { items } = readChunk(chunk.bytes!);
  const bySlot = Map.groupBy(items, (item) => {
    const entry = decodeEntry(item);
    return 'did' in entry ? slotOf(entry.did, slots) : chunk.slot;
  });
  if (bySlot.size === 1 && bySlot.has(chunk.slot)) return [chunk];
  return partsOf(
    chunk,
    [...bySlot].map(([slot, own]) => ({ slot, items: own })),
  );
}

/** Rejects chunks that are not in flight; the others may still be acknowledged. */
export function rejectWaiting(chunksBySlot: Map<number, PendingChunk[]>): void {
  for (const [slot, chunks] of chunksBySlot) {
    const inFlight = chunks.filter(({ isInFlight }) => isInFlight);
    for (const { durable, isInFlight } of chunks) if (!isInFlight) durable.reject(closedError());
    if (inFlight.length > 0) chunksBySlot.set(slot, inFlight);
    else chunksBySlot.delete(slot);
  }
}

/** What appends end with once their appender is closed. */
export function closedError(): DataPlaneError {
  return new DataPlaneError('Unavailable', 'the log appender is closed');
}
