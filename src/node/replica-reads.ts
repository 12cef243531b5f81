/**
 * Of which slots this node answers reads as a replica: those that are close enough to their logs.
 *
 * Owns: how far each is behind, as its apply thread said last; one that says nothing falls behind.
 */
import type { Clock } from '../base/clock.ts';

export type ReplicaReadsOptions = {
  /** How far behind its log a replica may be and answer. Units: ms. */
  readonly lagMsMax: number;
  /** Called when they are others. */
  readonly onChange: (slots: readonly number[]) => void;
  readonly clock: Clock;
};

const checkMs = 250;

export class ReplicaReads implements Disposable {
  readonly #options: ReplicaReadsOptions;
  /** By slot: when it had applied all that its log had, monotonic. */
  readonly #caughtUpMs = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;
  #slots: readonly number[] = [];

  constructor(options: ReplicaReadsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#check(), checkMs);
    this.#timer.unref();
  }

  get slots(): readonly number[] {
    return this.#slots;
  }

  /** Takes how far the replicas among the slots of an apply thread are behind. Units: ms. */
  take(threadSlots: ReadonlySet<number>, behindMsBySlot: ReadonlyMap<number, number>): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const slot of threadSlots) {
      const behindMs = behindMsBySlot.get(slot);
      if (behindMs === undefined) this.#caughtUpMs.delete(slot);
      else this.#caughtUpMs.set(slot, nowMs - behindMs);
    }
    this.#check();
  }

  /** Forgets slots, which this node gives up or begins again. */
  leave(slots: readonly number[]): void {
    for (const slot of slots) this.#caughtUpMs.delete(slot);
    this.#check();
  }

  #check(): void {
    const { lagMsMax, onChange, clock } = this.#options;
    const oldestMs = clock.monotonicMs() - lagMsMax;
    const able = [...this.#caughtUpMs].filter(([, caughtUpMs]) => caughtUpMs >= oldestMs);
    const slots = able.map(([slot]) => slot).sort((a, b) => a - b);
    if (slots.join() === this.#slots.join()) return;
    this.#slots = slots;
    onChange(slots);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
