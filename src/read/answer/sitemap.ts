/** What sitemaps are made of: how many owners each slot has, and the handles of a range of them. */
import { nsid } from '../../atproto/collection.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { unpackedText } from '../../slot/packing/packed-json.ts';
import { readSlotMeta } from '../../slot/slot-meta.ts';
import { getActor } from '../../slot/table/actor-row.ts';
import { recordKey } from '../../slot/table/record-row.ts';
import { RecordView } from '../../slot/table/record-view.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { encodeTexts } from '../../wire/message.ts';
import { ownersPerSitemap } from '../../wire/sitemap.ts';
import { requireWhole, type SlotLookup } from '../lookup/slot-lookup.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';

/** The label by which an actor asks not to be shown to readers without an account. */
const hiddenLabel = '"!no-unauthenticated"';
/** A larger profile is as if it were absent, as in GetActors. */
const profileBytesMax = 32 * 1024;
/** About what an owner takes. */
const ownerMicros = 8;

const view = new RecordView();

/** Returns the slots that this node is the primary of, and how many owners each has. */
export function ownersOfSlots(lookup: SlotLookup): string[] {
  const texts: string[] = [];
  for (const { slot, state } of lookup.primariesFrom(0)) {
    requireWhole(state);
    texts.push(String(slot), String(readSlotMeta(state).nextOwner));
  }
  return texts;
}

/** True for an actor with a profile that does not ask to be hidden. */
function isPublic(state: SlotState, owner: number): boolean {
  const row = state.rows.getVolatile(recordKey(owner, nsid.profile, 'self'));
  if (row === undefined || row.length > profileBytesMax) return false;
  const { isTakenDown, bodyAt } = view.read(row);
  return !isTakenDown && !unpackedText(row, bodyAt, row.length).includes(hiddenLabel);
}

/** Writes the handles of active actors with a profile among one range of a slot's owners. */
export function* writeHandlesOfOwners(
  into: MessageWriter,
  { lookup, turn }: { readonly lookup: SlotLookup; readonly turn: Turn },
  { slot, page }: { readonly slot: number; readonly page: number },
): SlicedRead<void> {
  const answered = lookup.primariesFrom(slot).find((each) => each.slot === slot);
  const state = answered?.state ?? lookup.stateOfSlot(slot);
  const end = Math.min((page + 1) * ownersPerSitemap, readSlotMeta(state).nextOwner);
  const handles: string[] = [];
  for (let owner = page * ownersPerSitemap; owner < end; owner++) {
    const actor = getActor(state, owner);
    const isActive = actor !== undefined && actor.takedownRef === null && actor.upstreamStatus === '';
    const isOwn = actor !== undefined && (answered?.isOwn(actor.did) ?? state.index === slot);
    if (isActive && isOwn && actor.handle !== null && isPublic(state, owner)) handles.push(actor.handle);
    if (turn.isOver(ownerMicros)) yield;
  }
  if (handles.length === 0) requireWhole(state);
  into.raw(encodeTexts(handles));
}
