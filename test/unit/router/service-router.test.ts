/** Requests through a router: changed maps, coalescing, admission, deadlines, bad answers. */

import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { InvariantError } from '../../../src/base/invariant.ts';
import { decodeMessage, encodeMessage } from '../../../src/proto/codec.ts';
import { readHead, replyTo } from '../../../src/router/edge/rpc-endpoint.ts';
import { defaultAdmissionLimits } from '../../../src/router/plan/admission.ts';
import { itemsPerTurn } from '../../../src/router/plan/fair-queue.ts';
import { ServiceRouter } from '../../../src/router/plan/service-router.ts';
import type { ServiceRouterOptions } from '../../../src/router/plan/service-router-options.ts';
import { planByMethod } from '../../../src/router/plans/service.ts';
import { parseShardMap, type ShardMap } from '../../../src/shardmap/shard-map.ts';
import type { NodeCaller } from '../../../src/wire/node-caller.ts';
import { didOf, emptyNetwork, FakeNodes, postOf, twoNodeMap } from '../../support/fake-nodes.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { noIdentitySource } from '../../support/no-identities.ts';

let nodes: FakeNodes;

function routerOf(options: Partial<ServiceRouterOptions> = {}): ServiceRouter {
  return new ServiceRouter({
    map: twoNodeMap(),
    caller: nodes,
    identity: noIdentitySource,
    plans: planByMethod,
    admission: defaultAdmissionLimits,
    clock: systemClock,
    onFault: () => {},
    ...options,
  });
}

/** The two nodes with their slots exchanged. */
function exchangedMap(epoch: number): ShardMap {
  return parseShardMap({
    epoch,
    slots: 16,
    nodes: { n0: { host: '127.0.0.1', port: 0 }, n1: { host: '127.0.0.1', port: 0 } },
    shards: [
      { name: 's0', primary: 'n1', slots: ['0-7'] },
      { name: 's1', primary: 'n0', slots: ['8-15'] },
    ],
  });
}

const refs = Array.from({ length: 20 }, (_unused, index) => ({ uri: postOf(index, 'r') }));
const counts = encodeMessage('GetInteractionCountsRequest', { refs });
const follows = encodeMessage('GetFollowsRequest', { actorDid: didOf(1), limit: 5 });
const anyone = { caller: 'test', timeoutMs: null };

beforeEach(() => {
  nodes = new FakeNodes(twoNodeMap(), emptyNetwork());
});

describe('a changed map', () => {
  test('is reloaded once, and the request is retried', async () => {
    nodes.map = exchangedMap(2);
    let reads = 0;
    const router = routerOf({
      reloadMap: async () => {
        reads++;
        return nodes.map;
      },
    });
    const answers = await Promise.all([
      router.handle('GetInteractionCounts', counts, anyone),
      router.handle('GetFollows', follows, anyone),
      router.handle('GetLatestRev', encodeMessage('GetLatestRevRequest', { actorDid: didOf(2) }), anyone),
    ]);
    expect(decodeMessage('GetInteractionCountsResponse', answers[0]!).likes).toHaveLength(20);
    expect(decodeMessage('GetFollowsResponse', answers[1]!).cursor).toBe(didOf(1));
    expect([reads, router.map.epoch]).toEqual([1, 2]);
  });

  test('fails with a retryable error if the reloaded map does not help', async () => {
    nodes.map = exchangedMap(2);
    const router = routerOf({ reloadMap: async () => twoNodeMap() });
    await expect(router.handle('GetInteractionCounts', counts, anyone)).rejects.toMatchObject({
      code: 'WrongEpoch',
      isRetryable: true,
    });
    await expect(routerOf().handle('GetFollows', follows, anyone)).rejects.toMatchObject({ code: 'WrongEpoch' });
  });
});

