/** By-item plans: answers in the order asked, missing items, and refused ones. */
import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { itemsPerTurn } from '../../../../src/router/plan/fair-queue.ts';
import { answerPartsMax } from '../../../../src/router/plan/partial-answers.ts';
import { countOf, didOf, oneNodeMap, postOf, twoNodeMap } from '../../../support/fake-nodes.ts';
import { anyDid, anyUri, malformedUri, RouterPlans, refusal } from '../../../support/router-plans.ts';

let plans: RouterPlans;

function isKnown(did: string): boolean {
  return did.startsWith('did:web:') || did.startsWith('did:plc:aaaa') || did === 'did:plc:short';
}

describe.each([
  { nodes: 'two nodes answer whole', map: twoNodeMap(), itemsPerAnswerMax: Number.POSITIVE_INFINITY },
  { nodes: 'two nodes answer in parts', map: twoNodeMap(), itemsPerAnswerMax: 3 },
  { nodes: 'one node answers whole', map: oneNodeMap(), itemsPerAnswerMax: Number.POSITIVE_INFINITY },
  { nodes: 'one node answers in parts', map: oneNodeMap(), itemsPerAnswerMax: 3 },
])('by item, where $nodes', ({ map, itemsPerAnswerMax }) => {
  beforeEach(() => {
    plans = new RouterPlans(map);
    plans.nodes.itemsPerAnswerMax = itemsPerAnswerMax;
  });

  test('records come back in the order asked, including repeated and missing ones', async () => {
    for (let author = 0; author < 41; author += 2)
      plans.nodes.network.records.set(postOf(author, 'r1'), `{"by":${author}}`);
    await fc.assert(
      fc.asyncProperty(fc.array(anyUri, { maxLength: 60 }), async (uris) => {
        const { records, meta } = await plans.ask('GetPostRecords', { uris });
        expect(records.map(({ record }) => Buffer.from(record).toString())).toEqual(
          uris.map((uri) => plans.nodes.network.records.get(uri) ?? 'null'),
        );
        expect(records.map(({ cid }) => cid)).toEqual(
          uris.map((uri) => (uri.startsWith('at://did:') ? `cid of ${uri}` : '')),
        );
        expect(meta.map(({ hasMedia }) => hasMedia)).toEqual(
          uris.map((uri) => uri.startsWith('at://did:') && uri.endsWith('2')),
        );
      }),
    );
    expect(new Set(plans.nodes.asked.map(({ node }) => node))).toEqual(new Set(map.nodes.keys()));
  });

  test('counts come back in the order asked, zero for malformed URIs', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(anyUri, malformedUri), { maxLength: 60 }), async (uris) => {
        const counts = await plans.ask('GetInteractionCounts', { refs: uris.map((uri) => ({ uri, cid: 'ignored' })) });
        const expected = (field: number): number[] =>
          uris.map((uri) =>
            uri.startsWith('at://did:plc:aaaa') || uri.startsWith('at://did:web') ? countOf(uri, field) : 0,
          );
        expect(counts).toEqual({
          likes: expected(1),
          reposts: expected(2),
          replies: expected(3),
          quotes: expected(4),
          bookmarks: expected(5),
        });
      }),
    );
  });

  test('actors and their counts come back in the order asked', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyDid, { minLength: 1, maxLength: 60 }), async (dids) => {
        const { actors } = await plans.ask('GetActors', { dids });
        expect(actors.map(({ handle }) => handle)).toEqual(
          dids.map((did) => (isKnown(did) ? `${did.slice(-4)}.test` : '')),
        );
        const counts = await plans.ask('GetCountsForUsers', { dids });
        if (dids.some(isKnown)) expect(counts.posts).toEqual(dids.map((did) => (isKnown(did) ? countOf(did, 1) : 0)));
        expect(counts.reposts).toEqual([]);
      }),
    );
  });

  test('a malformed DID has the answer of the official plane, and no items an empty one', async () => {
    const { actors } = await plans.ask('GetActors', { dids: ['nonsense'] });
    expect(actors).toMatchObject([{ exists: false, allowActivitySubscriptionsFrom: 'followers', upstreamStatus: '' }]);
    expect(Buffer.from(actors[0]!.profile!.record).toString()).toBe('null');
    expect(plans.nodes.asked).toEqual([]);
    expect(await plans.ask('GetPostRecords', { uris: [] })).toEqual({ records: [], meta: [], opThreads: [] });
  });

  test('handles are looked up in lower case', async () => {
    const handles = Array.from({ length: 30 }, (_unused, index) => `User${index}.test`);
    for (const handle of handles) plans.nodes.network.handles.set(handle, `did of ${handle}`);
    const { dids } = await plans.ask('GetDidsByHandles', { handles: [...handles, 'no handle', handles[3]!] });
    expect(dids).toEqual([...handles.map((handle) => `did of ${handle}`), '', `did of ${handles[3]}`]);
  });

  test('malformed record URIs are refused by field name and index', async () => {
    await fc.assert(
      fc.asyncProperty(malformedUri, async (uri) => {
        const error = await refusal(plans.ask('GetLikeRecords', { uris: [postOf(1, 'r'), uri] }));
        expect(error.code).toBe('InvalidArgument');
        expect(error.message).toMatch(/^GetLikeRecordsRequest\.uris\[1\]: /);
      }),
    );
  });

  test('a batch that is too large is ResourceExhausted, and no node is asked', async () => {
    const many = Array.from({ length: 5001 }, () => postOf(1, 'r'));
    const actorDid = didOf(1);
    const refused = [
      () => plans.ask('GetPostRecords', { uris: many }),
      () => plans.ask('GetPostRecords', { uris: many, includeOpThreadMetadata: true }),
      () => plans.ask('GetRelationships', { actorDid, targetDids: many }),
      () => plans.ask('GetActorFollowsActors', { actorDid, targetDids: many }),
      () => plans.ask('GetBlockExistence', { pairs: many.map((a) => ({ a, b: a })) }),
      () => plans.ask('GetFollowsFollowing', { actorDid, targetDids: many.slice(0, 101) }),
      () => plans.ask('GetLabels', { subjects: many }),
    ];
    for (const ask of refused) {
      expect(await refusal(ask())).toMatchObject({
        code: 'ResourceExhausted',
        message: expect.stringMatching(/: more than itemsMax = (5000|100) items$/),
      });
    }
    expect(plans.nodes.asked).toEqual([]);
  });

  test('an answer of more parts than the limit is ResourceExhausted and names the limit', async () => {
    const uris = Array.from({ length: 100 }, (_unused, index) => postOf(index, 'r'));
    plans.nodes.itemsPerAnswerMax = 1;
    const error = await refusal(plans.ask('GetPostRecords', { uris }));
    expect(error.code).toBe('ResourceExhausted');
    expect(error.message).toContain(`answerPartsMax = ${answerPartsMax}`);
    expect(plans.nodes.asked.length).toBeLessThan(answerPartsMax + 5);
    expect(plans.router.itemsInFlight).toBe(0);
    const few = uris.slice(0, answerPartsMax);
    expect((await plans.ask('GetPostRecords', { uris: few })).records).toHaveLength(few.length);
  });
});

