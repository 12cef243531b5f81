/**
 * Applies entries one by one, in the transaction of its slot.
 *
 * Owns what an entry is between its begin and its end: its seq, the effects that it sent, the
 * effects within the slot that are applied before the next entry, the long work that goes on.
 */
import { reachCrashPoint } from '../base/crash-point.ts';
import { invariant } from '../base/invariant.ts';
import type { Effect, Entry, SentEffect } from '../entry/entry.ts';
import { routingKey } from '../entry/entry.ts';
import { type EffectOrigin, effectsPerEntryMax, markOf } from '../log/chunk.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import {
  type ApplyContext,
  effectsOfEntryMax,
  entriesPerStep,
  entryStepUs,
  idleStepUs,
  inlineRepoWorkUs,
  inlineWorkUs,
  workCostUs,
} from './apply/apply-context.ts';
import { applyEffect, applyEntry } from './apply/apply-entry.ts';
import { beginLongWork, continueLongWork } from './apply/long-work-apply.ts';
import type { EffectSources } from './effect-sources.ts';
import { isLifeEntry, LifeApplier } from './life-applier.ts';
import type { SlotMeta } from './slot-meta.ts';
import { Brackets } from './table/bracket.ts';
import type { Outbox } from './table/outbox.ts';
import { allTargets } from './table/resend.ts';
import type { SlotState } from './table/slot-state.ts';
import type { WaitingChunk } from './waiting-chunk.ts';

const wholeRepoKinds: ReadonlySet<Entry['kind']> = new Set(['account', 'resync-begin', 'resync-end']);

export type EntryApplierOptions = {
  readonly slots: number;
  readonly state: SlotState;
  readonly outbox: Outbox;
  readonly sources: EffectSources;
  /** The slot's own, which the applier moves on. */
  readonly meta: SlotMeta;
};

export class EntryApplier {
  readonly #slots: number;
  readonly #index: number;
  readonly #outbox: Outbox;
  readonly #sources: EffectSources;
  readonly #meta: SlotMeta;
  readonly #life: LifeApplier;
  readonly #brackets: Brackets;
  readonly #context: ApplyContext & { appendMs: number; source: number; isIncomplete: boolean; isResent: boolean };
  /** The open bracket of the source whose effect is being applied, if any. */
  #bracket = 0;
  /** The one slot to which a restated effect goes, all of them, or null while none is restated. */
  #restatedTo: number | null = null;
  /** Of the entry being applied: its seq, the count of effects sent, the effects on this slot. */
  #seq = 0;
  #sentOfEntry = 0;
  readonly #localEffects: Effect[] = [];
  /** Event time of the last entry from outside since opening; 0 before the first. Units: ms. */
  lastEventMs = 0;

