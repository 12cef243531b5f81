/**
 * Applies entries one by one, in the transaction of its slot.
 *
 * Owns what an entry is between its begin and its end: its seq, the effects that it sent, the
 * effects within the slot that are applied before the next entry, the long work that goes on.
 */
import { reachCrashPoint } from '../base/crash-point.ts';
import { invariant } from '../base/invariant.ts';
import type { Effect, EffectEntry, Entry, OutsideEntry, QuarantineEntry, SentEffect } from '../entry/entry.ts';
import { isSlotEffect, routingKey } from '../entry/entry.ts';
import { isLifecycleEntry } from '../entry/lifecycle-entry.ts';
import { type EffectOrigin, effectsPerEntryMax, markOf } from '../log/chunk.ts';
import { isStorageFailure } from '../storage/storage-failure.ts';
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
import { beginLongWork, continueLongWork, merged } from './apply/long-work-apply.ts';
import type { AttemptFile } from './attempt-file.ts';
import type { EffectSources } from './effect-sources.ts';
import { EntryFailure, ProcessDied } from './entry-failure.ts';
import { EventTimes } from './event-times.ts';
import { LifecycleApplier } from './lifecycle-applier.ts';
import type { Quarantine } from './quarantine.ts';
import { takeFromQuarantine } from './quarantine-retry.ts';
import type { SlotMeta } from './slot-meta.ts';
import type { SlotRouting } from './slot-routing.ts';
import { Brackets } from './table/bracket.ts';
import { findLongWork, nextLongWork, putLongWork } from './table/long-work.ts';
import type { Outbox } from './table/outbox.ts';
import { allTargets } from './table/resend.ts';
import type { SlotState } from './table/slot-state.ts';
import type { WaitingChunk } from './waiting-chunk.ts';

const wholeRepoKinds: ReadonlySet<Entry['kind']> = new Set(['account', 'resync-begin', 'resync-end']);

export type EntryApplierOptions = {
  readonly routing: SlotRouting;
  /** True once the slot has split, until its child is made: nothing is applied meanwhile. */
  readonly awaitsChild: () => boolean;
  readonly state: SlotState;
  readonly outbox: Outbox;
  readonly sources: EffectSources;
  /** The slot's own, which the applier moves on. */
  readonly meta: SlotMeta;
  readonly quarantine: Quarantine;
  readonly attempt: AttemptFile;
  readonly rules?: ApplyRules | undefined;
};

/** The rules that apply entries and effects; tests pass in faults. */
export type ApplyRules = { readonly applyEntry: typeof applyEntry; readonly applyEffect: typeof applyEffect };

/** `workKey`: the piece of long work under way after the entry, if one is. */
type OwnContext = ApplyContext & {
  appendMs: number;
  isIncomplete: boolean;
  hasLost: boolean;
  isResent: boolean;
  workKey: Buffer | null;
};

export class EntryApplier {
  readonly #routing: SlotRouting;
  readonly #awaitsChild: () => boolean;
  readonly #index: number;
  readonly #outbox: Outbox;
  readonly #sources: EffectSources;
  readonly #meta: SlotMeta;
  readonly #lifecycle: LifecycleApplier;
  readonly #brackets: Brackets;
  readonly #rules: ApplyRules;
  readonly #quarantine: Quarantine;
  readonly #attempt: AttemptFile;
  readonly #context: OwnContext;
  /** The open bracket of the source whose effect is being applied, if any. */
  #bracket = { source: 0, number: 0 };
  /** The one slot to which a restated effect goes, all of them, or null while none is restated. */
  #restatedTo: number | null = null;
  /** Of the entry being applied: its seq, the count of effects sent, the effects on this slot. */
  #seq = 0;
  #sentOfEntry = 0;
  readonly #localEffects: Effect[] = [];
  readonly eventTimes = new EventTimes();

