/**
 * Private data: all of an actor's is in its slot; never shared, so callers see their writes.
 *
 * Thread mutes are also written here; all else comes from bsync.
 */
import { privateNamespace } from '../../atproto/private-namespace.ts';
import { encodeMessage } from '../../proto/codec.ts';
import { fieldOf, lengthDelimitedField } from '../../proto/fields.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import { byItem } from '../plan/by-item.ts';
import { oneSlot } from '../plan/one-slot.ts';
import type { Plan } from '../plan/plan.ts';
import { recordOfUri, writePlan } from '../plan/private-write.ts';

const { preferences } = fieldNumber.GetNotificationPreferencesResponse;

function repeated<Item>(count: number, item: Item): Item[] {
  return new Array<Item>(count).fill(item);
}

export const privateDataPlans: readonly Plan[] = [
  oneSlot({ method: 'GetActorBookmarks', owner: 'actorDid', isShared: false }),
  oneSlot({
    method: 'GetBookmarksByActorAndSubjects',
    owner: 'actorDid',
    isShared: false,
    items: { request: 'uris', response: 'bookmarks' },
  }),
  oneSlot({ method: 'GetActorDrafts', owner: 'actorDid', isShared: false }),
  oneSlot({ method: 'GetActivitySubscriptionDids', owner: 'actorDid', isShared: false }),
  oneSlot({
    method: 'GetActivitySubscriptionsByActorAndSubjects',
    owner: 'actorDid',
    isShared: false,
    items: {
      request: 'subjectDids',
      response: 'subscriptions',
      missing: (actorDid, count) =>
        encodeMessage('GetActivitySubscriptionsByActorAndSubjectsResponse', {
          subscriptions: repeated(count, { actorDid, namespace: privateNamespace.activitySubscription }),
        }),
    },
  }),
  oneSlot({
    method: 'GetThreadMutesOnSubjects',
    owner: 'actorDid',
    isShared: false,
    items: {
      request: 'threadRoots',
      response: 'muted',
      missing: (_actorDid, count) =>
        encodeMessage('GetThreadMutesOnSubjectsResponse', { muted: repeated(count, false) }),
    },
  }),
  {
    ...byItem({
      method: 'GetNotificationPreferences',
      items: { ...fieldOf('GetNotificationPreferencesRequest', 'dids'), shape: 'did', malformed: 'missing' },
      answers: [
        { number: preferences, form: 'lengthDelimited', missing: lengthDelimitedField(preferences, Buffer.alloc(0)) },
      ],
    }),
    isShared: false,
  },
  writePlan('CreateThreadMuteRequest', 'actor_did', ({ actorDid: did, threadRoot }) => {
    const root = recordOfUri(threadRoot, 'CreateThreadMuteRequest.thread_root');
    return { did, write: { type: 'thread-mute', root } };
  }),
  writePlan('DeleteThreadMuteRequest', 'actor_did', ({ actorDid: did, threadRoot }) => {
    const root = recordOfUri(threadRoot, 'DeleteThreadMuteRequest.thread_root');
    return { did, write: { type: 'thread-unmute', root } };
  }),
  writePlan('ClearThreadMutesRequest', 'actor_did', ({ actorDid: did }) => ({
    did,
    write: { type: 'clear-thread-mutes' },
  })),
];
