/** Records that are served as part of an actor's info. */
import type { SlotState } from './slot-state.ts';

const infoCollections: ReadonlySet<string> = new Set([
  'app.bsky.actor.profile',
  'app.bsky.actor.status',
  'app.bsky.labeler.service',
  'app.bsky.notification.declaration',
  'chat.bsky.actor.declaration',
  'com.germnetwork.declaration',
]);

/** Notes, when a record of this collection is written, that readers must forget what they remember of its owner. */
export function touchInfo(state: SlotState, owner: number, collection: string): void {
  if (infoCollections.has(collection)) state.touchedOwners.add(owner);
}
