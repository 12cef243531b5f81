import fc from 'fast-check';
import { beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { decodeMessage, encodeMessage, methodByName } from '../../../src/proto/codec.ts';
import type { MessageByName, MethodName } from '../../../src/proto/generated/bsky-service.ts';
import type { MessageInput } from '../../../src/proto/schema.ts';
import { defaultAdmissionLimits } from '../../../src/router/plan/admission.ts';
import { type IdentitySource, noIdentitySource } from '../../../src/router/plan/identity-source.ts';
import { ServiceRouter, type ServiceRouterOptions } from '../../../src/router/plan/service-router.ts';
import { planByMethod } from '../../../src/router/plans/service.ts';
import { slotOf } from '../../../src/shardmap/slot-of.ts';
import { countOf, didOf, emptyNetwork, FakeNodes, newestOf, postOf, twoNodeMap } from '../../support/fake-nodes.ts';

type Request<Name extends MethodName> = MessageByName[`${Name}Request` & keyof MessageByName];
type Response<Name extends MethodName> = MessageByName[`${Name}Response` & keyof MessageByName];

let nodes: FakeNodes;
let router: ServiceRouter;

function routerOf(options: Partial<ServiceRouterOptions> = {}): ServiceRouter {
  return new ServiceRouter({
    map: nodes.map,
    caller: nodes,
    identity: noIdentitySource,
    plans: planByMethod,
    admission: defaultAdmissionLimits,
    clock: systemClock,
    onFault: (error) => {
      throw error;
    },
    ...options,
  });
}

async function ask<Name extends MethodName>(
  method: Name,
  request: MessageInput<Request<Name>>,
  by = router,
): Promise<Response<Name>> {
  const names = methodByName.get(method)!;
  const bytes = encodeMessage(names.request, request as never);
  const answer = await by.handle(method, bytes, { caller: 'test', timeoutMs: null });
  return decodeMessage(names.response, answer) as Response<Name>;
}

async function refusal(running: Promise<unknown>): Promise<DataPlaneError> {
  try {
    await running;
  } catch (thrown) {
    if (thrown instanceof DataPlaneError) return thrown;
    throw thrown;
  }
  throw new Error('nothing was refused');
}

beforeEach(() => {
  nodes = new FakeNodes(twoNodeMap(), emptyNetwork());
  router = routerOf();
});

/** DIDs of both nodes, foreign ones and nonsense, with repetitions. */
const anyDid = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: 0, max: 40 }).map(didOf) },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      'did:web:example.com',
      'did:plc:short',
      '',
      'nonsense',
      'did:PLC:abc',
      `did:plc:${'é'.repeat(12)}`,
    ),
  },
);
const anyUri = fc.oneof(
  {
    weight: 6,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 3 }))
      .map(([a, r]) => postOf(a, `r${r}`)),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom('at://alice.test/app.bsky.feed.post/1', 'at://did:web:example.com/app.bsky.feed.post/1'),
  },
);
const malformedUri = fc.constantFrom('', 'https://a.b/c', 'at://', 'at://did:plc:x y/a/b', 'nonsense uri');

function isKnown(did: string): boolean {
  return did.startsWith('did:web:') || did.startsWith('did:plc:aaaa') || did === 'did:plc:short';
}

