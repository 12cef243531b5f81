/** Groups of neighbouring slots, so that series by slot are few. */

export const slotGroupsMax = 16;
/** The name of no group, or of more than one. */
export const severalGroups = 'several';

/** Returns how many slots a group has; the number of slots is a power of two. */
export function slotsOfGroup(slots: number): number {
  return Math.max(1, slots / slotGroupsMax);
}

/** Returns the name of a slot's group, such as `64-127`, or that of the slot where it is alone. */
export function slotGroupName(slot: number, slots: number): string {
  const size = slotsOfGroup(slots);
  const first = slot - (slot % size);
  return size === 1 ? String(slot) : `${first}-${first + size - 1}`;
}
