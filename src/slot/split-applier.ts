/**
 * Applies the split of a slot in two, and what others hear of it.
 *
 * The split is an entry of the parent's log. The state that it leaves becomes that of both: the
 * child is a copy of it, which goes on with a log of its own from the next seq on, in the parent's
 * generation. What of it is the other's is removed by each (`split-sweep.ts`).
 *
 * What is owed to others stays the parent's. Its last effects say that it has split, so a target
 * that has applied them has all that was sent before: only then it takes effects of the child, and
 * a late "put" of the parent cannot overtake the child's "gone". Until a source knows that its
 * target has split, all that it sends there is refused; then it divides what it owes between the
 * two.
 */
import type { SentEffect, SplitEffect } from '../entry/entry.ts';
import type { SplitEntry } from '../entry/lifecycle-entry.ts';
import { suggestionsKey } from '../entry/suggestion.ts';
import { type EffectOrigin, effectsPerEntryMax, markOf, seqOfMark } from '../log/chunk.ts';
import { prefixEnd } from '../storage/environment.ts';
import type { ApplyContext } from './apply/apply-context.ts';
import type { EffectSources } from './effect-sources.ts';
import type { Quarantine } from './quarantine.ts';
import { keptKey } from './quarantine-retry.ts';
import type { SlotMeta } from './slot-meta.ts';
import { type SlotRouting, splitKnown } from './slot-routing.ts';
import { allLongWork, hasMovedRows, putLongWork, removeLongWork } from './table/long-work.ts';
import type { Outbox } from './table/outbox.ts';
import { getQuarantinedDid, quarantinedEntries } from './table/quarantine-row.ts';
import { allResends, putResend } from './table/resend.ts';
import { beginSlotKey, emptyValue, type SlotState, tableCode } from './table/slot-state.ts';

export type SplitApplierOptions = {
  readonly state: SlotState;
  readonly meta: SlotMeta;
  readonly routing: SlotRouting;
  readonly sources: EffectSources;
  readonly outbox: Outbox;
  readonly quarantine: Quarantine;
  readonly context: ApplyContext;
  sendTo(target: number, effect: SentEffect): void;
};

/** Returns the mark that all effects of a slot have at most, up to its split at a seq. */
export function markOfSplit(seq: number): number {
  return markOf(seq, effectsPerEntryMax - 1);
}

export class SplitApplier {
  readonly #options: SplitApplierOptions;

  constructor(options: SplitApplierOptions) {
    this.#options = options;
  }

  /** False for a split that is repeated, or comes before the doubling of before is over here. */
  isNext({ slots }: SplitEntry): boolean {
    const { meta, routing } = this.#options;
    return meta.slots === routing.base && slots === 2 * meta.slots;
  }

  /** Splits the slot. */
  split(seq: number, { slots }: SplitEntry): void {
    const { state, meta, routing, sources, sendTo } = this.#options;
    const { generation } = meta;
    const session = meta.sessions.at(-1)?.id ?? 0;
    for (const target of routing.others()) sendTo(target, { type: 'split', slots, generation, session });
    sources.inherit(state.index + meta.slots, { generation, session, lastMark: markOfSplit(seq) });
    Object.assign(meta, { slots, splitSeq: seq });
    routing.note(state.index, splitKnown.both);
  }

  /**
   * Lets the child of the slot not go on where the parent was, at a target that has lost some of
   * that: the parent sends again what is its own of it, and the child is to send all.
   */
  forgetChild(target: number): void {
    const { state, meta, outbox } = this.#options;
    if (meta.splitSeq > 0 && state.index < meta.slots / 2) outbox.forgetChild(target);
  }

  /**
   * Says the number of slots to a target that may have lost word of a split. Where its child goes
   * on is not said again: one of which the target has nothing sends all again, by
   * `judgeKnownPosition`.
   */
  sayAgain(target: number): void {
    const { state, meta, sendTo } = this.#options;
    const { slots } = meta;
    if (state.index < slots / 2) sendTo(target, { type: 'split', slots, generation: 0, session: 0 });
  }

  /** Sends to the two that a target now is what is owed, and what will be. */
  targetSplit(target: number, slots: number): void {
    const { state, routing, outbox } = this.#options;
    const { base } = routing;
    if (slots !== 2 * base || target >= base || !routing.note(target, splitKnown.asTarget)) return;
    outbox.divide(target, slots);
    for (const resend of allResends(state))
      if (resend.target === target) putResend(state, { ...resend, target: target + base });
  }

  /**
   * A source has split, and all that it had sent before is here. If that was here already, or the
   * source has begun a new generation since, a copy of it was put back: what it owed as both has
   * come again, or what the copy lacked is here. So the child is to send all again.
   */
  sourceSplit(origin: EffectOrigin, mark: number, { slots, generation, session }: SplitEffect): void {
    const source = origin.slot;
    const { routing, sources } = this.#options;
    const child = source + slots / 2;
    const isAgain = sources.of(child).generation > 0 || generation !== origin.generation;
    if (generation > 0 && isAgain) sources.remove(child);
    else if (generation > 0) sources.inherit(child, { generation, session, lastMark: markOfSplit(seqOfMark(mark)) });
    this.targetSplit(source, slots);
    if (slots === 2 * routing.base) routing.note(source, splitKnown.asSource);
  }

  /** Drops what waits here and is the other's, before the first entry after the split. */
  dropMoved(): void {
    const { state, meta, context } = this.#options;
    for (const work of allLongWork(state)) {
      if (!('did' in work) || context.isOwn(work.did)) continue;
      removeLongWork(state, work);
      meta.works--;
    }
    this.#dropKept();
    if (!context.isOwn(suggestionsKey)) {
      for (const table of [tableCode.suggestion, tableCode.suggestionOrder]) {
        const start = beginSlotKey(table).finish();
        for (const key of [...state.rows.scanKeys({ start, end: prefixEnd(start) })]) state.rows.remove(key);
      }
    }
    if (!hasMovedRows(state)) meta.works++;
    putLongWork(state, { type: 'split-sweep', after: emptyValue });
  }

  /**
   * Drops what is in quarantine for the other. Where effects of an author were skipped, both hold
   * on to what is kept of them: only after an operator's word are the skipped ones sent again.
   */
  #dropKept(): void {
    const { state, quarantine, context } = this.#options;
    for (const row of quarantinedEntries(state)) {
      const key = keptKey(state, row);
      if (key === null || context.isOwn(key)) continue;
      const isSkipping = row.origin !== null && getQuarantinedDid(state, row.did).skippedCount > 0;
      if (!isSkipping) quarantine.remove(row);
    }
  }
}