describe('by item', () => {
  test('records come back in the order asked, repetitions and absent ones too', async () => {
    for (let author = 0; author < 41; author += 2) nodes.network.records.set(postOf(author, 'r1'), `{"by":${author}}`);
    await fc.assert(
      fc.asyncProperty(fc.array(anyUri, { maxLength: 60 }), async (uris) => {
        const { records, meta } = await ask('GetPostRecords', { uris });
        expect(records.map(({ record }) => Buffer.from(record).toString())).toEqual(
          uris.map((uri) => nodes.network.records.get(uri) ?? 'null'),
        );
        expect(records.map(({ cid }) => cid)).toEqual(
          uris.map((uri) => (uri.startsWith('at://did:') ? `cid of ${uri}` : '')),
        );
        expect(meta.map(({ hasMedia }) => hasMedia)).toEqual(
          uris.map((uri) => uri.startsWith('at://did:') && uri.endsWith('2')),
        );
      }),
    );
    expect(new Set(nodes.asked.map(({ node }) => node))).toEqual(new Set(['n0', 'n1']));
  });

  test('counts come back in the order asked, zero for what no slot can hold', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(anyUri, malformedUri), { maxLength: 60 }), async (uris) => {
        const counts = await ask('GetInteractionCounts', { refs: uris.map((uri) => ({ uri, cid: 'ignored' })) });
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
        const { actors } = await ask('GetActors', { dids });
        expect(actors.map(({ handle }) => handle)).toEqual(
          dids.map((did) => (isKnown(did) ? `${did.slice(-4)}.test` : '')),
        );
        const counts = await ask('GetCountsForUsers', { dids });
        if (dids.some(isKnown)) expect(counts.posts).toEqual(dids.map((did) => (isKnown(did) ? countOf(did, 1) : 0)));
        expect(counts.reposts).toEqual([]);
      }),
    );
  });

  test('what cannot exist is answered as the official plane answers it', async () => {
    const { actors } = await ask('GetActors', { dids: ['nonsense'] });
    expect(actors).toMatchObject([{ exists: false, allowActivitySubscriptionsFrom: 'followers', upstreamStatus: '' }]);
    expect(Buffer.from(actors[0]!.profile!.record).toString()).toBe('null');
    expect(nodes.asked).toEqual([]);
    expect(await ask('GetPostRecords', { uris: [] })).toEqual({ records: [], meta: [], opThreads: [] });
  });

  test('handles are asked in the slots of their lower case', async () => {
    const handles = Array.from({ length: 30 }, (_unused, index) => `User${index}.test`);
    for (const handle of handles) nodes.network.handles.set(handle, `did of ${handle}`);
    const { dids } = await ask('GetDidsByHandles', { handles: [...handles, 'no handle', handles[3]!] });
    expect(dids).toEqual([...handles.map((handle) => `did of ${handle}`), '', `did of ${handles[3]}`]);
  });

  test('malformed URIs of records are refused by name and place', async () => {
    await fc.assert(
      fc.asyncProperty(malformedUri, async (uri) => {
        const error = await refusal(ask('GetLikeRecords', { uris: [postOf(1, 'r'), uri] }));
        expect(error.code).toBe('InvalidArgument');
        expect(error.message).toMatch(/^GetLikeRecordsRequest\.uris\[1\]: /);
      }),
    );
  });

  test('too large a batch is ResourceExhausted and asks nobody', async () => {
    const uris = Array.from({ length: 5001 }, () => postOf(1, 'r'));
    expect((await refusal(ask('GetPostRecords', { uris }))).code).toBe('ResourceExhausted');
    expect((await refusal(ask('GetRelationships', { actorDid: didOf(1), targetDids: uris }))).code).toBe(
      'ResourceExhausted',
    );
    expect((await refusal(ask('GetActorFollowsActors', { actorDid: didOf(1), targetDids: uris }))).code).toBe(
      'ResourceExhausted',
    );
    expect(nodes.asked).toEqual([]);
  });

  test('a missing node fails the whole request and its shard is named', async () => {
    nodes.down.add('n1');
    const refs = Array.from({ length: 20 }, (_unused, index) => ({ uri: postOf(index, 'r') }));
    const error = await refusal(ask('GetInteractionCounts', { refs }));
    expect(error.code).toBe('Unavailable');
    expect(error.message).toMatch(/shard s1 \(node n1\)/);
    nodes.down.add('n0');
    expect((await refusal(ask('GetInteractionCounts', { refs }))).message).toMatch(
      /shard s0 .*shard s1|shard s1 .*shard s0/,
    );
  });
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
  ] as const)('%s goes to the slot of its owner, bytes in, bytes out', async (method, request) => {
    const bytes = encodeMessage(methodByName.get(method)!.request, request as never);
    const owner = Object.values(request)[0] as string | { uri: string };
    const text = typeof owner === 'string' ? owner : owner.uri;
    const answer = await router.handle(method, bytes, { caller: '', timeoutMs: null });
    expect(decodeMessage('GetFollowsResponse', answer).cursor).toBe(text);
    const did = text.startsWith('at://') ? text.slice(5, 37) : text;
    expect(nodes.asked.map(({ node }) => node)).toEqual([nodes.map.primaryBySlot[slotOf(did, 16)]]);
  });

  test('an owner that cannot exist has an empty answer, item by item where items are asked', async () => {
    expect(await ask('GetFollows', { actorDid: 'nobody' })).toEqual({ follows: [], cursor: '' });
    expect(await ask('GetLikesBySubject', {})).toEqual({ uris: [], cursor: '' });
    expect(await ask('GetLikesByActorAndSubjects', { actorDid: '', refs: [{ uri: 'a' }, { uri: 'b' }] })).toEqual({
      uris: ['', ''],
    });
    expect(nodes.asked).toEqual([]);
  });
});