describe('by item', () => {
  test('many small requests are all answered, though nodes answer each in parts', async () => {
    plans = new RouterPlans();
    plans.nodes.itemsPerAnswerMax = 4;
    const dids = Array.from({ length: 25 }, (_unused, index) => didOf(index));
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_unused, request) =>
        plans.ask('GetActors', { dids: [didOf(100 + request), ...dids.slice(1)] }),
      ),
    );
    for (const { actors } of answers) expect(actors).toHaveLength(dids.length);
    expect(plans.nodes.asked.length).toBeGreaterThan(5 * answers.length);
  });

  test('fields that are no items go to each part, up to a number of bytes', async () => {
    plans = new RouterPlans();
    const dids = Array.from({ length: 2 * itemsPerTurn }, (_unused, index) => didOf(index));
    const skipCacheForDids = dids.slice(0, 100);
    const { actors } = await plans.ask('GetActors', { dids, skipCacheForDids });
    expect(actors).toHaveLength(dids.length);
    const parts = plans.nodes.asked.length;
    expect(parts).toBeGreaterThan(1);
    const many = new Array<string>(16_000).fill(didOf(1));
    const error = await refusal(plans.ask('GetActors', { dids, skipCacheForDids: many }));
    expect(error).toMatchObject({
      code: 'ResourceExhausted',
      message: expect.stringContaining('bytes of other fields'),
    });
    expect(plans.nodes.asked.length).toBe(parts);
  });

  test('a missing node fails the whole request with the name of its shard', async () => {
    plans = new RouterPlans();
    plans.nodes.down.add('n1');
    const refs = Array.from({ length: 20 }, (_unused, index) => ({ uri: postOf(index, 'r') }));
    const error = await refusal(plans.ask('GetInteractionCounts', { refs }));
    expect(error.code).toBe('Unavailable');
    expect(error.message).toMatch(/shard s1 \(node n1\)/);
    plans.nodes.down.add('n0');
    expect((await refusal(plans.ask('GetInteractionCounts', { refs }))).message).toMatch(
      /shard s0 .*shard s1|shard s1 .*shard s0/,
    );
  });
});