  constructor(options: EntryApplierOptions) {
    this.#routing = options.routing;
    this.#awaitsChild = options.awaitsChild;
    this.#index = options.state.index;
    this.#outbox = options.outbox;
    this.#sources = options.sources;
    this.#meta = options.meta;
    this.#rules = options.rules ?? { applyEntry, applyEffect };
    this.#quarantine = options.quarantine;
    this.#attempt = options.attempt;
    this.#brackets = new Brackets(options.state);
    this.#context = {
      state: options.state,
      brackets: this.#brackets,
      appendMs: 0,
      isIncomplete: false,
      hasLost: false,
      isResent: false,
      confirm: (key) => {
        const { source, number } = this.#bracket;
        if (this.#context.isResent) this.#brackets.confirm(source, number, key);
      },
      isOwn: (key) => this.#routing.slotOf(key) === this.#index,
      workUsLeft: 0,
      ownerWithoutDuplicates: null,
      workKey: null,
      send: (effect) => this.#send(effect),
      longWork: (work) => {
        if (beginLongWork(this.#context, work)) this.#meta.works++;
      },
    };
    this.#lifecycle = new LifecycleApplier({
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
    this.#context.isResent = false;
    this.#brackets.reload();
    this.eventTimes.reset();
  }

  /**
   * Applies the entries of a chunk up to `lastSeq`.
   *
   * Errors: EntryFailure at an entry that cannot be applied; what storage throws, as it is.
   */
  applyChunk(logged: WaitingChunk, lastSeq = Number.POSITIVE_INFINITY): void {
    const { chunk, firstSeq, entries } = logged;
    const source = chunk.origin === null ? undefined : this.#sources.of(chunk.origin.slot);
    for (let index = 0; index < entries.length; index++) {
      const seq = firstSeq + index;
      // After a crash the log's first unapplied chunk may begin at or below the cursor.
      if (seq <= this.#meta.cursor) continue;
      if (seq > lastSeq || this.#awaitsChild()) break;
      this.dropMovedBefore(seq);
      try {
        this.#applyAt(logged, index, entries[index]!);
      } catch (thrown) {
        throw isStorageFailure(thrown) ? thrown : new EntryFailure(seq, this.#context.workKey, thrown);
      }
      this.#meta.cursor = seq;
    }
    if (chunk.origin !== null && this.#sources.of(chunk.origin.slot) !== source) this.#sources.put(chunk.origin.slot);
  }

  /** Drops what is another slot's before the entry after a split. */
  dropMovedBefore(seq: number): void {
    if (seq > 1 && seq === this.#meta.splitSeq + 1) this.#lifecycle.dropMoved();
  }

  #applyAt({ chunk, firstSeq, appendMs }: WaitingChunk, index: number, item: Entry): void {
    const seq = firstSeq + index;
    this.#context.workKey = null;
    if (this.#attempt.isCareful && item.kind !== 'delivered' && this.#attempt.beginEntry(chunk.items[index]!)) {
      throw new ProcessDied();
    }
    if (chunk.origin !== null && item.kind === 'effect') {
      this.#applyForeignEffect(seq, appendMs, chunk.origin, chunk.marks[index]!, item);
    } else this.#applyItem(seq, appendMs, item);
  }

  #applyForeignEffect(seq: number, appendMs: number, origin: EffectOrigin, mark: number, entry: EffectEntry): void {
    if (origin.generation < this.#sources.of(origin.slot).generation) return;
    const lastMark = this.#sources.lastMark(origin);
    // Since its chunk was entered, a source may have been found to have to send all again.
    if (mark <= lastMark || origin.previousMark > lastMark) return;
    if (!this.#quarantine.isActive || !this.#quarantine.passes(entry)) {
      const { effect } = entry;
      this.#begin(seq, appendMs);
      if (isSlotEffect(effect)) this.#lifecycle.applySlotEffect(seq, origin, mark, effect);
      else this.#applyOf(origin.slot, effect);
      this.#end();
    }
    this.#sources.pass(origin, mark);
    if (!isSlotEffect(entry.effect)) this.#meta.receivedCount++;
  }

  #applyOf(source: number, effect: Effect): void {
    const from = this.#brackets.sourceFor(source);
    if (from !== undefined) this.#bracket = { source: from, number: this.#brackets.of(from)! };
    this.#context.isResent = from !== undefined;
    this.#rules.applyEffect(this.#context, effect);
    this.#context.isResent = false;
  }

  #applyItem(seq: number, appendMs: number, entry: Entry): void {
    if (entry.kind === 'delivered') {
      this.#outbox.trim(entry.target, entry.mark);
      reachCrashPoint('outbox-after-trim');
      return;
    }
    if ('eventMs' in entry) this.eventTimes.add(entry.eventMs);
    if (this.#quarantine.isActive && this.#quarantine.passes(entry)) return;
    this.#begin(seq, appendMs);
    if (entry.kind === 'continue') return this.#continue(idleStepUs);
    if (isLifecycleEntry(entry)) this.#lifecycle.apply(seq, entry);
    else if (entry.kind === 'quarantine') this.#applyQuarantine(entry);
    else if (entry.kind === 'effect') this.#applyEffectOf(this.#index, entry.effect);
    else this.#applyOutside(entry);
    this.#end();
  }

  /** Brackets come from other slots only. */
  #applyEffectOf(source: number, effect: SentEffect): void {
    if (!isSlotEffect(effect)) this.#applyOf(source, effect);
  }

  #applyOutside(entry: OutsideEntry): void {
    if (wholeRepoKinds.has(entry.kind)) this.#context.workUsLeft = inlineRepoWorkUs;
    this.#rules.applyEntry(this.#context, entry);
  }

  /** Applies once more what is kept, or drops it. One that fails again stays. */
  #applyQuarantine(entry: QuarantineEntry): void {
    const { state } = this.#context;
    const again = takeFromQuarantine(state, this.#quarantine, entry);
    if (again === null) return;
    if (again.type === 'entry') return this.#applyOutside(again.entry);
    if (again.type === 'effect') {
      // A split may have given what it is about to another slot.
      if (isSlotEffect(again.effect) || !this.#context.isOwn(routingKey(again.effect))) return;
      return this.#applyOf(again.source, again.effect);
    }
    const later = findLongWork(state, again.work);
    if (later === undefined) this.#meta.works++;
    putLongWork(state, later === undefined ? again.work : merged(again.work, later));
  }

  /** Starts an entry. */
  #begin(seq: number, appendMs: number): void {
    this.#seq = seq;
    this.#sentOfEntry = 0;
    this.#context.appendMs = appendMs;
    this.#context.workUsLeft = inlineWorkUs;
    this.#context.isIncomplete = this.#meta.condition !== 'complete';
    this.#context.hasLost = this.#meta.condition === 'incomplete';
  }

  #send(effect: Effect): void {
    this.#context.workUsLeft -= workCostUs.effect;
    const target = this.#routing.slotOf(routingKey(effect));
    const to = this.#restatedTo;
    if (to !== null && to !== allTargets && target !== to) return;
    // What this slot owed itself it has applied, but for the answers that it held back.
    if (to !== null && target === this.#index && effect.type !== 'gate-answer') return;
    if (target === this.#index) this.#localEffects.push(effect);
    else this.#sendTo(target, effect);
  }

  #sendTo(target: number, effect: SentEffect): void {
    invariant(this.#sentOfEntry < effectsPerEntryMax, 'an entry sends fewer effects than its marks can number');
    this.#outbox.add(target, markOf(this.#seq, this.#sentOfEntry++), effect);
    // Those to slots as such may be two by the time they are received.
    if (!isSlotEffect(effect)) this.#meta.sentCount++;
  }

  /** Applies effects on this slot, and those that they cause here, in the order they were sent. */
  #applyLocalEffects(): void {
    for (let index = 0; index < this.#localEffects.length; index++) {
      invariant(index < effectsOfEntryMax, 'effects within a slot come to an end');
      this.#rules.applyEffect(this.#context, this.#localEffects[index]!);
    }
    this.#localEffects.length = 0;
  }

  /** Ends an entry: what it caused in this slot is applied, and waiting work goes on a little. */
  #end(): void {
    this.#applyLocalEffects();
    // Nothing follows the word of a split in its own entry, and what waits may be the child's.
    if (this.#meta.splitSeq === this.#seq) return;
    if (this.#meta.works > 0 && this.#seq % entriesPerStep === 0) this.#continue(entryStepUs);
  }

  #continue(costUs: number): void {
    this.#context.workUsLeft = costUs;
    while (this.#context.workUsLeft > 0) {
      const next = nextLongWork(this.#context.state);
      if (next === undefined) break;
      this.#context.workKey = next.key;
      if (this.#attempt.isCareful && this.#attempt.beginWork(next.key)) throw new ProcessDied();
      if (continueLongWork(this.#context, next)) this.#meta.works--;
      this.#applyLocalEffects();
    }
  }
}
