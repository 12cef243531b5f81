/** A damaged answer of a node never becomes a crash: the router answers or raises a known error. */

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MalformedBytes } from '../../../src/base/bytes.ts';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { encodeMessage } from '../../../src/proto/codec.ts';
import { defaultAdmissionLimits } from '../../../src/router/plan/admission.ts';
import { ServiceRouter } from '../../../src/router/plan/service-router.ts';
import { planByMethod } from '../../../src/router/plans/service.ts';
import type { NodeCaller } from '../../../src/wire/node-caller.ts';
import { didOf, emptyNetwork, FakeNodes, postOf, twoNodeMap } from '../../support/fake-nodes.ts';
import { noIdentitySource } from '../../support/no-identities.ts';

const dids = [0, 1, 2, 3, 4, 5, 6, 7].map(didOf);
const actorDid = dids[0]!;
const pairs = dids.map((b) => ({ a: actorDid, b }));
const asked: readonly (readonly [method: string, request: Buffer])[] = [
  ['GetTimeline', encodeMessage('GetTimelineRequest', { actorDid, limit: 5 })],
  ['GetRelationships', encodeMessage('GetRelationshipsRequest', { actorDid, targetDids: dids })],
  ['GetBlockExistence', encodeMessage('GetBlockExistenceRequest', { pairs })],
  ['GetBidirectionalBlock', encodeMessage('GetBidirectionalBlockRequest', { actorDid, targetDid: dids[1]! })],
  ['GetKnownLikers', encodeMessage('GetKnownLikersRequest', { actorDid, subjectUris: [postOf(1, 'x')], limit: 3 })],
  ['GetFollowsFollowing', encodeMessage('GetFollowsFollowingRequest', { actorDid, targetDids: dids })],
];

const network = emptyNetwork();
for (const did of dids) {
  network.follows.set(did, new Map(dids.map((other) => [other, 'f'])));
  network.blocks.set(did, new Map(dids.map((other) => [other, 'b'])));
}
for (const author of dids.keys()) {
  const [itemUri, postUri] = [`at://${didOf(author)}/app.bsky.feed.repost/r`, postOf(30, 'x')];
  network.feeds.set(
    didOf(author),
    [1, 1, 2].map((sortMs, item) => ({ sortMs, itemUri: `${itemUri}${item}`, postUri })),
  );
}
const nodes = new FakeNodes(twoNodeMap(), network);

/** Truncates an answer, appends bytes to it, or changes one byte. */
const damage = fc.oneof(
  fc.nat().map((at) => (bytes: Buffer) => bytes.subarray(0, at % bytes.length)),
  fc.uint8Array({ minLength: 1, maxLength: 9 }).map((more) => (bytes: Buffer) => Buffer.concat([bytes, more])),
  fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })).map(([at, change]) => (bytes: Buffer) => {
    const changed = Buffer.from(bytes);
    changed[at % changed.length]! ^= change;
    return changed;
  }),
);

test.each(asked)('%s: a damaged answer of a node is answered, Internal or WrongEpoch', async (method, request) => {
  await fc.assert(
    fc.asyncProperty(damage, fc.nat({ max: 3 }), async (damaged, which) => {
      let calls = 0;
      const caller: NodeCaller = {
        call: async (call) => {
          const answer = Buffer.from(await nodes.call(call));
          return calls++ === which && answer.length > 0 ? damaged(answer) : answer;
        },
      };
      const router = new ServiceRouter({
        map: nodes.map,
        caller,
        identity: noIdentitySource,
        plans: planByMethod,
        admission: defaultAdmissionLimits,
        clock: systemClock,
        onFault: (error) => {
          throw error;
        },
      });
      try {
        await router.handle(method, request, { caller: '', timeoutMs: null });
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(DataPlaneError);
        // The slot of a changed DID may be on another node, or there may be none.
        expect(['Internal', 'WrongEpoch']).toContain((thrown as DataPlaneError).code);
        // A defect of ours would have another cause than malformed bytes.
        const { cause } = thrown as DataPlaneError;
        if (cause !== undefined) expect(cause).toBeInstanceOf(MalformedBytes);
      }
    }),
    { numRuns: 300 },
  );
});
