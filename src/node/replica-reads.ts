/**
 * Of which slots this node answers reads as a replica: those that are close enough to their logs.
 *
 * Owns: how far each is behind, as its apply thread said last; one that says nothing falls behind.
 */
import type { Clock } from '../base/clock.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { readSlotMeta } from '../slot/slot-meta.ts';
import { freshState, type SlotReader } from './slot-reader.ts';

export type ReplicaReadsOptions = {
  /** How far behind its log a replica may be and answer. Units: ms. */
  readonly lagMsMax: number;
  /** Returns slots, and those that they answer for. */
  readonly withUnmade: (slots: readonly number[]) => readonly number[];
  /** Called when they are others. */
  readonly onChange: (slots: readonly number[]) => void;
  readonly clock: Clock;
};

const checkMs = 250;

/**
 * Returns slots, and children that are not there yet because these have yet to split: what is of
 * such a child is in the log of its parent.
 */
export function withUnmadeChildren(
  slots: readonly number[],
  { isDoubling, slots: count }: ShardMap,
  readers: ReadonlyMap<number, SlotReader>,
): readonly number[] {
  if (!isDoubling) return slots;
  const half = count / 2;
  const isWhole = (slot: number): boolean =>
    slot < half &&
    readers.has(slot) &&
    !readers.has(slot + half) &&
    readSlotMeta(freshState(readers, slot)).slots < count;
  return [...slots, ...slots.filter(isWhole).map((slot) => slot + half)];
}

export class ReplicaReads implements Disposable {
  readonly #options: ReplicaReadsOptions;
  /** By slot: when it had applied all that its log had, monotonic. */
  readonly #caughtUpMs = new Map<number, number>();
  /** By child, of which its apply thread may have said nothing yet: when its parent had. */
  readonly #parentUpMs = new Map<number, number>();
  readonly #timer: NodeJS.Timeout;
  #slots: readonly number[] = [];

  constructor(options: ReplicaReadsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.check(), checkMs);
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
    this.check();
  }

  /** Forgets slots, which this node gives up or begins again. */
  leave(slots: readonly number[]): void {
    for (const slot of slots) {
      this.#caughtUpMs.delete(slot);
      this.#parentUpMs.delete(slot);
    }
    this.check();
  }

  /**
   * Lets a child be as close to its log as its parent was before the split, whose state is that of
   * both until they are apart.
   */
  split(parent: number, child: number): void {
    const caughtUpMs = this.#caughtUpMs.get(parent);
    if (caughtUpMs !== undefined) this.#parentUpMs.set(child, caughtUpMs);
    this.check();
  }

  /** Looks again which slots they are: at once by a newer map. */
  check(): void {
    const { lagMsMax, withUnmade, onChange, clock } = this.#options;
    const oldestMs = clock.monotonicMs() - lagMsMax;
    const able = [...this.#parentUpMs, ...this.#caughtUpMs].filter(([, upMs]) => upMs >= oldestMs);
    const slots = [...withUnmade([...new Set(able.map(([slot]) => slot))])].sort((a, b) => a - b);
    if (slots.join() === this.#slots.join()) return;
    this.#slots = slots;
    onChange(slots);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
