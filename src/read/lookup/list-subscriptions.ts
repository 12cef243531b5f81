/** The lists to which an actor subscribes: those whose members it blocks, or mutes. */
import { getActorCount } from '../../slot/table/actor-counts.ts';
import { clearsOfListMute, listMutePrefix } from '../../slot/table/mute.ts';
import { clearCount } from '../../slot/table/mute-clears.ts';
import { edgeByTimePrefix } from '../../slot/table/outgoing-edge.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { walkFrom, walkRows } from './page.ts';

/** Of an actor with more, the newest blocks count, and the first mutes in the order of keys. */
export const listSubscriptionsMax = 1_000;
/** Rows of mutes that are looked at: those that were cleared go in long work. */
const scannedMax = 5_000;

const noLists: readonly Buffer[] = [];

/** Returns the lists whose members an actor blocks, newest first, in the bytes of keys. */
export function blockedListsOf(state: SlotState, owner: number): readonly Buffer[] {
  if (getActorCount(state, owner, 'listBlocks') === 0) return noLists;
  const walk = walkFrom(edgeByTimePrefix(owner, 'list-block'), '', '');
  return Array.from(walkRows(state.rows, walk, listSubscriptionsMax), ({ value }) => value);
}

/** Returns the lists whose members an actor mutes, in the bytes of keys. */
export function mutedListsOf(state: SlotState, owner: number): readonly Buffer[] {
  const prefix = listMutePrefix(owner);
  const lists: Buffer[] = [];
  let clears: number | undefined;
  for (const { key, value } of state.rows.scan({ start: prefix, end: prefixEnd(prefix), limit: scannedMax })) {
    clears ??= clearCount(state, owner, 'list');
    if (clearsOfListMute(value) === clears) lists.push(key.subarray(prefix.length));
    if (lists.length === listSubscriptionsMax) break;
  }
  return lists;
}
