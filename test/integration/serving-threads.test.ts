/** Serving threads of a node: who knows that a write is done sees it, whichever thread answers. */

import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GrpcLoad, grpcRequest } from '../../bench/grpc-load.ts';
import { Http2Load } from '../../bench/http2-load.ts';
import { deleteOp, type RepoOp } from '../../src/atproto/repo-op.ts';
import { TidClock } from '../../src/demo/model/tid-clock.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import type { NodeOptions } from '../../src/node/node-options.ts';
import { type RunningNode, startNode } from '../../src/node/node-process.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import { ActorCache } from '../../src/read/cache/actor-cache.ts';
import { EdgeCache } from '../../src/read/cache/edge-cache.ts';
import { FeedCache } from '../../src/read/cache/feed-cache.ts';
import { FollowCache } from '../../src/read/cache/follow-cache.ts';
import { ListCache } from '../../src/read/cache/list-cache.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import { CommitAppender } from '../support/commit-appender.ts';
import { recordOp } from '../support/record-op.ts';
import { until } from '../support/until.ts';

const serveThreads = 3;
const recordCacheMib = 8;
const connections = 24;
const rounds = 40;
const [author, viewer] = ['did:web:author.example', 'did:web:viewer.example'];

function mapJson(port: number): object {
  const shards = [{ name: 's0', primary: 'n0', slots: ['0-7'] }];
  return { epoch: 1, slots: 8, nodes: { n0: { host: '127.0.0.1', port } }, shards };
}

const edge = {
  host: '127.0.0.1',
  routerPort: 0,
  http2Port: 0,
  drainMs: 0,
  plcUrl: '',
  handleResolver: null,
  allowPrivateHosts: true,
};

let folder: string;
let node: RunningNode;
let client: NodeClient;
let log: RemoteLog;
let load: GrpcLoad;

function optionsOf(name: string, more: Partial<NodeOptions> = {}): NodeOptions {
  return {
    name: 'n0',
    mapJson: mapJson(0),
    dataDir: join(folder, name),
    host: '127.0.0.1',
    port: 0,
    slotMapBytes: 2 ** 28,
    lingerMs: 1,
    applyThreads: 2,
    serveThreads,
    edge,
    prefetchReads: false,
    recordCacheMib,
    adminToken: null,
    clusterToken: null,
    registry: new Registry(),
    ...more,
  };
}

const lookedUp: string[] = [];
const directory = createServer((request, response) => {
  const did = decodeURIComponent(request.url!.slice(1));
  lookedUp.push(did);
  response.setHeader('content-type', 'application/json');
  response.end(JSON.stringify({ id: did, alsoKnownAs: [], verificationMethod: [], service: [] }));
});

beforeAll(async () => {
  await new Promise<void>((resolve) => directory.listen(0, '127.0.0.1', resolve));
  edge.plcUrl = `http://127.0.0.1:${(directory.address() as AddressInfo).port}`;
  folder = mkdtempSync(join(tmpdir(), 'skyshard-threads-'));
  node = await startNode(optionsOf('n0'));
  const map = parseShardMap(mapJson(node.port));
  client = new NodeClient({ map });
  log = new RemoteLog({ caller: client, map: () => map, lingerMs: 0 });
  load = new GrpcLoad(node.routerPort!, connections);
}, 60_000);

afterAll(async () => {
  load.close();
  await log[Symbol.asyncDispose]();
  await client[Symbol.asyncDispose]();
  await node.close();
  directory.close();
  directory.closeAllConnections();
  rmSync(folder, { recursive: true, force: true });
});

const tids = new TidClock(1);
const commits = new CommitAppender();

function commit(did: string, ...ops: RepoOp[]): Promise<void> {
  return commits.commit(log, did, ops);
}

/** Asks on every connection at once; threads answer about equally many. */
function askAll(request: Buffer): Promise<Buffer[]> {
  return Promise.all(Array.from({ length: connections }, async () => Buffer.from(await load.ask(request))));
}

