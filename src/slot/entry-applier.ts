/**
 * Applies entries one by one, in the transaction of its slot.
 *
 * Owns what an entry is between its begin and its end: its seq, the effects that it sent, the
 * effects within the slot that are applied before the next entry, the work that it continues.
 */
import { ByteWriter } from '../base/bytes.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { invariant } from '../base/invariant.ts';
import type { ContinueWork, Effect, Entry } from '../entry/entry.ts';
import { routingKey } from '../entry/entry.ts';
import { encodeEntry } from '../entry/entry-codec.ts';
import { type Chunk, type EffectOrigin, effectsPerEntryMax, markOf, writeChunk } from '../log/chunk.ts';
import type { EmbeddedLog } from '../log/embedded-log.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import type { ApplyContext } from './apply/apply-context.ts';
import { applyEffect, applyEntry } from './apply/apply-entry.ts';
import type { EffectSources } from './effect-sources.ts';
import type { SlotMeta } from './slot-meta.ts';
import type { Outbox } from './table/outbox.ts';
import type { SlotState } from './table/slot-state.ts';
import type { WaitingChunk } from './waiting-chunk.ts';

/**
 * Effects within the slot may cause others; a loop among rules would be a defect. A commit may hold
 * 200 posts that come after their replies, each of which makes a thousand replies notify their
 * ancestors again.
 */
const localEffectsMax = 4_000_000;

export type EntryApplierOptions = {
  readonly slots: number;
  readonly state: SlotState;
  readonly log: EmbeddedLog;
  readonly outbox: Outbox;
  readonly sources: EffectSources;
  /** The slot's own, which the applier moves on. */
  readonly meta: SlotMeta;
};

export class EntryApplier {
  readonly #slots: number;
  readonly #index: number;
  readonly #log: EmbeddedLog;
  readonly #outbox: Outbox;
  readonly #sources: EffectSources;
  readonly #meta: SlotMeta;
  readonly #context: ApplyContext & { appendMs: number };
  /** Of the entry being applied: its seq, the count of effects sent, the effects on this slot. */
  #seq = 0;
  #sentOfEntry = 0;
  readonly #localEffects: Effect[] = [];
  /** Chunks that rules appended to the log; the slot applies them next. */
  readonly continued: WaitingChunk[] = [];
  /** Event time of the last entry from outside since opening; 0 before the first. Units: ms. */
  lastEventMs = 0;

  constructor(options: EntryApplierOptions) {
    this.#slots = options.slots;
    this.#index = options.state.index;
    this.#log = options.log;
    this.#outbox = options.outbox;
    this.#sources = options.sources;
    this.#meta = options.meta;
    this.#context = {
      state: options.state,
      appendMs: 0,
      send: (effect) => this.#send(effect),
      continueWith: (did, work) => this.#continueWith(did, work),
    };
  }

  /** Drops what an aborted transaction left. */
  reset(): void {
    this.#localEffects.length = 0;
    this.continued.length = 0;
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

  #applyForeignEffect(seq: number, appendMs: number, origin: EffectOrigin, mark: number, effect: Effect): void {
    if (origin.generation < this.#sources.of(origin.slot).generation) return;
    if (mark <= this.#sources.lastMark(origin)) return;
    applyEffect(this.#begin(seq, appendMs), effect);
    this.#applyLocalEffects();
    this.#sources.pass(origin, mark);
    this.#meta.receivedCount++;
  }

  #applyItem(seq: number, appendMs: number, entry: Entry): void {
    if (entry.kind === 'delivered') {
      this.#outbox.trim(entry.target, entry.mark);
      reachCrashPoint('outbox-after-trim');
      return;
    }
    if ('eventMs' in entry) this.lastEventMs = entry.eventMs;
    if (entry.kind === 'effect') applyEffect(this.#begin(seq, appendMs), entry.effect);
    else applyEntry(this.#begin(seq, appendMs), entry);
    this.#applyLocalEffects();
  }

  /** Starts an entry. Returns what its rule may use. */
  #begin(seq: number, appendMs: number): ApplyContext {
    this.#seq = seq;
    this.#sentOfEntry = 0;
    this.#context.appendMs = appendMs;
    return this.#context;
  }

  #send(effect: Effect): void {
    const target = slotOf(routingKey(effect), this.#slots);
    if (target === this.#index) {
      this.#localEffects.push(effect);
      return;
    }
    invariant(this.#sentOfEntry < effectsPerEntryMax, 'an entry sends fewer effects than its marks can number');
    this.#outbox.add(target, markOf(this.#seq, this.#sentOfEntry++), effect);
    this.#meta.sentCount++;
  }

  /** Applies effects on this slot, and those that they cause here, in the order they were sent. */
  #applyLocalEffects(): void {
    for (let index = 0; index < this.#localEffects.length; index++) {
      invariant(index < localEffectsMax, 'effects within a slot come to an end');
      applyEffect(this.#context, this.#localEffects[index]!);
    }
    this.#localEffects.length = 0;
  }

  #continueWith(did: string, work: ContinueWork): void {
    const { appendMs } = this.#context;
    const entry = { kind: 'continue', did, work } as const;
    const item = encodeEntry(entry);
    const chunk: Chunk = { slot: this.#index, origin: null, items: [item], marks: [] };
    const writer = new ByteWriter(item.length + 32);
    writeChunk(writer, chunk);
    const firstSeq = this.#log.append(writer.finish(), 1, appendMs);
    this.continued.push({ firstSeq, appendMs, chunk, entries: [entry] });
  }
}
