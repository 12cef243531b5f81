/** One-slot plans pass requests to the owner's node unchanged. */
import { beforeEach, describe, expect, test } from 'vitest';
import { decodeMessage, encodeMessage, methodByName } from '../../../../src/proto/codec.ts';
import { slotOf } from '../../../../src/shardmap/slot-of.ts';
import { didOf, postOf } from '../../../support/fake-nodes.ts';
import { RouterPlans, refusal } from '../../../support/router-plans.ts';

let plans: RouterPlans;
beforeEach(() => {
  plans = new RouterPlans();
});

describe('one slot', () => {
  test.each([
    ['GetFollows', { actorDid: didOf(3) }],
    ['GetFollowers', { actorDid: didOf(4) }],
    ['GetAuthorFeed', { actorDid: didOf(5) }],
    ['GetNotifications', { actorDid: didOf(6) }],
    ['GetLatestRev', { actorDid: didOf(7) }],
    ['GetLikesBySubjectSorted', { subject: { uri: postOf(8, 'r'), cid: 'c' } }],
    ['GetQuotesBySubjectSorted', { subject: { uri: postOf(9, 'r') } }],
    ['GetRecordTakedown', { recordUri: postOf(10, 'r') }],
    ['GetBlobTakedown', { did: didOf(11), cid: 'c' }],
  ] as const)('%s goes to the slot of its owner unchanged', async (method, request) => {
    const bytes = encodeMessage(methodByName.get(method)!.request, request as never);
    const owner = Object.values(request)[0] as string | { uri: string };
    const text = typeof owner === 'string' ? owner : owner.uri;
    const answer = await plans.router.handle(method, bytes, { caller: '', timeoutMs: null });
    expect(decodeMessage('GetFollowsResponse', answer).cursor).toBe(text);
    const did = text.startsWith('at://') ? text.slice(5, 37) : text;
    expect(plans.nodes.asked.map(({ node }) => node)).toEqual([plans.nodes.map.primaryBySlot[slotOf(did, 16)]]);
  });

  test('a malformed owner has an empty answer, with an empty text for each item', async () => {
    expect(await plans.ask('GetFollows', { actorDid: 'nobody' })).toEqual({ follows: [], cursor: '' });
    expect(await plans.ask('GetLikesBySubject', {})).toEqual({ uris: [], cursor: '' });
    expect(await plans.ask('GetLikesByActorAndSubjects', { actorDid: '', refs: [{ uri: 'a' }, { uri: 'b' }] })).toEqual(
      {
        uris: ['', ''],
      },
    );
    expect(plans.nodes.asked).toEqual([]);
  });

  test('items of another wire type are refused, as the official plane does', async () => {
    const owner = encodeMessage('GetLikesByActorAndSubjectsRequest', { actorDid: didOf(1) });
    // Field 2 as a varint.
    const request = Buffer.concat([owner, Buffer.of(0x10, 1)]);
    const running = plans.router.handle('GetLikesByActorAndSubjects', request, { caller: '', timeoutMs: null });
    expect(await refusal(running)).toMatchObject({ code: 'InvalidArgument' });
    expect(plans.nodes.asked).toEqual([]);
  });
});