describe('relations', () => {
  const anyEdges = fc.array(fc.tuple(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 12 })), {
    maxLength: 60,
  });

  function fill(table: Map<string, Map<string, string>>, edges: readonly (readonly [number, number])[]): void {
    table.clear();
    for (const [from, to] of edges) {
      const edgesOf = table.get(didOf(from)) ?? new Map<string, string>();
      table.set(didOf(from), edgesOf.set(didOf(to), `k${from}-${to}`));
    }
  }

  const uri = (has: boolean, from: number, to: number, collection: string): string =>
    has ? `at://${didOf(from)}/${collection}/k${from}-${to}` : '';

  test('each relation is told in its own direction', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyEdges,
        anyEdges,
        fc.array(fc.integer({ min: 0, max: 12 }), { minLength: 1, maxLength: 20 }),
        async (follows, blocks, targets) => {
          fill(nodes.network.follows, follows);
          fill(nodes.network.blocks, blocks);
          const has = (table: Map<string, Map<string, string>>, a: number, b: number): boolean =>
            table.get(didOf(a))?.has(didOf(b)) === true;
          const { relationships } = await ask('GetRelationships', {
            actorDid: didOf(0),
            targetDids: targets.map(didOf),
          });
          expect(relationships).toMatchObject(
            targets.map((target) => ({
              following: uri(has(nodes.network.follows, 0, target), 0, target, 'app.bsky.graph.follow'),
              followedBy: uri(has(nodes.network.follows, target, 0), target, 0, 'app.bsky.graph.follow'),
              blocking: uri(has(nodes.network.blocks, 0, target), 0, target, 'app.bsky.graph.block'),
              blockedBy: uri(has(nodes.network.blocks, target, 0), target, 0, 'app.bsky.graph.block'),
            })),
          );
          // Both directions of one pair in one request are each told as asked.
          const pairs = targets.flatMap((target) => [
            { a: didOf(1), b: didOf(target) },
            { a: didOf(target), b: didOf(1) },
          ]);
          const { exists, blocks: found } = await ask('GetBlockExistence', { pairs });
          targets.forEach((target, index) => {
            const there = uri(has(nodes.network.blocks, 1, target), 1, target, 'app.bsky.graph.block');
            const back = uri(has(nodes.network.blocks, target, 1), target, 1, 'app.bsky.graph.block');
            expect(found[2 * index]).toMatchObject({ blocking: there, blockedBy: back });
            expect(found[2 * index + 1]).toMatchObject({ blocking: back, blockedBy: there });
            expect(exists[2 * index]).toBe(there !== '' || back !== '');
            expect(exists[2 * index + 1]).toBe(exists[2 * index]);
          });
          const either = await ask('GetBidirectionalBlock', { actorDid: didOf(2), targetDid: didOf(3) });
          const there = uri(has(nodes.network.blocks, 2, 3), 2, 3, 'app.bsky.graph.block');
          expect(either.blockUri).toBe(there || uri(has(nodes.network.blocks, 3, 2), 3, 2, 'app.bsky.graph.block'));
        },
      ),
    );
  });

  test('known followers are those the viewer follows that follow the target', async () => {
    await fc.assert(
      fc.asyncProperty(
        anyEdges,
        fc.array(fc.integer({ min: 0, max: 12 }), { maxLength: 5 }),
        async (follows, targets) => {
          fill(nodes.network.follows, follows);
          const { results } = await ask('GetFollowsFollowing', { actorDid: didOf(0), targetDids: targets.map(didOf) });
          const mine = [...(nodes.network.follows.get(didOf(0))?.keys() ?? [])];
          expect(results).toEqual(
            targets.map((target) => ({
              targetDid: didOf(target),
              dids: mine.filter((did) => nodes.network.follows.get(did)?.has(didOf(target))),
            })),
          );
        },
      ),
    );
  });

  test('what is no DID has no relations', async () => {
    const { relationships } = await ask('GetRelationships', { actorDid: didOf(1), targetDids: ['', 'x', didOf(2)] });
    expect(relationships.map(({ following }) => following)).toEqual(['', '', '']);
    expect(await ask('GetBlockExistence', { pairs: [{ a: '', b: 'y' }] })).toMatchObject({ exists: [false] });
  });
});

