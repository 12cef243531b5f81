import type { Chunk, ChunkOutcome } from './chunk.ts';

/** A chunk for the log of a slot, and who waits for it. */
export type AppendedChunk = {
  readonly bytes: Uint8Array;
  readonly entryCount: number;
  /** How long it may wait to be applied together with others. Units: ms. */
  readonly withinMs: number;
  /** Called once, when the chunk is applied and durable, or refused. */
  readonly onOutcome: (outcome: ChunkOutcome) => void;
};

/** A chunk as it comes next in a log. */
export type ReadChunk = {
  readonly bytes: Uint8Array;
  readonly appendMs: number;
  readonly onOutcome: (outcome: ChunkOutcome) => void;
  /** The seq of its message on a server; 0 in a folder. */
  readonly position: number;
};

/** The seqs on the server of the last message applied and durable, and of the last there is. */
export type MessageSeqs = { readonly applied: number; readonly last: number };

/** The entries have the seqs `firstSeq` to `firstSeq + items.length - 1`. */
export type LoggedChunk = { readonly firstSeq: number; readonly appendMs: number; readonly chunk: Chunk };

/**
 * The log of one slot, as the thread that applies it sees it.
 *
 * A chunk is appended, read in the order of the log, and entered, which gives its entries their
 * seqs, in the transaction that applies it. What a slot does not take is read and not entered: a
 * repeat, a gap, what is malformed. Seqs ascend without gaps.
 */
export interface SlotLog {
  /** True where the slot's transactions append, so that it appends its own entries in them. */
  readonly isEmbedded: boolean;
  /** The last seq that was given; inclusive. */
  readonly head: number;
  /** What can be read now. */
  readonly readableBytes: number;
  readonly readableEntries: number;
  /** How far a log on a server is applied; null for one in a folder, whose head says it. */
  readonly messages: MessageSeqs | null;
  /** What keeps the slot from its log, or what was lost of it; null where nothing does. */
  readonly problem: string | null;
  /** The age of the oldest message that is not applied; 0 where all are. Units: ms. */
  behindMs(nowMs: number): number;

  /** Appends a chunk. */
  append(chunk: AppendedChunk): void;
  /**
   * Tells those who append without the slot's node that the slot is about to split: what they
   * appended by fewer than `slots` slots may come after that, and be of another slot.
   *
   * Returns: once they can know. Errors: DataPlaneError `Unavailable`.
   */
  noteSplit(slots: number): Promise<void>;
  /** Sets what is called when more can be read, and within what time, if its writer said so. */
  wait(onReadable: (withinMs: number | undefined) => void): void;
  /** Removes and returns the chunks that come next: one, and others up to `bytesMax`. */
  read(bytesMax: number, nowMs: number): ReadChunk[];
  /** Takes back chunks that were read, and that are to be read again as they are. */
  putBack(chunks: readonly ReadChunk[]): void;
  /** Takes back chunks that were read, and that a transaction could not take for a while. */
  takeBack(chunks: readonly ReadChunk[], outcome: ChunkOutcome & { readonly status: 'refused' }): void;

  /** Gives seqs to a chunk's entries, in the current transaction. Returns the first. */
  enter(chunk: ReadChunk, entryCount: number, appendMs: number): number;
  /** Says, in the current transaction, that a chunk that was read is not entered. */
  pass(chunk: ReadChunk): void;
  /** Returns the chunks that are entered and have entries above `cursor`, exclusive. */
  entered(cursor: number): LoggedChunk[];
  /** Lets go, in the current transaction, of what is applied up to `cursor`, inclusive. */
  trim(cursor: number): void;
  /** Called once a transaction is on disk. */
  committed(): void;
  /** Goes back to what is on disk, after an aborted transaction. */
  reload(cursor: number): void;

  /** Brings `readableEntries` and `messages` up to date with what is elsewhere. */
  refresh(): Promise<void>;
  /** Refuses what was appended and is not read. Nothing is called afterwards. */
  close(outcome: ChunkOutcome): void;
}
