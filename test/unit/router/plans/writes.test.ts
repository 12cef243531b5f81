/** Writes by RPC become private entries of their owners. */
import { beforeEach, describe, expect, test } from 'vitest';
import { didOf, postOf } from '../../../support/fake-nodes.ts';
import { RouterPlans, refusal } from '../../../support/router-plans.ts';

const listOf = (index: number, rkey: string): string => `at://${didOf(index)}/app.bsky.graph.list/${rkey}`;

let plans: RouterPlans;
beforeEach(() => {
  plans = new RouterPlans();
});

describe('writes', () => {
  test.each([
    ['TakedownActor', { did: didOf(1), ref: 'r1' }, { type: 'actor-takedown', ref: 'r1' }],
    ['TakedownActor', { did: didOf(1) }, { type: 'actor-takedown', ref: 'TAKEDOWN' }],
    ['UntakedownActor', { did: didOf(1) }, { type: 'actor-takedown', ref: null }],
    [
      'TakedownRecord',
      { recordUri: postOf(1, 'x'), ref: 'r' },
      { type: 'record-takedown', collection: 'app.bsky.feed.post', rkey: 'x', ref: 'r' },
    ],
    [
      'UntakedownRecord',
      { recordUri: postOf(1, 'x') },
      { type: 'record-takedown', collection: 'app.bsky.feed.post', rkey: 'x', ref: null },
    ],
    [
      'TakedownBlob',
      { did: didOf(1), cid: 'bafkreiabc', ref: 'r' },
      { type: 'blob-takedown', cid: 'bafkreiabc', ref: 'r' },
    ],
    ['UntakedownBlob', { did: didOf(1), cid: 'bafkreiabc' }, { type: 'blob-takedown', cid: 'bafkreiabc', ref: null }],
    [
      'UpdateNotificationSeen',
      { actorDid: didOf(1), timestamp: 1_700_000_000_123 },
      { type: 'notification-seen', seenMs: 1_700_000_000_123 },
    ],
    [
      'UpdateActorUpstreamStatus',
      { actorDid: didOf(1), upstreamStatus: 'suspended' },
      { type: 'upstream-status', status: 'suspended' },
    ],
    [
      'CreateActorMute',
      { actorDid: didOf(1), subjectDid: didOf(2) },
      { type: 'mute', subject: didOf(2), onlyReposts: false, onlyQuoteposts: false },
    ],
    [
      'CreateActorMute',
      { actorDid: didOf(1), subjectDid: didOf(2), onlyReposts: true, onlyQuoteposts: true },
      { type: 'mute', subject: didOf(2), onlyReposts: true, onlyQuoteposts: true },
    ],
    ['DeleteActorMute', { actorDid: didOf(1), subjectDid: didOf(2) }, { type: 'unmute', subject: didOf(2) }],
    ['ClearActorMutes', { actorDid: didOf(1) }, { type: 'clear-mutes' }],
    [
      'CreateActorMutelistSubscription',
      { actorDid: didOf(1), subjectUri: listOf(2, 'x') },
      { type: 'list-mute', list: { did: didOf(2), collection: 'app.bsky.graph.list', rkey: 'x' } },
    ],
    [
      'DeleteActorMutelistSubscription',
      { actorDid: didOf(1), subjectUri: listOf(2, 'x') },
      { type: 'list-unmute', list: { did: didOf(2), collection: 'app.bsky.graph.list', rkey: 'x' } },
    ],
    ['ClearActorMutelistSubscriptions', { actorDid: didOf(1) }, { type: 'clear-list-mutes' }],
  ] as const)('%s becomes a private entry of the owner', async (method, request, write) => {
    await plans.ask(method, request as never);
    expect(plans.nodes.writes).toEqual([{ did: didOf(1), entry: { kind: 'private', did: didOf(1), write } }]);
  });

  test.each([
    ['TakedownActor', { did: 'nobody' }, 'TakedownActorRequest.did'],
    ['TakedownRecord', { recordUri: 'at://did:plc:x' }, 'TakedownRecordRequest.record_uri'],
    ['TakedownBlob', { did: didOf(1), cid: '' }, 'TakedownBlobRequest.cid'],
    [
      'UpdateActorUpstreamStatus',
      { actorDid: didOf(1), upstreamStatus: 'x'.repeat(2000) },
      'UpdateActorUpstreamStatusRequest.upstream_status',
    ],
    ['CreateActorMute', { actorDid: didOf(1), subjectDid: 'bob' }, 'CreateActorMuteRequest.subject_did'],
    ['CreateActorMute', { actorDid: didOf(1), subjectDid: didOf(1) }, 'CreateActorMuteRequest.subject_did'],
    ['DeleteActorMute', { actorDid: 'bob', subjectDid: didOf(1) }, 'DeleteActorMuteRequest.actor_did'],
    [
      'CreateActorMutelistSubscription',
      { actorDid: didOf(1), subjectUri: postOf(2, 'x') },
      'CreateActorMutelistSubscriptionRequest.subject_uri',
    ],
    [
      'DeleteActorMutelistSubscription',
      { actorDid: didOf(1), subjectUri: didOf(2) },
      'DeleteActorMutelistSubscriptionRequest.subject_uri',
    ],
    ['ClearActorMutes', { actorDid: '' }, 'ClearActorMutesRequest.actor_did'],
  ] as const)('%s refuses bad input by name', async (method, request, path) => {
    expect(await refusal(plans.ask(method, request as never))).toMatchObject({
      code: 'InvalidArgument',
      message: expect.stringContaining(path),
    });
    expect(plans.nodes.writes).toEqual([]);
  });

  test('notification-seen without a time changes nothing', async () => {
    await plans.ask('UpdateNotificationSeen', { actorDid: didOf(1) });
    expect(plans.nodes.asked).toEqual([]);
  });
});
