/** Goes past entries that cannot be applied, one by one. */
import type { ChunkOutcome } from '../log/chunk.ts';
import type { ReadChunk } from '../log/slot-log.ts';
import { EntryFailure } from './entry-failure.ts';
import type { OutboxBatch } from './table/outbox.ts';

export type RunResult = {
  /** One for each chunk that was passed in, in order, but for the last ones that were not taken. */
  readonly outcomes: readonly ChunkOutcome[];
  /** Effects for other slots, which may be sent now. */
  readonly batches: readonly OutboxBatch[];
  /** Targets to which what is owed must be sent from the start. */
  readonly restarted: readonly number[];
  readonly appliedCount: number;
};

/** A slot's transactions; each is whole when it returns, and left nothing when it throws. */
export type Transactions = {
  readonly cursor: number;
  readonly isStopped: boolean;
  /** Appends chunks and applies what waits up to `lastSeq`. Errors: EntryFailure, storage's. */
  transact(chunks: readonly ReadChunk[], lastSeq: number): RunResult;
  /** Keeps the entry after the cursor, or its long work, and goes past it. */
  setAside(failure: EntryFailure): void;
};

const toTheEnd = Number.POSITIVE_INFINITY;

/**
 * Applies what precedes an entry that failed, tries it once more alone, keeps it if it fails again,
 * and goes on. Ends early where the slot stops.
 */
export function runPast(slot: Transactions, first: EntryFailure, chunks: readonly ReadChunk[]): RunResult {
  const before = slot.transact(chunks, first.seq - 1);
  const results = [before];
  let failed: EntryFailure | null = first.isFinal ? first : null;
  let lastSeq = first.seq;
  while (!slot.isStopped) {
    if (failed !== null && failed.seq === slot.cursor + 1) {
      slot.setAside(failed);
      failed = null;
      continue;
    }
    if (failed !== null) {
      results.push(slot.transact([], failed.seq - 1));
      lastSeq = failed.seq;
      if (failed.isFinal) continue;
    }
    const tried = tryTransact(slot, lastSeq);
    failed = tried instanceof EntryFailure ? tried : null;
    if (!(tried instanceof EntryFailure)) results.push(tried);
    if (failed === null && lastSeq === toTheEnd) break;
    lastSeq = toTheEnd;
  }
  return {
    outcomes: before.outcomes,
    batches: results.flatMap(({ batches }) => batches),
    restarted: results.flatMap(({ restarted }) => restarted),
    appliedCount: results.reduce((count, result) => count + result.appliedCount, 0),
  };
}

function tryTransact(slot: Transactions, lastSeq: number): RunResult | EntryFailure {
  try {
    return slot.transact([], lastSeq);
  } catch (thrown) {
    if (thrown instanceof EntryFailure) return thrown;
    throw thrown;
  }
}
