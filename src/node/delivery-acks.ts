/**
 * Delivery acks: entries in a source slot's own log, saying up to which mark a target has effects.
 *
 * Owns: batching, so that one commit takes many, and retries. An ack lets the source trim its
 * outbox; after a restart it sends effects without one again.
 */
import { ByteWriter } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { encodeEntry } from '../entry/entry-codec.ts';
import { type ChunkOutcome, writeChunk } from '../log/chunk.ts';
import type { Slot } from '../slot/slot.ts';
import type { ApplyQueue } from './apply-queue.ts';

/** `retryDelay` waits before the next attempt, given the number of failures in a row. */
export type DeliveryAcksOptions = {
  readonly queue: () => ApplyQueue;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly retryDelay: (failures: number) => Promise<void>;
};

/** The pending acks of a source, of which each target needs only the highest mark. */
type PendingAcks = { readonly markByTarget: Map<number, number>; failures: number };

/** Acks wait longer than entries for a batch and for a commit, since they only free disk space. */
const batchMs = 50;
const lingerMs = 50;

export class DeliveryAcks {
  readonly #options: DeliveryAcksOptions;
  readonly #pendingBySource = new Map<Slot, PendingAcks>();
  readonly #writer = new ByteWriter(4096);

  constructor(options: DeliveryAcksOptions) {
    this.#options = options;
  }

  /** Acknowledges effects of `source` at `target` up to `mark`, after `failures` refusals. */
  add(source: Slot, target: number, mark: number, failures = 0): void {
    const pending = this.#pendingBySource.get(source);
    if (pending !== undefined) {
      pending.failures = Math.max(failures, pending.failures);
      pending.markByTarget.set(target, Math.max(mark, pending.markByTarget.get(target) ?? 0));
      return;
    }
    const acks: PendingAcks = { markByTarget: new Map([[target, mark]]), failures };
    this.#pendingBySource.set(source, acks);
    const { clock, signal } = this.#options;
    void clock.sleep(batchMs, signal).then(() => {
      this.#pendingBySource.delete(source);
      if (!signal.aborted) this.#append(source, acks);
    });
  }

  /** Retries until the acks are in the source's log, since nothing else would repeat them. */
  #append(source: Slot, { markByTarget, failures }: PendingAcks): void {
    if (!source.own.acts) return;
    reachCrashPoint('delivered-before-append');
    const items = [...markByTarget].map(([target, mark]) => encodeEntry({ kind: 'delivered', target, mark }));
    writeChunk(this.#writer, { slot: source.index, origin: null, items, marks: [] });
    const { queue, signal, retryDelay } = this.#options;
    const onOutcome = (outcome: ChunkOutcome): void => {
      if (outcome.status !== 'refused') return;
      void retryDelay(failures + 1).then(() => {
        if (signal.aborted) return;
        for (const [target, mark] of markByTarget) this.add(source, target, mark, failures + 1);
      });
    };
    queue().add(source.index, { bytes: this.#writer.finish(), entryCount: items.length, onOutcome }, lingerMs);
  }
}
