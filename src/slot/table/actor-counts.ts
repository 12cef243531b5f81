/**
 * Counts per actor: (owner, actorCounts) → 32-bit numbers in the order of `actorCountNames`.
 *
 * `askedAbout` is a mark, 0 or 1, which costs no look-up where a record changes the counts anyway.
 */
import { nsid } from '../../atproto/collection.ts';
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

/** Returns by what an actor is ranked in search: how often its followers double. */
export function followersLevel(followers: number): number {
  return Math.floor(Math.log2(1 + Math.max(0, followers)));
}

/** Adds to a count. */
export function addToActorCount(state: SlotState, owner: number, name: ActorCountName, change: 1 | -1): void {
  const before = state.ownerRow(owner, tableCode.actorCounts);
  const index = actorCountNames.indexOf(name);
  const row = changedCounters(before, index, change);
  if (name === 'followers' && state.searchChanges !== null) {
    const count = counterAt(row, index);
    if (followersLevel(count) !== followersLevel(count - change)) state.searchChanges.look(owner, nsid.profile, 'self');
  }
  state.putOwnerRow(owner, tableCode.actorCounts, row);
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
