/**
 * Applies the entries of a slot's lifecycle: sessions, generations, resends, and the brackets of
 * other slots' resends.
 *
 * A slot that learns that it lost the tail of its log goes on in a new generation, incomplete. Once
 * it is complete it sends all others all that it owes; a complete slot does so at once for a target
 * that lost its tail. A bracket tells the target what is no more, so an incomplete slot opens none.
 */
import type { SentEffect, SlotEffect } from '../entry/entry.ts';
import type { LifecycleEntry } from '../entry/lifecycle-entry.ts';
import type { EffectOrigin } from '../log/chunk.ts';
import { restateStep } from './apply/restate.ts';
import { beginSession, isChild } from './slot-meta.ts';
import { SplitApplier, type SplitApplierOptions } from './split-applier.ts';
import { hasMovedRows } from './table/long-work.ts';
import { allResends, allTargets, nextResend, putResend, removeResend, removeResends } from './table/resend.ts';
import { emptyValue, type SlotState } from './table/slot-state.ts';

export type LifecycleApplierOptions = SplitApplierOptions & {
  /** Runs `work`, whose effects go to one slot, or to all others. */
  restateTo<Result>(target: number, work: () => Result): Result;
};

/** Returns the resend that goes on now: none walks over rows that have moved. */
export function resendUnderWay(state: SlotState): ReturnType<typeof nextResend> {
  const next = nextResend(state);
  return next === undefined || hasMovedRows(state) ? undefined : next;
}

export class LifecycleApplier {
  readonly #options: LifecycleApplierOptions;
  readonly #splits: SplitApplier;

  constructor(options: LifecycleApplierOptions) {
    this.#options = options;
    this.#splits = new SplitApplier(options);
  }

  apply(seq: number, entry: LifecycleEntry): void {
    const { state, meta } = this.#options;
    switch (entry.kind) {
      case 'opened':
        beginSession(state, meta, { id: entry.session, firstSeq: seq });
        if (meta.cluster === '') meta.cluster = entry.cluster;
        // The first entry of all founds the slot.
        if (seq === 1) Object.assign(meta, { generation: entry.generation, condition: entry.condition });
        if (isChild(state.index, meta) && seq === meta.splitSeq + 1) this.#beginResendsAgain();
        return;
      case 'tail-lost':
        // Several peers may find the same loss.
        if (entry.lostIn !== meta.generation) return;
        meta.generation = Math.max(meta.generation + 1, entry.generation);
        meta.condition = 'incomplete';
        state.becameIncomplete = true;
        return this.#restartChains();
      case 'completed':
        return this.#complete();
      case 'resend':
        return this.#resend(entry.target);
      case 'resend-step':
        return this.#resendStep();
      case 'split':
        if (!this.#splits.isNext(entry)) return;
        // Before others hear of the split: what was restated as one is not what each has to.
        this.#beginResendsAgain();
        return this.#splits.split(seq, entry);
      case 'target-split':
        return this.#splits.targetSplit(entry.target, entry.slots);
    }
  }

  /** Drops what waits here and is another slot's, before the first entry after a split. */
  dropMoved(): void {
    this.#splits.dropMoved();
  }

  #beginResendsAgain(): void {
    const { state, meta } = this.#options;
    for (const { target } of allResends(state)) {
      putResend(state, { target, after: emptyValue });
      if (meta.condition === 'complete') this.#sendBracket(target, { type: 'resend-begin' });
    }
  }

  #restartChains(): void {
    const { routing, outbox } = this.#options;
    for (const target of routing.others()) outbox.restart(target);
  }

  #complete(): void {
    const { state, meta } = this.#options;
    const wasIncomplete = meta.condition === 'incomplete';
    meta.condition = 'complete';
    if (!wasIncomplete) return;
    removeResends(state);
    putResend(state, { target: allTargets, after: Buffer.alloc(0) });
    this.#sendBracket(allTargets, { type: 'resend-begin' });
    for (const target of this.#options.routing.others()) this.#splits.sayAgain(target);
  }

  #resend(target: number): void {
    const { state, meta, outbox } = this.#options;
    if (target === state.index) return;
    outbox.restart(target);
    this.#splits.forgetChild(target);
    putResend(state, { target, after: Buffer.alloc(0) });
    if (meta.condition === 'complete') this.#sendBracket(target, { type: 'resend-begin' });
    this.#splits.sayAgain(target);
  }

  #resendStep(): void {
    const { state, meta, context, restateTo } = this.#options;
    const resend = resendUnderWay(state);
    if (resend === undefined) return;
    const { target } = resend;
    const after = restateTo(target, () => restateStep(context, resend.after));
    if (after !== null) return putResend(state, { target, after });
    if (meta.condition === 'complete') this.#sendBracket(target, { type: 'resend-end' });
    removeResend(state, target);
  }

  #sendBracket(target: number, effect: SentEffect): void {
    const { routing, sendTo } = this.#options;
    if (target !== allTargets) return sendTo(target, effect);
    for (const slot of routing.others()) sendTo(slot, effect);
  }

  /** Opens or ends the bracket of a source, or notes its split. */
  applySlotEffect(seq: number, origin: EffectOrigin, mark: number, effect: SlotEffect): void {
    const { context, routing } = this.#options;
    const { brackets } = context;
    if (effect.type === 'split') return this.#splits.sourceSplit(origin, mark, effect);
    const source = origin.slot;
    const open = brackets.of(source);
    if (effect.type === 'resend-begin') {
      if (open !== undefined) context.longWork({ type: 'bracket-clear', source, bracket: open });
      brackets.begin(source, seq);
    } else if (open !== undefined) {
      brackets.sweep(source, routing.slotsOfSource(source));
      context.longWork({ type: 'bracket-sweep', source, bracket: open, after: Buffer.alloc(0) });
    }
  }
}
