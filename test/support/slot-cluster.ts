/**
 * All slots of a cluster in one process: effects travel until no slot owes another any.
 *
 * Real slots on real files, only without the wire. `random` draws the order in which effects of
 * different sources arrive, which must not change what is read once the cluster has settled.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { ByteWriter } from '../../src/base/bytes.ts';
import { invariant } from '../../src/base/invariant.ts';
import type { SeededRandom } from '../../src/base/seeded-random.ts';
import { type Effect, type Entry, routingKey } from '../../src/entry/entry.ts';
import { encodeEntry } from '../../src/entry/entry-codec.ts';
import type { LifecycleEntry } from '../../src/entry/lifecycle-entry.ts';
import { type Chunk, writeChunk } from '../../src/log/chunk.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import { Slot } from '../../src/slot/slot.ts';
import type { OutboxBatch } from '../../src/slot/table/outbox.ts';
import type { SlotState } from '../../src/slot/table/slot-state.ts';
import { originOf } from './effect-origin.ts';
import { makeMemoryFolder } from './memory-folder.ts';

/** Entries from outside all have an owner. */
export type OwnedEntry =
  | Exclude<Entry, { kind: 'delivered' | 'continue' | 'quarantine' | 'effect' } | LifecycleEntry>
  | { kind: 'effect'; effect: Effect };

export type SlotClusterOptions = {
  /** A power of two. */
  readonly slots: number;
  /** Folder of the slots; by default a temporary one, removed with the cluster. */
  readonly path?: string;
  readonly mapBytes?: number;
  /** Slots note what a search index must look at. */
  readonly isSearched?: boolean;
  /** The most entries that one transaction takes. */
  readonly entriesPerChunk?: number;
  /** Draws the order in which slots run and batches arrive. */
  readonly random?: SeededRandom;
  /** Batches that may wait for busy slots before one is delivered; by default any number. */
  readonly batchesWaitingMax?: number;
  /** Called after each transaction of a slot; may append. */
  readonly onRun?: (slot: number) => void;
};

type Parcel = { readonly source: number; readonly batch: OutboxBatch };

const mapBytesDefault = 2 ** 30;

export function bytesOfChunk(chunk: Chunk): Buffer {
  const writer = new ByteWriter(4096);
  writeChunk(writer, chunk);
  return writer.finish();
}

export class SlotCluster implements AsyncDisposable {
  readonly slots: readonly Slot[];
  readonly path: string;
  readonly #isTemporary: boolean;
  readonly #entriesPerChunk: number;
  readonly #random: SeededRandom | null;
  readonly #onRun: (slot: number) => void;
  readonly #batchesWaitingMax: number;
  readonly #waiting: Entry[][];
  readonly #parcels: Parcel[] = [];
  /** Append time of the next run; never decreases. Units: ms. */
  nowMs = Date.UTC(2025, 0, 1);

  private constructor(slots: readonly Slot[], path: string, options: SlotClusterOptions) {
    this.slots = slots;
    this.path = path;
    this.#isTemporary = options.path === undefined;
    this.#entriesPerChunk = options.entriesPerChunk ?? 500;
    this.#random = options.random ?? null;
    this.#onRun = options.onRun ?? (() => {});
    this.#batchesWaitingMax = options.batchesWaitingMax ?? Number.POSITIVE_INFINITY;
    this.#waiting = slots.map(() => []);
  }

  static open(options: SlotClusterOptions): SlotCluster {
    const path = options.path ?? makeMemoryFolder('skyshard-slots-');
    const slots = Array.from({ length: options.slots }, (_unused, index) =>
      Slot.open({
        index,
        slots: options.slots,
        path: SlotCluster.pathOf(path, index),
        mapBytes: options.mapBytes ?? mapBytesDefault,
        isSearched: options.isSearched ?? false,
      }),
    );
    return new SlotCluster(slots, path, options);
  }

  static pathOf(path: string, index: number): string {
    return join(path, `slot-${index}`);
  }

  slotOf(key: string): number {
    return slotOf(key, this.slots.length);
  }

  stateOf(key: string): SlotState {
    return this.slots[this.slotOf(key)]!.state;
  }

  /** Queues entries for the slots of their owners, in order. */
  append(...entries: readonly OwnedEntry[]): this {
    for (const entry of entries) {
      const key = entry.kind === 'effect' ? routingKey(entry.effect) : entry.did;
      this.#waiting[this.slotOf(key)]!.push(entry);
    }
    return this;
  }

  /** Applies what waits and delivers effects until no slot owes another any. */
  settle(): this {
    for (;;) {
      const busy = this.#busySlots();
      if (busy.length > 0 && this.#parcels.length <= this.#batchesWaitingMax) {
        this.#run(busy[this.#below(busy.length)]!);
        continue;
      }
      if (this.#parcels.length === 0) break;
      this.#deliver(this.#nextParcel());
    }
    for (const slot of this.slots) {
      const owed = slot.outbox.owedCount;
      invariant(owed === 0, `slot ${slot.index} owes nothing once all is delivered, not ${owed}`);
    }
    return this;
  }

  #below(bound: number): number {
    return this.#random === null ? 0 : this.#random.below(bound);
  }

  #busySlots(): number[] {
    return this.slots.flatMap(({ index, hasUnapplied }) =>
      hasUnapplied || this.#waiting[index]!.length > 0 ? [index] : [],
    );
  }

  /** Batches of one source for one target keep their order; the rest is drawn. */
  #nextParcel(): Parcel {
    const drawn = this.#parcels[this.#below(this.#parcels.length)]!;
    const isSameLine = ({ source, batch }: Parcel): boolean =>
      source === drawn.source && batch.target === drawn.batch.target;
    const index = this.#parcels.findIndex(isSameLine);
    return this.#parcels.splice(index, 1)[0]!;
  }

  #run(index: number): void {
    const entries = this.#waiting[index]!.splice(0, this.#entriesPerChunk);
    const chunk = { slot: index, origin: null, items: entries.map((entry) => encodeEntry(entry)), marks: [] };
    this.runChunks(index, entries.length === 0 ? [] : [bytesOfChunk(chunk)]);
  }

  /** Applies chunks, or a step of what waits, in one transaction; its effects wait for delivery. */
  runChunks(index: number, chunks: readonly Uint8Array[]): void {
    const result = this.slots[index]!.run(chunks, this.nowMs++);
    for (const outcome of result.outcomes) {
      invariant(outcome.status === 'durable', `slot ${index} takes what it is given (${JSON.stringify(outcome)})`);
    }
    for (const batch of result.batches) this.#parcels.push({ source: index, batch });
    this.#onRun(index);
  }

  #deliver({ source, batch }: Parcel): void {
    const origin = originOf(this.slots[source]!, batch.previousMark);
    this.runChunks(batch.target, [
      bytesOfChunk({ slot: batch.target, origin, items: batch.items, marks: batch.marks }),
    ]);
    this.#waiting[source]!.push({ kind: 'delivered', target: batch.target, mark: batch.lastMark });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const slot of this.slots) await slot[Symbol.asyncDispose]();
    if (this.#isTemporary) rmSync(this.path, { recursive: true, force: true });
  }
}
