/** How many actors of this node's slots were first seen within a range of time. */
import { countPart, partsOfRange, type RangePart } from '../../slot/table/new-actors.ts';
import { requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';

/** About what a page of rows takes. */
const pageMicros = 500;

/** Returns the number of slots served here, and of actors; in turns, since ranges may be long. */
export function* newActorsOfSlots(
  lookup: SlotLookup,
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  turn: Turn,
): SlicedRead<{ slots: number; actors: number }> {
  const parts = partsOfRange(startMs, endMs);
  let [slots, actors] = [0, 0];
  for (const slot of lookup.primariesFrom(0)) {
    slots++;
    const state = lookup.stateOfSlot(slot);
    requireWhole(state);
    for (const part of parts) {
      for (let left: RangePart | null = part; left !== null; ) {
        const { count, rest }: { count: number; rest: RangePart | null } = countPart(state, left);
        actors += count;
        left = rest;
        if (turn.isOver(pageMicros)) yield;
      }
    }
  }
  return { slots, actors };
}