const profileOf = grpcRequest('GetActors', encodeMessage('GetActorsRequest', { dids: [author] }));
const feedOf = grpcRequest(
  'GetAuthorFeed',
  encodeMessage('GetAuthorFeedRequest', { actorDid: author, limit: 50, cursor: '' }),
);
const between = grpcRequest(
  'GetRelationships',
  encodeMessage('GetRelationshipsRequest', { actorDid: viewer, targetDids: [author] }),
);
/**
 * Holds a thread for some milliseconds, so that messages and requests wait side by side. Also when
 * it is answered in parts, six at once stay below what one caller may have in flight.
 */
const slow = grpcRequest(
  'GetActors',
  encodeMessage('GetActorsRequest', {
    dids: Array.from({ length: 1_000 }, (_unused, index) => `did:web:n${index}.example`),
  }),
);
const recordOf = (uri: string): Buffer =>
  grpcRequest('GetPostRecords', encodeMessage('GetPostRecordsRequest', { uris: [uri] }));

/** Returns how many requests of a method each thread has answered. */
async function answeredByThread(method: string): Promise<Map<string, number>> {
  const metrics = await (await fetch(`http://127.0.0.1:${node.routerPort}/metrics`)).text();
  return new Map(
    [...metrics.matchAll(/skyshard_requests_total\{(.*)\} (\d+)/g)]
      .filter(([, labels]) => labels!.includes(`"${method}"`))
      .map(([, labels, count]) => [/thread="(\d)"/.exec(labels!)![1]!, Number(count)]),
  );
}