describe('timeline', () => {
  /** Authors 1 to 8 are followed by 0; 9 is not. Few distinct times make ties. */
  const anyItems = fc.uniqueArray(
    fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 1, max: 12 }), fc.boolean()),
    {
      selector: ([author, time, isRepost]) => `${author} ${time} ${isRepost}`,
      maxLength: 60,
    },
  );

  test('the pages together are every followed item once, newest first', async () => {
    await fc.assert(
      fc.asyncProperty(anyItems, fc.integer({ min: 1, max: 7 }), async (items, limit) => {
        const authors = [1, 2, 3, 4, 5, 6, 7, 8].map(didOf);
        nodes.network.follows.set(didOf(0), new Map([...authors, didOf(0)].map((did) => [did, 'k'])));
        nodes.network.feeds.clear();
        for (const [author, time, isRepost] of items.filter(([author]) => author !== 0)) {
          const itemUri = isRepost ? `at://${didOf(author)}/app.bsky.feed.repost/r${time}` : postOf(author, `r${time}`);
          const feed = nodes.network.feeds.get(didOf(author)) ?? [];
          feed.push({ sortMs: time, itemUri, postUri: isRepost ? postOf(30, 'x') : itemUri });
          nodes.network.feeds.set(didOf(author), feed);
        }
        const seen: string[] = [];
        let cursor = '';
        do {
          const page = await ask('GetTimeline', { actorDid: didOf(0), limit, cursor });
          expect(page.items.length).toBeLessThanOrEqual(limit);
          seen.push(...page.items.map((item) => item.repost || item.uri));
          cursor = page.cursor;
          expect(cursor).not.toContain('::');
        } while (cursor !== '');
        expect(seen).toEqual(newestOf(nodes.network, authors, null, 1000).map(({ itemUri }) => itemUri));
      }),
    );
  });

  test('own posts are capped at ten on a page that others fill, and fill a page that others do not', async () => {
    const feedOf = (author: number, count: number, fromMs: number): void => {
      const items = Array.from({ length: count }, (_unused, index) => {
        const itemUri = postOf(author, `r${index}`);
        return { sortMs: fromMs + index, itemUri, postUri: itemUri };
      });
      nodes.network.feeds.set(didOf(author), items);
    };
    nodes.network.follows.set(didOf(0), new Map([[didOf(1), 'k']]));
    feedOf(0, 100, 10_000);
    feedOf(1, 100, 1_000);
    const full = await ask('GetTimeline', { actorDid: didOf(0), limit: 50 });
    expect(full.items.filter(({ uri }) => uri.startsWith(`at://${didOf(0)}/`))).toHaveLength(10);
    expect(full.items).toHaveLength(50);
    expect(full.cursor).not.toBe('');
    nodes.network.follows.clear();
    const own = await ask('GetTimeline', { actorDid: didOf(0), limit: 50 });
    expect(own.items).toHaveLength(50);
    expect(own.cursor).not.toBe('');
  });

  test('a malformed token is InvalidArgument', async () => {
    for (const cursor of ['x', '12__', '::', '1700000000000__a__b::', '--1__abc', `1__${'a'.repeat(9000)}`]) {
      const error = await refusal(ask('GetTimeline', { actorDid: didOf(0), limit: 5, cursor }));
      expect(error).toMatchObject({ code: 'InvalidArgument', message: expect.stringContaining('cursor') });
    }
  });

  test('no limit, no viewer: nothing', async () => {
    for (const request of [
      { actorDid: didOf(0), limit: 0 },
      { actorDid: didOf(0), limit: -5 },
      { actorDid: 'x', limit: 5 },
    ]) {
      expect(await ask('GetTimeline', request)).toEqual({ items: [], cursor: '' });
    }
  });
});