  constructor(options: EntryApplierOptions) {
    this.#slots = options.slots;
    this.#index = options.state.index;
    this.#outbox = options.outbox;
    this.#sources = options.sources;
    this.#meta = options.meta;
    this.#brackets = new Brackets(options.state);
    this.#context = {
      state: options.state,
      brackets: this.#brackets,
      appendMs: 0,
      source: options.state.index,
      isIncomplete: false,
      isResent: false,
      confirm: (key) => {
        if (this.#context.isResent) this.#brackets.confirm(this.#context.source, this.#bracket, key);
      },
      slotOf: (key) => slotOf(key, this.#slots),
      workUsLeft: 0,
      send: (effect) => this.#send(effect),
      longWork: (work) => {
        if (beginLongWork(this.#context, work)) this.#meta.works++;
      },
    };
    this.#life = new LifeApplier({
      ...options,
      context: this.#context,
      sendTo: (target, effect) => this.#sendTo(target, effect),
      restateTo: (target, work) => {
        this.#restatedTo = target;
        try {
          return work();
        } finally {
          this.#restatedTo = null;
        }
      },
    });
  }

  /** Drops what an aborted transaction left. */
  reset(): void {
    this.#localEffects.length = 0;
    this.#brackets.reload();
  }

  applyChunk(logged: WaitingChunk): void {
    const { chunk, firstSeq, appendMs, entries } = logged;
    const source = chunk.origin === null ? undefined : this.#sources.of(chunk.origin.slot);
    entries.forEach((item, index) => {
      const seq = firstSeq + index;
      // After a crash the log's first unapplied chunk may begin at or below the cursor.
      if (seq <= this.#meta.cursor) return;
      if (item.kind === 'effect' && chunk.origin !== null) {
        this.#applyForeignEffect(seq, appendMs, chunk.origin, chunk.marks[index]!, item.effect);
      } else this.#applyItem(seq, appendMs, item);
      this.#meta.cursor = seq;
    });
    if (chunk.origin !== null && this.#sources.of(chunk.origin.slot) !== source) this.#sources.put(chunk.origin.slot);
  }

  #applyForeignEffect(seq: number, appendMs: number, origin: EffectOrigin, mark: number, effect: SentEffect): void {
    if (origin.generation < this.#sources.of(origin.slot).generation) return;
    if (mark <= this.#sources.lastMark(origin)) return;
    const context = this.#begin(seq, appendMs);
    if (effect.type === 'resend-begin' || effect.type === 'resend-end')
      this.#life.applyBracket(seq, origin.slot, effect);
    else this.#applyOf(origin.slot, context, effect);
    this.#end();
    this.#sources.pass(origin, mark);
    this.#meta.receivedCount++;
  }

  #applyOf(source: number, context: ApplyContext, effect: Effect): void {
    const bracket = this.#brackets.of(source);
    this.#context.source = source;
    this.#bracket = bracket ?? 0;
    this.#context.isResent = bracket !== undefined;
    applyEffect(context, effect);
    this.#context.source = this.#index;
    this.#context.isResent = false;
  }

  #applyItem(seq: number, appendMs: number, entry: Entry): void {
    if (entry.kind === 'delivered') {
      this.#outbox.trim(entry.target, entry.mark);
      reachCrashPoint('outbox-after-trim');
      return;
    }
    if ('eventMs' in entry) this.lastEventMs = entry.eventMs;
    const context = this.#begin(seq, appendMs);
    if (entry.kind === 'continue') return this.#continue(idleStepUs);
    if (isLifeEntry(entry)) this.#life.apply(seq, entry);
    else if (entry.kind === 'effect') {
      // Brackets come from other slots only.
      const { effect } = entry;
      if (effect.type !== 'resend-begin' && effect.type !== 'resend-end') applyEffect(context, effect);
    } else {
      if (wholeRepoKinds.has(entry.kind)) context.workUsLeft = inlineRepoWorkUs;
      applyEntry(context, entry);
    }
    this.#end();
  }

  /** Starts an entry. Returns what its rule may use. */
  #begin(seq: number, appendMs: number): ApplyContext {
    this.#seq = seq;
    this.#sentOfEntry = 0;
    this.#context.appendMs = appendMs;
    this.#context.workUsLeft = inlineWorkUs;
    this.#context.isIncomplete = this.#meta.condition !== 'complete';
    return this.#context;
  }

  #send(effect: Effect): void {
    this.#context.workUsLeft -= workCostUs.effect;
    const target = slotOf(routingKey(effect), this.#slots);
    const to = this.#restatedTo;
    if (to !== null && (target === this.#index || (to !== allTargets && target !== to))) return;
    if (target === this.#index) this.#localEffects.push(effect);
    else this.#sendTo(target, effect);
  }

  #sendTo(target: number, effect: SentEffect): void {
    invariant(this.#sentOfEntry < effectsPerEntryMax, 'an entry sends fewer effects than its marks can number');
    this.#outbox.add(target, markOf(this.#seq, this.#sentOfEntry++), effect);
    this.#meta.sentCount++;
  }

  /** Applies effects on this slot, and those that they cause here, in the order they were sent. */
  #applyLocalEffects(): void {
    for (let index = 0; index < this.#localEffects.length; index++) {
      invariant(index < effectsOfEntryMax, 'effects within a slot come to an end');
      applyEffect(this.#context, this.#localEffects[index]!);
    }
    this.#localEffects.length = 0;
  }

  /** Ends an entry: what it caused in this slot is applied, and waiting work goes on a little. */
  #end(): void {
    this.#applyLocalEffects();
    if (this.#meta.works > 0 && this.#seq % entriesPerStep === 0) this.#continue(entryStepUs);
  }

  #continue(costUs: number): void {
    this.#context.workUsLeft = costUs;
    // Work that ends may begin other work, so the count is read after it.
    const endedCount = continueLongWork(this.#context);
    this.#meta.works -= endedCount;
    this.#applyLocalEffects();
  }
}