describe('a node with three serving threads', () => {
  it('answers on all of them', async () => {
    await askAll(profileOf);
    const answered = await answeredByThread('GetActors');
    expect([...answered.keys()].sort()).toEqual(['1', '2', '3']);
    expect([...answered.values()].reduce((sum, count) => sum + count, 0)).toBe(connections);
  });

  it('answers the calls of one HTTP/2 session on all of them, and each with its own answer', async () => {
    const session = new Http2Load(node.http2Port!, 1);
    const didsOf = (index: number): string[] => [author, `did:web:n${index}.example`];
    await until(async () => {
      const answers = await Promise.all(
        Array.from({ length: 200 }, (_unused, index) =>
          session.ask(
            grpcRequest('GetCountsForUsers', encodeMessage('GetCountsForUsersRequest', { dids: didsOf(index) })),
          ),
        ),
      );
      for (const answer of answers)
        expect(decodeMessage('GetCountsForUsersResponse', answer).followers).toEqual([0, 0]);
      return (await answeredByThread('GetCountsForUsers')).size === serveThreads;
    }, 60_000);
    const unknown = session.ask(grpcRequest('GetNothing', Buffer.alloc(0)));
    await expect(unknown).rejects.toThrow('grpc-status 12');
    session.close();
  }, 90_000);

  it('looks an identity up once for all of them, which know what the others were asked', async () => {
    const did = `did:plc:${'a'.repeat(24)}`;
    const request = grpcRequest('GetIdentityByDid', encodeMessage('GetIdentityByDidRequest', { did }));
    for (let round = 0; round < 3; round++) {
      for (const answer of await askAll(request))
        expect(decodeMessage('GetIdentityByDidResponse', answer).did).toBe(did);
    }
    // One for the first request, and perhaps one for its repetitions.
    expect(lookedUp.length).toBeGreaterThan(0);
    expect(lookedUp.length).toBeLessThan(serveThreads);
  });

  it('divides the caches of the node among them', async () => {
    const metrics = await (await fetch(`http://127.0.0.1:${node.routerPort}/metrics`)).text();
    const capacityOf = (cache: string): number[] =>
      [...metrics.matchAll(/skyshard_cache_capacity_bytes\{(.*)\} (\d+)/g)]
        .filter(([, labels]) => labels!.includes(`"${cache}"`))
        .map(([, , bytes]) => Number(bytes));
    const bytesByCache = {
      feeds: FeedCache.capacityBytes,
      actors: ActorCache.capacityBytes,
      edges: EdgeCache.capacityBytes,
      follows: FollowCache.capacityBytes,
      lists: ListCache.capacityBytes,
      records: recordCacheMib * 2 ** 20,
    };
    for (const [cache, bytes] of Object.entries(bytesByCache)) {
      const capacities = capacityOf(cache);
      expect(capacities, cache).toHaveLength(serveThreads);
      const sum = capacities.reduce((total, capacity) => total + capacity, 0);
      expect(sum, cache).toBeLessThanOrEqual(bytes);
      expect(sum, cache).toBeGreaterThan(0.9 * bytes);
    }
  });

  it('shows each acknowledged write on every connection, while others read the same', async () => {
    let isDone = false;
    let background = 0;
    let post = '';
    const readAgain = async (): Promise<void> => {
      for (; !isDone; background++) {
        await load.ask([profileOf, feedOf, between, slow][background % 4]!);
        if (post !== '') await load.ask(recordOf(post));
      }
    };
    const readers = Array.from({ length: 6 }, readAgain);
    let follow = '';
    for (let round = 0; round < rounds; round++) {
      const record = { $type: 'app.bsky.actor.profile', displayName: `name ${round}` };
      const profile = { collection: 'app.bsky.actor.profile', rkey: 'self' };
      const created = { collection: 'app.bsky.feed.post', rkey: tids.next(commits.timeMs) };
      const text = {
        $type: 'app.bsky.feed.post',
        text: `post ${round}`,
        createdAt: new Date(commits.timeMs).toISOString(),
      };
      const before = post;
      post = `at://${author}/${created.collection}/${created.rkey}`;
      const removed = before === '' ? [] : [deleteOp(created.collection, before.split('/').at(-1)!)];
      await commit(
        author,
        recordOp(profile, record, round === 0 ? 'create' : 'update'),
        recordOp(created, text),
        ...removed,
      );
      for (const answer of await askAll(profileOf)) {
        const [actor] = decodeMessage('GetActorsResponse', answer).actors;
        expect(Buffer.from(actor!.profile!.record!).toString()).toContain(`name ${round}"`);
      }
      for (const answer of await askAll(feedOf))
        expect(decodeMessage('GetAuthorFeedResponse', answer).items.map(({ uri }) => uri)).toEqual([post]);
      if (before !== '') {
        for (const answer of await askAll(recordOf(before)))
          expect(Buffer.from(decodeMessage('GetPostRecordsResponse', answer).records[0]!.record).toString()).toBe(
            'null',
          );
      }
      const edgePath = {
        collection: 'app.bsky.graph.follow',
        rkey: follow === '' ? tids.next(commits.timeMs) : follow,
      };
      const subject = {
        $type: edgePath.collection,
        subject: author,
        createdAt: new Date(commits.timeMs).toISOString(),
      };
      await commit(viewer, follow === '' ? recordOp(edgePath, subject) : deleteOp(edgePath.collection, edgePath.rkey));
      follow = follow === '' ? edgePath.rkey : '';
      for (const answer of await askAll(between)) {
        const [relation] = decodeMessage('GetRelationshipsResponse', answer).relationships;
        expect(relation!.following !== '').toBe(follow !== '');
      }
    }
    isDone = true;
    await Promise.all(readers);
    expect(background).toBeGreaterThan(rounds);
  }, 120_000);

  it('shows what a caller wrote by any thread on every thread', async () => {
    for (let round = 0; round < 20; round++) {
      const subjectDid = `did:web:muted${round}.example`;
      const write = encodeMessage('CreateActorMuteRequest', { actorDid: viewer, subjectDid });
      await load.ask(grpcRequest('CreateActorMute', write));
      const page = encodeMessage('GetMutesRequest', { actorDid: viewer, limit: 50, cursor: '' });
      for (const answer of await askAll(grpcRequest('GetMutes', page)))
        expect(decodeMessage('GetMutesResponse', answer).mutes).toHaveLength(round + 1);
    }
  }, 60_000);

  it('keeps every other process off its ports', async () => {
    for (const taken of [{ port: node.port }, { edge: { ...edge, routerPort: node.routerPort! } }]) {
      await expect(startNode(optionsOf('n1', taken))).rejects.toMatchObject({ code: 'ConfigInvalid' });
      await expect(startNode(optionsOf('n1', { ...taken, serveThreads: 1 }))).rejects.toMatchObject({
        code: 'ConfigInvalid',
      });
    }
  });

  it('frees its ports when it closes', async () => {
    const first = await startNode(optionsOf('n2'));
    await first.close();
    const second = await startNode(optionsOf('n2', { port: first.port }));
    await until(async () => (await fetch(`http://127.0.0.1:${second.port}/readyz`)).ok);
    await second.close();
  });
});