describe('threads', () => {
  test('a thread is read where its claimed root stands', async () => {
    nodes.network.roots.set(postOf(1, 'reply'), postOf(2, 'root'));
    nodes.network.opThreads.set(postOf(2, 'root'), [postOf(2, 'root'), postOf(2, 'next')]);
    const { uris, opThread } = await ask('GetThread', { postUri: postOf(1, 'reply'), above: 80, below: -3 });
    expect(uris).toEqual([postOf(1, 'reply'), postOf(2, 'root'), '80 0']);
    expect(opThread).toEqual([postOf(2, 'root'), postOf(2, 'next')]);
  });

  test('a post that does not exist, or claims no real root, is its own root', async () => {
    nodes.network.roots.set(postOf(1, 'odd'), 'at://alice.test/app.bsky.feed.post/1');
    for (const postUri of [postOf(5, 'gone'), postOf(1, 'odd')]) {
      expect((await ask('GetThread', { postUri, above: 1, below: 1 })).uris.slice(0, 2)).toEqual([postUri, postUri]);
    }
    expect(await ask('GetThread', { postUri: 'nonsense' })).toEqual({ uris: [], opThread: [] });
  });

  test('posts bring the OP threads of their roots when asked, each root once', async () => {
    const root = postOf(2, 'root');
    nodes.network.roots.set(root, root).set(postOf(1, 'a'), root).set(postOf(3, 'b'), postOf(4, 'lonely'));
    nodes.network.opThreads.set(root, [root, postOf(2, 'next')]);
    const uris = [postOf(1, 'a'), root, postOf(3, 'b'), postOf(9, 'gone'), postOf(1, 'a')];
    const { records, meta, opThreads } = await ask('GetPostRecords', { uris, includeOpThreadMetadata: true });
    expect([records.length, meta.length]).toEqual([5, 5]);
    expect(opThreads).toEqual([{ rootUri: root, uris: [root, postOf(2, 'next')] }]);
  });
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
  ] as const)('%s becomes a private entry of the owner', async (method, request, write) => {
    await ask(method, request as never);
    expect(nodes.writes).toEqual([{ did: didOf(1), entry: { kind: 'private', did: didOf(1), write } }]);
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
  ] as const)('%s refuses bad input by name', async (method, request, place) => {
    expect(await refusal(ask(method, request as never))).toMatchObject({
      code: 'InvalidArgument',
      message: expect.stringContaining(place),
    });
    expect(nodes.writes).toEqual([]);
  });

  test('notification-seen without a time changes nothing', async () => {
    await ask('UpdateNotificationSeen', { actorDid: didOf(1) });
    expect(nodes.asked).toEqual([]);
  });
});

