/** Mutes of actors and of lists: private, so callers see their writes. */
import { nsid } from '../../atproto/collection.ts';
import type { RecordRef } from '../../atproto/compact-key.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { oneSlot } from '../plan/one-slot.ts';
import type { Plan } from '../plan/plan.ts';
import { recordOfUri, requireDid, writePlan } from '../plan/private-write.ts';

function subjectOf(request: string, { actorDid, subjectDid }: { actorDid: string; subjectDid: string }): string {
  const path = `${request}.subject_did`;
  if (actorDid === subjectDid) throw new DataPlaneError('InvalidArgument', `${path}: nobody mutes itself`);
  return requireDid(subjectDid, path);
}

function listOf(request: string, { subjectUri }: { subjectUri: string }): RecordRef {
  const path = `${request}.subject_uri`;
  const ref = recordOfUri(subjectUri, path);
  if (ref.collection !== nsid.list) throw new DataPlaneError('InvalidArgument', `${path}: not a list`);
  return ref;
}

export const mutePlans: readonly Plan[] = [
  oneSlot({ method: 'GetMutes', owner: 'actorDid', isShared: false }),
  oneSlot({ method: 'GetActorMutesActor', owner: 'actorDid', isShared: false }),
  oneSlot({ method: 'GetMutelistSubscription', owner: 'actorDid', isShared: false }),
  writePlan('CreateActorMuteRequest', 'actor_did', (request) => {
    const { actorDid: did, onlyReposts, onlyQuoteposts } = request;
    const subject = subjectOf('CreateActorMuteRequest', request);
    return { did, write: { type: 'mute', subject, onlyReposts, onlyQuoteposts } };
  }),
  writePlan('DeleteActorMuteRequest', 'actor_did', (request) => {
    const subject = subjectOf('DeleteActorMuteRequest', request);
    return { did: request.actorDid, write: { type: 'unmute', subject } };
  }),
  writePlan('ClearActorMutesRequest', 'actor_did', ({ actorDid: did }) => ({ did, write: { type: 'clear-mutes' } })),
  writePlan('CreateActorMutelistSubscriptionRequest', 'actor_did', (request) => {
    const list = listOf('CreateActorMutelistSubscriptionRequest', request);
    return { did: request.actorDid, write: { type: 'list-mute', list } };
  }),
  writePlan('DeleteActorMutelistSubscriptionRequest', 'actor_did', (request) => {
    const list = listOf('DeleteActorMutelistSubscriptionRequest', request);
    return { did: request.actorDid, write: { type: 'list-unmute', list } };
  }),
  writePlan('ClearActorMutelistSubscriptionsRequest', 'actor_did', ({ actorDid: did }) => ({
    did,
    write: { type: 'clear-list-mutes' },
  })),
];
