/**
 * Applies the entries of a slot's lifecycle: sessions, generations, resends, and the brackets of
 * other slots' resends.
 *
 * A slot that learns that it lost the tail of its log goes on in a new generation, incomplete. Once
 * it is complete it sends all others all that it owes; a complete slot does so at once for a target
 * that lost its tail. A bracket tells the target what is no more, so an incomplete slot opens none.
 */
import type { BracketEffect, Entry, LifecycleEntry, SentEffect } from '../entry/entry.ts';
import type { ApplyContext } from './apply/apply-context.ts';
import { restateStep } from './apply/restate.ts';
import { beginSession, type SlotMeta } from './slot-meta.ts';
import type { Outbox } from './table/outbox.ts';
import { allTargets, nextResend, putResend, removeResend, removeResends } from './table/resend.ts';
import type { SlotState } from './table/slot-state.ts';

export type LifecycleApplierOptions = {
  readonly slots: number;
  readonly state: SlotState;
  readonly outbox: Outbox;
  readonly meta: SlotMeta;
  readonly context: ApplyContext;
  sendTo(target: number, effect: SentEffect): void;
  /** Runs `work`, whose effects go to one slot, or to all others. */
  restateTo<Result>(target: number, work: () => Result): Result;
};

const lifecycleKinds: ReadonlySet<Entry['kind']> = new Set<LifecycleEntry['kind']>([
  'opened',
  'tail-lost',
  'completed',
  'resend',
  'resend-step',
]);

/** True for an entry of a slot's lifecycle. */
export function isLifecycleEntry(entry: Entry): entry is LifecycleEntry {
  return lifecycleKinds.has(entry.kind);
}

export class LifecycleApplier {
  readonly #options: LifecycleApplierOptions;

  constructor(options: LifecycleApplierOptions) {
    this.#options = options;
  }

  apply(seq: number, entry: LifecycleEntry): void {
    const { state, meta } = this.#options;
    switch (entry.kind) {
      case 'opened':
        beginSession(state, meta, { id: entry.session, firstSeq: seq });
        if (meta.cluster === '') meta.cluster = entry.cluster;
        // The first entry of all founds the slot.
        if (seq === 1) Object.assign(meta, { generation: entry.generation, condition: entry.condition });
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
    }
  }

  #restartChains(): void {
    const { slots, state, outbox } = this.#options;
    for (let target = 0; target < slots; target++) if (target !== state.index) outbox.restart(target);
  }

  #complete(): void {
    const { state, meta } = this.#options;
    const wasIncomplete = meta.condition === 'incomplete';
    meta.condition = 'complete';
    if (!wasIncomplete) return;
    removeResends(state);
    putResend(state, { target: allTargets, after: Buffer.alloc(0) });
    this.#sendBracket(allTargets, { type: 'resend-begin' });
  }

  #resend(target: number): void {
    const { state, meta, outbox } = this.#options;
    if (target === state.index) return;
    outbox.restart(target);
    putResend(state, { target, after: Buffer.alloc(0) });
    if (meta.condition === 'complete') this.#sendBracket(target, { type: 'resend-begin' });
  }

  #resendStep(): void {
    const { state, meta, context, restateTo } = this.#options;
    const resend = nextResend(state);
    if (resend === undefined) return;
    const { target } = resend;
    const after = restateTo(target, () => restateStep(context, resend.after));
    if (after !== null) return putResend(state, { target, after });
    if (meta.condition === 'complete') this.#sendBracket(target, { type: 'resend-end' });
    removeResend(state, target);
  }

  #sendBracket(target: number, effect: BracketEffect): void {
    const { slots, state, sendTo } = this.#options;
    if (target !== allTargets) return sendTo(target, effect);
    for (let slot = 0; slot < slots; slot++) if (slot !== state.index) sendTo(slot, effect);
  }

  /** Opens or ends the bracket of a source. */
  applyBracket(seq: number, source: number, { type }: BracketEffect): void {
    const { context } = this.#options;
    const { brackets } = context;
    const open = brackets.of(source);
    if (type === 'resend-begin') {
      if (open !== undefined) context.longWork({ type: 'bracket-clear', source, bracket: open });
      brackets.begin(source, seq);
    } else if (open !== undefined) {
      context.longWork({ type: 'bracket-sweep', source, bracket: open, after: Buffer.alloc(0) });
    }
  }
}
