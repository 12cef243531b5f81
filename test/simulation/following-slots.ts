/**
 * Replicas of the slots of a simulated cluster: each applies what its primary has read of the log,
 * later, and cut into transactions otherwise; it makes the child of its own when the log says so.
 */
import { invariant } from '../../src/base/invariant.ts';
import type { SeededRandom } from '../../src/base/seeded-random.ts';
import { EmbeddedLog } from '../../src/log/embedded-log.ts';
import type { SlotLog } from '../../src/log/slot-log.ts';
import { Slot } from '../../src/slot/slot.ts';
import type { Table } from '../../src/storage/environment.ts';
import { makeChildAtLast } from './doubling.ts';

/** A log to which the slot appends nothing itself, as one on a server. */
export function sharedLog(table: Table, cursor: number): SlotLog {
  return Object.defineProperty(new EmbeddedLog(table, cursor), 'isEmbedded', { value: false });
}

export type FollowingSlotsOptions = {
  readonly pathOf: (index: number) => string;
  readonly mapBytes: number;
  readonly appendMs: number;
};

type Following = { slot: Slot; readonly logged: Uint8Array[]; readCount: number };

export class FollowingSlots implements AsyncDisposable {
  readonly #options: FollowingSlotsOptions;
  readonly #logBySlot = new Map<number, Uint8Array[]>();
  readonly #bySlot = new Map<number, Following>();

  constructor(options: FollowingSlotsOptions) {
    this.#options = options;
  }

  #open(index: number, slots: number): Slot {
    const { pathOf, mapBytes } = this.#options;
    const slot = Slot.open({ index, slots, path: pathOf(index), mapBytes, canSplit: true, log: sharedLog });
    slot.own.follow();
    return slot;
  }

  /** Follows a slot from the beginning of its log. */
  follow(index: number, slots: number): void {
    this.#bySlot.set(index, { slot: this.#open(index, slots), logged: this.logOf(index), readCount: 0 });
  }

  /** What the primary of a slot has read, to be added to. */
  logOf(index: number): Uint8Array[] {
    const logged = this.#logBySlot.get(index) ?? [];
    this.#logBySlot.set(index, logged);
    return logged;
  }

  get #behind(): Following[] {
    return [...this.#bySlot.values()].filter(
      ({ slot, logged, readCount }) => slot.awaitsChild || readCount < logged.length,
    );
  }

  /** Has one of them go on. Returns false where all have read all. */
  async turn(random: SeededRandom): Promise<boolean> {
    const behind = this.#behind;
    const following = behind[random.below(Math.max(1, behind.length))];
    if (following === undefined) return false;
    const { slot, logged, readCount } = following;
    if (slot.awaitsChild) await this.#makeChild(following, random);
    else {
      const count = random.below(3) === 0 ? logged.length : 1 + random.below(6);
      const { outcomes } = slot.run(logged.slice(readCount, readCount + count), this.#options.appendMs);
      following.readCount += outcomes.length;
    }
    return true;
  }

  async #makeChild(following: Following, random: SeededRandom): Promise<void> {
    const { index, slots } = following.slot;
    const child = index + slots / 2;
    const step = await makeChildAtLast(following.slot, this.#options.pathOf(child), random);
    if (step === 'made') return this.follow(child, slots);
    await following.slot[Symbol.asyncDispose]();
    following.slot = this.#open(index, slots);
  }

  /** Has all of them read all, and compares each with its primary. */
  async expectSame(primaries: readonly Slot[], random: SeededRandom): Promise<void> {
    while (await this.turn(random));
    invariant(primaries.length === this.#bySlot.size, 'each slot has a replica');
    for (const primary of primaries) {
      const { slot } = this.#bySlot.get(primary.index)!;
      invariant(slot.cursor === primary.cursor, `replicas of slot ${primary.index} have applied the same`);
      invariant(slot.digest() === primary.digest(), `replicas of slot ${primary.index} hold the same`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const { slot } of this.#bySlot.values()) await slot[Symbol.asyncDispose]();
    this.#bySlot.clear();
  }
}
