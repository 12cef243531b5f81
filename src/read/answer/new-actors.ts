/** How many actors of this node's slots were first seen within a range of time. */
import { readDid } from '../../atproto/compact-key.ts';
import { readSlotMeta } from '../../slot/slot-meta.ts';
import { isDividing } from '../../slot/slot-routing.ts';
import { getActor } from '../../slot/table/actor-row.ts';
import { countPart, minuteMs, partsOfRange, type RangePart } from '../../slot/table/new-actors.ts';
import { beginSlotKey, readKey, tableCode } from '../../slot/table/slot-state.ts';
import { keyAfter, prefixEnd } from '../../storage/environment.ts';
import { type AnsweredSlot, requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';

/** About what a page of rows takes. */
const pageMicros = 500;
const ownersPerPage = 128;

/** Counts them one by one: the slot's counts are also of what a split has given to another. */
function* newActorsAmong(
  { state, isOwn }: AnsweredSlot,
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  turn: Turn,
): SlicedRead<number> {
  const [from, to] = [startMs, endMs].map((ms) => Math.max(0, Math.floor(ms / minuteMs))) as [number, number];
  const owners = beginSlotKey(tableCode.ownerByDid).finish();
  const end = prefixEnd(owners);
  let count = 0;
  for (let start = owners; ; ) {
    const keys = [...state.rows.scanKeys({ start, end, limit: ownersPerPage })];
    for (const key of keys) {
      const did = readDid(readKey(key));
      const owner = isOwn(did) ? state.ownerOf(did) : undefined;
      const seenMs = owner === undefined ? undefined : getActor(state, owner)?.seenMs;
      const minute = seenMs === undefined ? -1 : Math.max(0, Math.floor(seenMs / minuteMs));
      if (minute >= from && minute < to) count++;
    }
    if (keys.length < ownersPerPage) return count;
    start = keyAfter(keys.at(-1)!);
    if (turn.isOver(pageMicros)) yield;
  }
}

/** Returns the number of slots served here, and of actors; in turns, since ranges may be long. */
export function* newActorsOfSlots(
  lookup: SlotLookup,
  { startMs, endMs }: { readonly startMs: number; readonly endMs: number },
  turn: Turn,
): SlicedRead<{ slots: number; actors: number }> {
  const parts = partsOfRange(startMs, endMs);
  const slots = lookup.primaryCount;
  let actors = 0;
  for (const answered of lookup.primariesFrom(0)) {
    const { state } = answered;
    requireWhole(state);
    if (isDividing(state, readSlotMeta(state))) {
      actors += yield* newActorsAmong(answered, { startMs, endMs }, turn);
      continue;
    }
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