describe('identity', () => {
  const live: IdentitySource = {
    byDid: async (did) =>
      did === didOf(9) ? { did, handle: 'live.test', keysJson: '{}', servicesJson: '{"a":1}', updatedMs: 5 } : null,
    byHandle: async (handle) =>
      handle === 'live.test' ? { did: didOf(9), handle, keysJson: '{}', servicesJson: '{}', updatedMs: 5 } : null,
  };

  test('a stored document comes first, a live one next, NotFound last', async () => {
    const withLive = routerOf({ identity: live });
    nodes.network.identities.set(didOf(1), 'stored.test');
    nodes.network.handles.set('stored.test', didOf(1));
    expect(await ask('GetIdentityByDid', { did: didOf(1) }, withLive)).toMatchObject({
      did: didOf(1),
      handle: 'stored.test',
    });
    expect(await ask('GetIdentityByHandle', { handle: 'Stored.test' }, withLive)).toMatchObject({
      did: didOf(1),
      handle: 'stored.test',
    });
    const found = await ask('GetIdentityByDid', { did: didOf(9) }, withLive);
    expect(found).toMatchObject({ handle: 'live.test', updated: 5 });
    expect(Buffer.from(found.services).toString()).toBe('{"a":1}');
    expect((await ask('GetIdentityByHandle', { handle: 'live.test' }, withLive)).did).toBe(didOf(9));
    for (const did of [didOf(2), 'nonsense', ''])
      expect((await refusal(ask('GetIdentityByDid', { did }, withLive))).code).toBe('NotFound');
    expect((await refusal(ask('GetIdentityByHandle', { handle: 'no one' }, withLive))).code).toBe('NotFound');
  });

  test('a missing node is made up for by resolving live', async () => {
    nodes.down.add('n0').add('n1');
    expect((await ask('GetIdentityByDid', { did: didOf(9) }, routerOf({ identity: live }))).handle).toBe('live.test');
  });
});

describe('every method', () => {
  test('is answered, or Unimplemented', async () => {
    for (const [method, { request }] of methodByName) {
      const running = router.handle(method, encodeMessage(request, {}), { caller: '', timeoutMs: null });
      if (planByMethod.has(method))
        await running.catch((error) => expect(['InvalidArgument', 'NotFound']).toContain(error.code));
      else expect((await refusal(running)).code).toBe('Unimplemented');
    }
    expect((await refusal(router.handle('Nonsense', Buffer.alloc(0), { caller: '', timeoutMs: null }))).code).toBe(
      'Unimplemented',
    );
  });

  test('takes any bytes without a defect', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...planByMethod.keys()),
        fc.uint8Array({ maxLength: 120 }),
        async (method, bytes) => {
          await router.handle(method, Buffer.from(bytes), { caller: '', timeoutMs: null }).catch((error) => {
            expect(error).toBeInstanceOf(DataPlaneError);
            expect(['InvalidArgument', 'NotFound', 'ResourceExhausted']).toContain(error.code);
          });
        },
      ),
      { numRuns: 3000 },
    );
  });

  test('malformed bytes are refused by the name of the request', async () => {
    for (const method of ['GetFollows', 'GetPostRecords', 'GetTimeline', 'GetBlockExistence'] as const) {
      const error = await refusal(router.handle(method, Buffer.from([10, 200]), { caller: '', timeoutMs: null }));
      expect(error).toMatchObject({ code: 'InvalidArgument', message: expect.stringContaining(`${method}Request`) });
    }
  });
});
