/**
 * What a slot takes of the chunks that come to it, and when it did.
 *
 * Refuses: repeats and gaps, what is malformed, what a split has given to another slot, and effects
 * whose source does not know of a split, or knows of one that is still to come.
 */
import { MalformedBytes, tryDecode } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { type Entry, isSlotEffect } from '../entry/entry.ts';
import { type Chunk, type ChunkOutcome, type Durable, readChunk } from '../log/chunk.ts';
import type { ReadChunk, SlotLog } from '../log/slot-log.ts';
import { keyHash } from '../shardmap/slot-of.ts';
import { type EffectSources, knownPositionOf, positionAfter, relationOf } from './effect-sources.ts';
import type { SlotMeta } from './slot-meta.ts';
import type { SlotRouting } from './slot-routing.ts';
import { decodeItems, malformed, type WaitingChunk } from './waiting-chunk.ts';

export type ChunkIntakeOptions = {
  readonly index: number;
  readonly meta: SlotMeta;
  readonly routing: SlotRouting;
  readonly sources: EffectSources;
  readonly log: SlotLog;
  /** Recommended input of one run of the slot. Units: bytes. */
  readonly batchBytes: () => number;
  readonly canSplit: boolean;
};

const refused = (code: string, message: string): ChunkOutcome => ({ status: 'refused', code, message });

/** True for the split of the slot itself, and for word of another one, as its entries say. */
function saysSplit({ chunk, entries }: WaitingChunk): boolean {
  // What a slot's own log says of splits is alone in its chunk.
  const [first] = entries;
  if (chunk.origin === null) return entries.length === 1 && (first!.kind === 'split' || first!.kind === 'target-split');
  return entries.some((entry) => entry.kind === 'effect' && entry.effect.type === 'split');
}

export class ChunkIntake {
  readonly #options: ChunkIntakeOptions;
  /** The append time of the last chunk; never decreases. */
  appendMs = 0;

  constructor(options: ChunkIntakeOptions) {
    this.#options = options;
  }

  /**
   * Takes chunks up to one that splits the slot, or has word of a split: what comes after that is
   * judged once it is applied, whatever a transaction reads together. So all copies of a slot take
   * the same of a log that they share. Returns the outcomes of those.
   */
  takeUpToSplit(chunks: readonly ReadChunk[], waiting: WaitingChunk[]): ChunkOutcome[] {
    const outcomes: ChunkOutcome[] = [];
    let isSplit = waiting.some(saysSplit);
    for (const chunk of chunks) {
      if (isSplit) break;
      const count = waiting.length;
      outcomes.push(this.take(chunk, waiting));
      isSplit = waiting.length > count && saysSplit(waiting.at(-1)!);
    }
    return outcomes;
  }

  /** Enters a chunk that was read, in the current transaction, unless it is one of the above. */
  take(read: ReadChunk, waiting: WaitingChunk[]): ChunkOutcome {
    const count = waiting.length;
    const outcome = this.#enter(read, waiting);
    if (waiting.length === count) this.#options.log.pass(read);
    return outcome;
  }

  #enter(read: ReadChunk, waiting: WaitingChunk[]): ChunkOutcome {
    const { index, log, batchBytes } = this.#options;
    const chunk = tryDecode(() => readChunk(read.bytes));
    if (chunk instanceof MalformedBytes) return malformed(chunk);
    invariant(chunk.slot === index, 'a chunk is for the slot that takes it');
    const durable: Durable = { status: 'durable', batchBytes: batchBytes() };
    const checked = this.#checkEffects(chunk, waiting);
    if (checked === 'repeat') return durable;
    if (checked !== null) return checked;
    if (chunk.items.length === 0) return durable;
    const entries = tryDecode(() => decodeItems(chunk));
    if (entries instanceof MalformedBytes) return malformed(entries);
    const refusal = chunk.origin === null ? this.#checkEntries(entries, waiting) : this.#checkSplits(chunk, entries);
    if (refusal !== null) return refusal;
    this.appendMs = Math.max(this.appendMs, read.appendMs);
    const firstSeq = log.enter(read, chunk.items.length, this.appendMs);
    waiting.push({ firstSeq, appendMs: this.appendMs, chunk, entries });
    return durable;
  }

  /** Returns how many slots the slot is one of once it has applied what waits. */
  #slotsAfter(waiting: readonly WaitingChunk[]): number {
    const { meta, routing } = this.#options;
    const { slots } = meta;
    const isSplit = ({ entries: [first] }: WaitingChunk): boolean =>
      first?.kind === 'split' && first.slots === 2 * slots;
    return slots === routing.base && waiting.some(isSplit) ? 2 * slots : slots;
  }

  /** Returns what becomes of a chunk of effects that is not to be entered; null for one that is. */
  #checkEffects(chunk: Chunk, waiting: readonly WaitingChunk[]): ChunkOutcome | 'repeat' | null {
    const { origin } = chunk;
    if (origin === null) return null;
    const { sources } = this.#options;
    const slots = this.#slotsAfter(waiting);
    if (origin.targetSlots !== slots) return { status: 'split', slots };
    const pending = waiting.findLast((logged) => logged.chunk.origin?.slot === origin.slot)?.chunk;
    const at = pending === undefined ? sources.of(origin.slot) : positionAfter(pending);
    const relation = relationOf(chunk, at);
    if (relation === 'new') return null;
    if (relation === 'repeat') return 'repeat';
    const known = knownPositionOf(origin.slot, (source) => (source === origin.slot ? at : sources.of(source)));
    return { status: 'gap', ...known };
  }

  /** A source whose next doubling has begun waits for the end of the one before. */
  #checkSplits({ origin }: Chunk, entries: readonly Entry[]): ChunkOutcome | null {
    const { routing, sources } = this.#options;
    const isEarly = entries.some((entry) => {
      const effect = entry.kind === 'effect' && isSlotEffect(entry.effect) ? entry.effect : null;
      return effect?.type === 'split' && effect.slots > 2 * routing.base;
    });
    return isEarly ? { status: 'gap', ...sources.of(origin!.slot), isParents: false } : null;
  }

  #checkEntries(entries: readonly Entry[], waiting: readonly WaitingChunk[]): ChunkOutcome | null {
    const { index, meta, canSplit } = this.#options;
    if ((entries.length > 1 || !canSplit) && entries.some(({ kind }) => kind === 'split'))
      return refused('InvalidArgument', 'a split is alone in its chunk, and for a process that makes the child');
    const slots = this.#slotsAfter(waiting);
    // One that begins again does not know whether it has split.
    if (!canSplit && meta.splitSeq === 0) return null;
    const moved = entries.find((entry) => 'did' in entry && (keyHash(entry.did) & (slots - 1)) !== index);
    if (moved === undefined) return null;
    return refused('WrongEpoch', `slot ${index} has split, and what comes with this ${moved.kind} is of its child`);
  }
}
