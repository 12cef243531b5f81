/**
 * Whether this process is the primary or a replica of each slot of an apply thread, as the shard
 * map says it.
 *
 * Owns: what happens when that changes. A new primary opens the slot in its log, and acts once it
 * has applied that, with all that came before. A primary that finds the opening of another one in
 * the log stops to act at once, and asks for a newer map; without one it opens the slot again.
 */
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { Opening } from '../slot/own-entries.ts';
import type { Slot } from '../slot/slot.ts';

export type SlotRolesOptions = {
  /** The name of this node. */
  readonly node: string;
  /** Those of the thread, which come and go. */
  readonly slots: () => readonly Slot[];
  /** Makes what a new session begins with. */
  readonly opening: (slot: number) => Opening;
  /** Appends the opening of a slot to its log. */
  readonly open: (slot: number) => void;
  /** Called when this process begins to act for a slot, and when it stops. */
  readonly onActing: (slot: Slot, acts: boolean) => void;
  /** Called when another process has opened a slot of which this one is the primary. */
  readonly onReplaced: (slot: number) => void;
};

export class SlotRoles {
  readonly #options: SlotRolesOptions;
  readonly #acting = new Set<Slot>();
  readonly #replaced = new Set<Slot>();

  constructor(options: SlotRolesOptions) {
    this.#options = options;
    for (const slot of options.slots()) this.look(slot);
  }

  /** Takes a newer map, or once more the one in force. */
  useMap(map: ShardMap): void {
    for (const slot of this.#options.slots()) this.take(slot, map);
  }

  /** Makes of a slot what the map says. */
  take(slot: Slot, { primaryBySlot }: ShardMap): void {
    const { node, opening, open } = this.#options;
    const { own, index } = slot;
    const isPrimary = primaryBySlot[index] === node;
    if (!isPrimary) own.follow();
    else if (own.isReplica || this.#replaced.has(slot)) {
      this.#replaced.delete(slot);
      own.open(opening(index));
      open(index);
    }
    this.look(slot);
  }

  /** Acts for a slot no more, which is given up. */
  leave(slot: Slot): void {
    slot.own.follow();
    this.look(slot);
    this.#replaced.delete(slot);
  }

  /** True if it was said before that this process acts for the slot. */
  acts(slot: Slot): boolean {
    return this.#acting.has(slot);
  }

  /** Call it after each commit. */
  look(slot: Slot): void {
    const { own } = slot;
    const { acts } = own;
    if (acts !== this.#acting.has(slot)) {
      if (acts) this.#acting.add(slot);
      else this.#acting.delete(slot);
      this.#options.onActing(slot, acts);
    }
    // One commit may hold the opening by this process and by the one that replaced it.
    const isReplaced = !acts && !own.isReplica && own.isOpened;
    if (!isReplaced || this.#replaced.has(slot)) return;
    this.#replaced.add(slot);
    this.#options.onReplaced(slot.index);
  }
}
