/** Which slots reads look into: how often each, and in which group a call's are. */
import { severalGroups, slotGroupName, slotGroupsMax, slotsOfGroup } from '../../metrics/slot-group.ts';

const none = -1;
const several = -2;

export class SlotTouches {
  /** By slot; whoever takes the counts sets them to 0. */
  counts = new Uint32Array(0);
  /** A group has `2 ** groupBits` slots. */
  #groupBits = 0;
  #nameByGroup: readonly string[] = [];
  #group = none;

  constructor(slots: number) {
    this.useSlots(slots);
  }

  /** Takes the number of slots of the cluster, which may become more. */
  useSlots(slots: number): void {
    if (slots === this.counts.length) return;
    const counts = new Uint32Array(slots);
    counts.set(this.counts.subarray(0, slots));
    this.counts = counts;
    const size = slotsOfGroup(slots);
    this.#groupBits = Math.log2(size);
    this.#nameByGroup = Array.from({ length: Math.min(slots, slotGroupsMax) }, (_unused, group) =>
      slotGroupName(group * size, slots),
    );
  }

  /** Begins a call: a longer one may have been under way. */
  begin(): void {
    this.#group = none;
  }

  /** Hot: called for each key that is looked up. */
  touch(slot: number): void {
    this.counts[slot]!++;
    const group = slot >>> this.#groupBits;
    if (group !== this.#group) this.#group = this.#group === none ? group : several;
  }

  /** Ends a call. Returns the group of its slots; `several` for none or more than one. */
  takeGroup(): string {
    const group = this.#group;
    this.#group = none;
    // An array is slow to be asked for what it can't have.
    return group < 0 ? severalGroups : (this.#nameByGroup[group] ?? severalGroups);
  }
}
