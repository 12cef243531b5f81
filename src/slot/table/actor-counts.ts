/**
 * Counts per actor: (owner, actorCounts) → 32-bit numbers in the order of `actorCountNames`.
 *
 * `askedAbout` is a mark, 0 or 1, which costs no look-up where a record changes the counts anyway.
 */
import { changedCounters, counterAt } from './counter-row.ts';
import { type SlotState, tableCode } from './slot-state.ts';

/** The order is part of the stored format; append only. */
export const actorCountNames = [
  'followers',
  'follows',
  'posts',
  'lists',
  'feeds',
  'starterPacks',
  'likes',
  'reposts',
  'blocks',
  'drafts',
  'listBlocks',
  'askedAbout',
] as const;

export type ActorCountName = (typeof actorCountNames)[number];

/** Adds to a count. */
export function addToActorCount(state: SlotState, owner: number, name: ActorCountName, change: 1 | -1): void {
  const before = state.ownerRow(owner, tableCode.actorCounts);
  state.putOwnerRow(owner, tableCode.actorCounts, changedCounters(before, actorCountNames.indexOf(name), change));
}

/** Returns a count. */
export function getActorCount(state: SlotState, owner: number, name: ActorCountName): number {
  const value = state.ownerRow(owner, tableCode.actorCounts);
  return value === undefined ? 0 : counterAt(value, actorCountNames.indexOf(name));
}

/** True once a gate has asked whom the actor follows, or on which lists it is. */
export function isAskedAbout(state: SlotState, owner: number): boolean {
  return getActorCount(state, owner, 'askedAbout') > 0;
}

/** Notes that a gate asks for facts about the actor, so that changes of these count. */
export function markAskedAbout(state: SlotState, owner: number): void {
  if (!isAskedAbout(state, owner)) addToActorCount(state, owner, 'askedAbout', 1);
}

/** Takes the mark from a deleted account. */
export function unmarkAskedAbout(state: SlotState, owner: number): void {
  if (isAskedAbout(state, owner)) addToActorCount(state, owner, 'askedAbout', -1);
}