describe('requests in flight', () => {
  test('that are identical are coalesced, but not those whose data a caller may have written', async () => {
    const router = routerOf();
    await Promise.all([1, 2, 3].map(() => router.handle('GetFollows', follows, anyone)));
    expect(nodes.asked).toHaveLength(1);
    await router.handle('GetFollows', follows, anyone);
    expect(nodes.asked).toHaveLength(2);
    const seen = encodeMessage('GetNotificationSeenRequest', { actorDid: didOf(1) });
    await Promise.all([1, 2, 3].map(() => router.handle('GetNotificationSeen', seen, anyone)));
    expect(nodes.asked).toHaveLength(5);
  });

  test('that began before a write are not shared by requests after it', async () => {
    const router = routerOf();
    const actors = encodeMessage('GetActorsRequest', { dids: Array.from({ length: 8 }, (_unused, n) => didOf(n)) });
    const open = Promise.withResolvers<void>();
    nodes.gate = open.promise;
    const before = router.handle('GetActors', actors, anyone);
    const asked = nodes.asked.length;
    expect(new Set(nodes.asked.map(({ node }) => node)).size).toBe(2);
    nodes.gate = Promise.resolve();
    await router.handle('TakedownActor', encodeMessage('TakedownActorRequest', { did: didOf(1), ref: 'r' }), anyone);
    await Promise.all([1, 2].map(() => router.handle('GetActors', actors, anyone)));
    // The write, and one more answer, which the requests after it share.
    expect(nodes.asked.length).toBe(2 * asked + 1);
    open.resolve();
    await before;
  });

  test('that fail, fail for all callers who share them and for none later', async () => {
    const router = routerOf();
    nodes.down.add('n0').add('n1');
    const results = await Promise.allSettled([1, 2].map(() => router.handle('GetFollows', follows, anyone)));
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    nodes.down.clear();
    expect(await router.handle('GetFollows', follows, anyone)).toBeTruthy();
  });

  test('are admitted by items, in total and by caller, until they end or fail', async () => {
    const open = Promise.withResolvers<void>();
    nodes.gate = open.promise;
    const router = routerOf({ admission: { itemsInFlightMax: 50, itemsInFlightOfCallerMax: 25 } });
    const ask = async (caller: string, timeoutMs: number): Promise<Uint8Array> =>
      router.handle('GetInteractionCounts', counts, { caller, timeoutMs });
    const first = ask('a', 10_000);
    expect(router.itemsInFlight).toBe(21);
    await expect(ask('a', 10_000)).rejects.toMatchObject({
      code: 'ResourceExhausted',
      message: expect.stringContaining('itemsInFlightOfCallerMax'),
    });
    const second = ask('b', 10_000);
    await expect(ask('c', 10_000)).rejects.toMatchObject({
      code: 'ResourceExhausted',
      message: expect.stringContaining('itemsInFlightMax'),
    });
    expect(router.itemsInFlight).toBe(42);
    open.resolve();
    await Promise.all([first, second]);
    expect(router.itemsInFlight).toBe(0);
    nodes.gate = new Promise(() => {});
    const thread = encodeMessage('GetThreadRequest', { postUri: postOf(1, 'r'), above: 80, below: 6 });
    const plain = routerOf();
    void plain.handle('GetThread', thread, { caller: 'a', timeoutMs: 10_000 });
    expect(plain.itemsInFlight).toBe(114);
    const unread = encodeMessage('GetUnreadNotificationCountRequest', { actorDid: didOf(1) });
    void plain.handle('GetUnreadNotificationCount', unread, { caller: 'a', timeoutMs: 10_000 });
    expect(plain.itemsInFlight).toBe(115);
    nodes.gate = Promise.resolve();
    nodes.down.add('n0').add('n1');
    await expect(ask('a', 10_000)).rejects.toMatchObject({ code: 'Unavailable' });
    expect(router.itemsInFlight).toBe(0);
  });
});

describe('a request for very many items', () => {
  const dids = Array.from({ length: 1_200 }, (_unused, number) => didOf(number));
  const many = encodeMessage('GetActorsRequest', { dids });

  test('is asked in parts, in the order of its items, and others go first in between', async () => {
    const parts: number[] = [];
    const caller: NodeCaller = {
      call: (request) => {
        if (request.method === 'bsky.GetActors')
          parts.push(decodeMessage('GetActorsRequest', request.payload).dids.length);
        return nodes.call(request);
      },
    };
    const router = routerOf({ caller });
    const large = router.handle('GetActors', many, anyone);
    expect([parts, router.itemsInFlight]).toEqual([[], 1_201]);
    await nextTurn();
    await router.handle('GetFollows', follows, anyone);
    expect(parts.length).toBeLessThan(3);
    const { actors } = decodeMessage('GetActorsResponse', await large);
    expect(actors.map(({ handle }) => handle)).toEqual(dids.map((did) => `${did.slice(-4)}.test`));
    expect(Math.max(...parts)).toBe(itemsPerTurn);
    expect(parts.reduce((sum, items) => sum + items, 0)).toBe(dids.length);
    expect([router.itemsInFlight, router.queue.itemsWaiting]).toEqual([0, 0]);
  });

  test('fails as a whole when one of its parts does, and leaves nothing in flight', async () => {
    const router = routerOf();
    const large = router.handle('GetActors', many, anyone) as Promise<Uint8Array>;
    await nextTurn();
    nodes.down.add('n0');
    await expect(large).rejects.toMatchObject({ code: 'Unavailable', message: expect.stringContaining('shard s0') });
    expect([router.itemsInFlight, router.queue.itemsWaiting]).toEqual([0, 0]);
  });

  test('is refused by the name of the limit past itemsMax', async () => {
    const tooMany = encodeMessage('GetActorsRequest', { dids: Array.from({ length: 5_001 }, () => didOf(1)) });
    await expect(routerOf().handle('GetActors', tooMany, anyone)).rejects.toMatchObject({
      code: 'ResourceExhausted',
      message: 'GetActorsRequest.dids: more than itemsMax = 5000 items',
    });
  });
});

