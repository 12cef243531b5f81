/** Passes an entry that cannot be applied, or takes away such long work, in a transaction. */
import { invariant } from '../base/invariant.ts';
import { isSlotEffect } from '../entry/entry.ts';
import type { ReadChunk } from '../log/slot-log.ts';
import { resyncAfterFailure } from './apply/repo-apply.ts';
import type { EffectSources } from './effect-sources.ts';
import type { EntryFailure } from './entry-failure.ts';
import { didOf, type Failure, type Quarantine } from './quarantine.ts';
import { encodeWorkRow } from './quarantine-retry.ts';
import type { SlotMeta } from './slot-meta.ts';
import { readLongWork } from './table/long-work.ts';
import type { SlotState } from './table/slot-state.ts';
import { decisionAfter, isOperatorChunk, type WaitingChunk } from './waiting-chunk.ts';

export type SetAsideOptions = {
  readonly state: SlotState;
  readonly meta: SlotMeta;
  readonly sources: EffectSources;
  readonly quarantine: Quarantine;
  /** Chunks that wait, oldest first; none where a step of an idle slot failed. */
  readonly waiting: readonly WaitingChunk[];
  readonly appendMs: number;
};

const repoKinds: ReadonlySet<string> = new Set([
  'commit',
  'sync',
  'resync-begin',
  'resync-chunk',
  'resync-end',
  'imported',
]);

/**
 * Keeps what failed, and goes past it: cursor, mark and count of an effect. Returns what is kept,
 * or null for an operator's entry, which keeps what it was about.
 *
 * Shape: the first chunk that waits holds the entry after the cursor, which is the one that failed.
 */
export function setAside(options: SetAsideOptions, failure: EntryFailure): Failure | null {
  const kept = keep(options, failure);
  startIfDecided(options.quarantine, options.waiting, options.meta.cursor);
  return kept;
}

/**
 * Starts a slot that has stopped when an operator's word waits in its log after the cursor, so that
 * replicas, which may have the word already, stop at the same entries. `left`: chunks of the log
 * that are not taken yet.
 */
export function startIfDecided(
  quarantine: Quarantine,
  waiting: readonly WaitingChunk[],
  cursor: number,
  left: readonly ReadChunk[] = [],
): void {
  if (quarantine.stoppedMs === 0) return;
  const decision = decisionAfter(waiting, cursor) ?? left.find(({ bytes }) => isOperatorChunk(bytes));
  if (decision !== undefined) quarantine.start(decision.appendMs);
}

function keep(options: SetAsideOptions, failure: EntryFailure): Failure | null {
  const { state, meta, sources, quarantine, appendMs } = options;
  const logged = options.waiting[0];
  const { seq, workKey } = failure;
  invariant(seq === meta.cursor + 1, 'what is set aside follows the cursor');
  const said = { seq, reason: failure.reason, stack: failure.causeStack, appendMs: logged?.appendMs ?? appendMs };
  if (workKey !== null) {
    const value = state.rows.get(workKey);
    invariant(value !== undefined, 'long work that failed waits');
    const work = readLongWork(workKey, value);
    const did = 'did' in work ? work.did : '';
    state.rows.remove(workKey);
    meta.works--;
    const kept = { ...said, kind: work.type, did, origin: null, entry: null, item: encodeWorkRow(workKey, value) };
    quarantine.setAside(kept);
    return kept;
  }
  invariant(logged !== undefined, 'an entry that failed is in the log');
  const index = seq - logged.firstSeq;
  const entry = logged.entries[index]!;
  meta.cursor = seq;
  if (entry.kind === 'quarantine') return null;
  const { chunk } = logged;
  const mark = chunk.marks[index] ?? 0;
  const origin = chunk.origin === null ? null : { slot: chunk.origin.slot, generation: chunk.origin.generation, mark };
  if (chunk.origin !== null) {
    sources.pass(chunk.origin, mark);
    sources.put(chunk.origin.slot);
    if (entry.kind === 'effect' && !isSlotEffect(entry.effect)) meta.receivedCount++;
  }
  const kind = entry.kind === 'effect' ? entry.effect.type : entry.kind;
  const did = didOf(entry);
  const kept = { ...said, kind, did, origin, entry, item: Buffer.from(chunk.items[index]!) };
  const isSuspended = quarantine.setAside(kept);
  if (repoKinds.has(entry.kind)) resyncAfterFailure(state, did, isSuspended);
  return kept;
}
