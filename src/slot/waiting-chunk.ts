/** Chunks in the log that are not yet applied, and their entries, which are decoded once. */
import { ByteReader, MalformedBytes, tryDecode, UnknownVersion } from '../base/bytes.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { readEffect } from '../entry/effect-codec.ts';
import type { Entry } from '../entry/entry.ts';
import { decodeEntry } from '../entry/entry-codec.ts';
import { type Chunk, type ChunkOutcome, readChunk } from '../log/chunk.ts';
import type { LoggedChunk } from '../log/slot-log.ts';

export type WaitingChunk = LoggedChunk & { readonly entries: readonly Entry[] };

/** Errors: MalformedBytes, as for a chunk from a peer of another version. */
export function decodeItems(chunk: Chunk): Entry[] {
  if (chunk.origin === null) return chunk.items.map(decodeEntry);
  return chunk.items.map((item) => ({ kind: 'effect', effect: readEffect(new ByteReader(item, 0, 'an effect')) }));
}

const oldLogHint =
  'start the version that wrote this folder once more, so that it applies its log, or ingest into an empty folder';

/** Errors: DataPlaneError when the entries are of a version that this one cannot read. */
export function withEntries(slot: number, logged: LoggedChunk): WaitingChunk {
  const entries = tryDecode(() => decodeItems(logged.chunk));
  if (!(entries instanceof MalformedBytes)) return { ...logged, entries };
  const what = `the log of slot ${slot} waits to be applied and holds what this version cannot read`;
  throw new DataPlaneError('Internal', `${what}: ${entries.message}; ${oldLogHint}`, { hint: oldLogHint });
}

/** The whole chunk is refused, for good unless its sender runs another version. */
export function malformed(error: MalformedBytes): ChunkOutcome {
  const code = error instanceof UnknownVersion ? 'Unavailable' : 'InvalidArgument';
  return { status: 'refused', code, message: `a chunk that this version cannot read: ${error.message}` };
}

/** True for a chunk with an operator's decision about what is in quarantine. */
export function isOperatorChunk(bytes: Uint8Array): boolean {
  const entries = tryDecode(() => {
    const chunk = readChunk(bytes);
    return chunk.origin === null ? decodeItems(chunk) : [];
  });
  return !(entries instanceof MalformedBytes) && entries.some(({ kind }) => kind === 'quarantine');
}

/** Returns the first chunk with an operator's word on what is kept, at a seq after the cursor. */
export function decisionAfter(waiting: readonly WaitingChunk[], cursor: number): WaitingChunk | undefined {
  return waiting.find(({ firstSeq, entries }) =>
    entries.some(({ kind }, index) => kind === 'quarantine' && firstSeq + index > cursor),
  );
}

/** Returns the only entry that waits, if it is the one at `seq` and a rule applies it. */
export function onlyItem(waiting: readonly WaitingChunk[], seq: number): Uint8Array | null {
  const [logged, ...others] = waiting;
  if (logged === undefined || others.length > 0 || logged.firstSeq + logged.entries.length - 1 !== seq) return null;
  return logged.entries.at(-1)!.kind === 'delivered' ? null : logged.chunk.items.at(-1)!;
}
