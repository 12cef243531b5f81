/**
 * Delivery acks: entries in a source slot's own log that say how far a target has its effects.
 *
 * Owns: their gathering, so that one commit takes many, and their attempts. An ack lets the source trim
 * its outbox; until then it owes the effects, and would send them again after a restart.
 */
import { ByteWriter } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { encodeEntry } from '../entry/entry-codec.ts';
import { type ChunkOutcome, writeChunk } from '../log/chunk.ts';
import type { Slot } from '../slot/slot.ts';
import type { ApplyQueue } from './apply-queue.ts';

/** Where acks go. `retryDelay` waits before another attempt after so many failures in a row. */
export type DeliveryAcksOptions = {
  readonly queue: () => ApplyQueue;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly retryDelay: (failures: number) => Promise<void>;
};

/** Acks of one source that wait. Of each target the greatest mark counts. */
type WaitingAcks = { readonly markByTarget: Map<number, number>; failures: number };

/**
 * Acks are gathered, and then wait for a commit to go with, longer than entries do: all that depends on
 * them is disk space.
 */
const gatherMs = 50;
const lingerMs = 50;

export class DeliveryAcks {
  readonly #options: DeliveryAcksOptions;
  readonly #waitingBySource = new Map<Slot, WaitingAcks>();
  readonly #writer = new ByteWriter(4096);

  constructor(options: DeliveryAcksOptions) {
    this.#options = options;
  }

  /** Notes that `target` has the effects of `source` up to `mark`. `failures`: how often its log refused that. */
  add(source: Slot, target: number, mark: number, failures = 0): void {
    const waiting = this.#waitingBySource.get(source);
    if (waiting !== undefined) {
      waiting.failures = Math.max(failures, waiting.failures);
      waiting.markByTarget.set(target, Math.max(mark, waiting.markByTarget.get(target) ?? 0));
      return;
    }
    const acks: WaitingAcks = { markByTarget: new Map([[target, mark]]), failures };
    this.#waitingBySource.set(source, acks);
    const { clock, signal } = this.#options;
    void clock.sleep(gatherMs, signal).then(() => {
      this.#waitingBySource.delete(source);
      if (!signal.aborted) this.#append(source, acks);
    });
  }

  /** Tried until the acks are in the source's log, since nothing else would say so again. */
  #append(source: Slot, { markByTarget, failures }: WaitingAcks): void {
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
