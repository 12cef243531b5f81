/** Notifications: all are in the actor's slot; never shared, so callers see their writes. */
import { decodeMessage } from '../../proto/codec.ts';
import { oneSlot } from '../plan/one-slot.ts';
import { emptyAnswer, type Plan, planDefaults } from '../plan/plan.ts';
import { writePrivate } from '../plan/private-write.ts';

export const notificationPlans: readonly Plan[] = [
  oneSlot({ method: 'GetNotifications', owner: 'actorDid', isShared: false }),
  oneSlot({ method: 'GetNotificationSeen', owner: 'actorDid', isShared: false }),
  oneSlot({ method: 'GetUnreadNotificationCount', owner: 'actorDid', isShared: false }),
  {
    method: 'UpdateNotificationSeen',
    timeoutMs: planDefaults.timeoutMs,
    isShared: false,
    run: (request, context) => {
      const { actorDid, timestamp } = decodeMessage('UpdateNotificationSeenRequest', request);
      if (timestamp === undefined) return emptyAnswer;
      const path = 'UpdateNotificationSeenRequest.actor_did';
      return writePrivate(actorDid, path, { type: 'notification-seen', seenMs: timestamp }, context);
    },
  },
];