describe('a router that has too much under way', () => {
  test('lets callers wait, and serves them in turn', async () => {
    const open = Promise.withResolvers<void>();
    nodes.gate = open.promise;
    const router = routerOf({ admission: { itemsRunningMax: 20 } });
    const ends: string[] = [];
    const ask = async (caller: string): Promise<void> => {
      await router.handle('GetInteractionCounts', counts, { caller, timeoutMs: 10_000 });
      ends.push(caller);
    };
    const first = ask('greedy');
    const asked = nodes.asked.length;
    const others = [...Array.from({ length: 30 }, () => ask('greedy')), ask('modest')];
    await nextTurn();
    expect(nodes.asked.length).toBe(asked);
    expect(router.queue.itemsWaiting).toBeGreaterThan(0);
    open.resolve();
    await Promise.all([first, ...others]);
    expect(ends.indexOf('modest')).toBeLessThan(ends.length / 2);
    expect([router.itemsInFlight, router.queue.itemsWaiting]).toEqual([0, 0]);
  });
});

describe('deadlines', () => {
  test("pass to nodes as what is left of the caller's, else of the method's", async () => {
    const router = routerOf({ clock: new ManualClock() });
    await router.handle('GetFollows', follows, { caller: '', timeoutMs: 700 });
    await router.handle('GetFollows', follows, anyone);
    expect(nodes.asked.map(({ timeoutMs }) => timeoutMs)).toEqual([700, 5000]);
  });

  test('that have passed ask no node', async () => {
    await expect(routerOf().handle('GetFollows', follows, { caller: '', timeoutMs: 0 })).rejects.toMatchObject({
      code: 'DeadlineExceeded',
    });
    expect(nodes.asked).toEqual([]);
  });
});

describe('answers of nodes', () => {
  test('with too few values cause Internal, naming the method', async () => {
    const router = routerOf({
      caller: { call: async () => encodeMessage('GetInteractionCountsResponse', { likes: [1] }) },
    });
    await expect(router.handle('GetInteractionCounts', counts, anyone)).rejects.toMatchObject({
      code: 'Internal',
      message: expect.stringContaining('GetInteractionCounts'),
    });
  });

  test('with truncated or malformed bytes cause errors, not crashes', async () => {
    const timeline = encodeMessage('GetTimelineRequest', { actorDid: didOf(1), limit: 5 });
    for (const answer of [Buffer.alloc(0), Buffer.from([9]), Buffer.from([1, 255, 255]), Buffer.from([1, 0, 200])]) {
      const router = routerOf({ caller: { call: async () => answer } });
      await expect(router.handle('GetTimeline', timeline, anyone)).rejects.toBeInstanceOf(DataPlaneError);
    }
  });

  test('a broken invariant is reported to the owner and answered Internal', async () => {
    const faults: string[] = [];
    const router = routerOf({
      caller: {
        call: async () => {
          throw new InvariantError('broken invariant: a test');
        },
      },
      plans: new Map([['Ping', { method: 'Ping', timeoutMs: 10, isShared: false, run: () => broken() }]]),
      onFault: (error, method) => faults.push(`${method}: ${error.message}`),
    });
    await expect(router.handle('Ping', Buffer.alloc(0), anyone)).rejects.toMatchObject({ code: 'Internal' });
    expect(faults).toEqual(['Ping: broken invariant: a plan']);
  });

  test('a broken invariant below a plan is reported to the owner too, however the plan asks nodes', async () => {
    const faults: string[] = [];
    const router = routerOf({
      caller: {
        call: async () => {
          throw new InvariantError('broken invariant: a call');
        },
      },
      onFault: (error, method) => faults.push(`${method}: ${error.message}`),
    });
    const byItem = encodeMessage('GetActorsRequest', { dids: ['did:web:a.example', 'did:web:b.example'] });
    const identity = encodeMessage('GetIdentityByDidRequest', { did: 'did:web:a.example' });
    await expect(router.handle('GetActors', byItem, anyone)).rejects.toMatchObject({ code: 'Internal' });
    await expect(router.handle('GetIdentityByDid', identity, anyone)).rejects.toMatchObject({ code: 'Internal' });
    const message = 'broken invariant: a call';
    expect(faults).toEqual([`GetActors: ${message}`, `GetIdentityByDid: ${message}`]);
  });

  test('a broken invariant in the framing of an answer is reported to the owner too', async () => {
    const faults: string[] = [];
    const answer = {
      get length() {
        return broken();
      },
    } as unknown as Uint8Array;
    const router = routerOf({
      plans: new Map([['Ping', { method: 'Ping', timeoutMs: 10, isShared: false, run: () => answer }]]),
      onFault: (error, method) => faults.push(`${method}: ${error.message}`),
    });
    const head = readHead('Ping', (name) => (name === 'content-type' ? 'application/grpc' : ''))!;
    const reply = await replyTo(router, head, Buffer.alloc(5));
    expect(reply.grpc).toMatchObject({ message: expect.stringMatching(/^broken invariant: a plan \(request /) });
    expect(faults).toEqual(['Ping: broken invariant: a plan']);
  });
});

function broken(): never {
  throw new InvariantError('broken invariant: a plan');
}
