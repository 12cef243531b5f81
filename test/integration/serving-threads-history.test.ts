/**
 * Caches of several serving threads after each part of a history: whatever the threads read and
 * cached while commits came in, all of them answer what one answers that has cached nothing.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { GrpcLoad } from '../../bench/grpc-load.ts';
import { callsOf } from '../../bench/hot-request.ts';
import { hotMethods } from '../../bench/hot-requests.ts';
import { PoolGatherer } from '../../bench/request-pools.ts';
import { type ServingEntry, servingEntries } from '../../bench/serving-network.ts';
import { deleteOp } from '../../src/atproto/repo-op.ts';
import { systemClock } from '../../src/base/clock.ts';
import { type SeededRandom, seededRandom } from '../../src/base/seeded-random.ts';
import { withRealPorts } from '../../src/cli/map-file.ts';
import { TidClock } from '../../src/demo/model/tid-clock.ts';
import type { CommitEntry } from '../../src/entry/entry.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { type RunningNode, startNode } from '../../src/node/node-process.ts';
import { freshState, openReaders, type SlotReader } from '../../src/node/slot-reader.ts';
import { createReadHandlers } from '../../src/read/handler/read-handlers.ts';
import type { RunningRouter } from '../../src/router/router-server.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import type { NodeCaller } from '../../src/wire/node-caller.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import { edgeSettings } from '../support/edge-settings.ts';
import { startTestRouter } from '../support/test-router.ts';

const network = { kind: 'graph', seed: 7, records: 1_000 } as const;
const cachedMethods = [
  'GetPostRecords',
  'GetActors',
  'GetInteractionCounts',
  'GetCountsForUsers',
  'GetRelationships',
  'GetBlockExistence',
  'GetAuthorFeed',
  'GetThread',
  'GetNotifications',
  'GetFollows',
  'GetFollowsFollowing',
  'GetTimeline',
  'GetLabels',
  'GetRelationships_lists',
  'GetBlockExistence_lists',
  'GetListFeed',
];
/** Of each method; asked again in every round. */
const requestsOfMethod = 3;
const connections = 12;
const createdInRounds = 3;
const deletedInRounds = 3;
const slots = 8;
const slotMapBytes = 2 ** 28;

let folder: string;
let node: RunningNode;
let client: NodeClient;
let log: RemoteLog;
let load: GrpcLoad;
let readers: Map<number, SlotReader>;
let uncached: RunningRouter;
let uncachedLoad: GrpcLoad;

const mapWithoutPort = {
  epoch: 1,
  slots,
  nodes: { n0: { host: '127.0.0.1', port: 0 } },
  shards: [{ name: 's0', primary: 'n0', slots: [`0-${slots - 1}`] }],
};

/** Answers each call as a node does that has just started. */
const withoutCaches: NodeCaller = {
  call: async ({ method, payload, timeoutMs }) => {
    for (const slot of readers.keys()) freshState(readers, slot);
    const { handlers } = createReadHandlers({
      slots,
      stateOf: (slot) => readers.get(slot)?.state,
      refreshReads: () => {},
      recordCacheBytes: 0,
    });
    const deadlineMs = systemClock.monotonicMs() + timeoutMs;
    return Buffer.from(await handlers.get(method)!(payload, { method, epoch: 1, deadlineMs }));
  },
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-threads-history-'));
  // Effects between slots of two apply threads take the wire.
  const { raw, map } = await withRealPorts({ raw: mapWithoutPort, map: parseShardMap(mapWithoutPort) });
  node = await startNode({
    name: 'n0',
    mapJson: raw,
    dataDir: folder,
    host: '127.0.0.1',
    port: map.nodes.get('n0')!.port,
    slotMapBytes,
    lingerMs: 1,
    applyThreads: 2,
    serveThreads: 3,
    edge: edgeSettings,
    prefetchReads: false,
    recordCacheMib: 8,
    adminToken: null,
    clusterToken: null,
    registry: new Registry(),
  });
  client = new NodeClient({ map });
  log = new RemoteLog({ caller: client, map: () => map });
  load = new GrpcLoad(node.routerPort!, connections);
  readers = openReaders([...Array(slots).keys()], folder, slotMapBytes);
  uncached = await startTestRouter({ map, caller: withoutCaches });
  uncachedLoad = new GrpcLoad(uncached.port, 4);
}, 60_000);

afterAll(async () => {
  load.close();
  uncachedLoad.close();
  await uncached.close();
  for (const { environment } of readers.values()) await environment.close();
  await log[Symbol.asyncDispose]();
  await client[Symbol.asyncDispose]();
  await node.close();
  rmSync(folder, { recursive: true, force: true });
});

async function append(entries: readonly (ServingEntry | CommitEntry)[]): Promise<void> {
  const durable = new Set<Promise<void>>();
  for (const entry of entries) {
    durable.add(log.append(entry.did, entry));
    await log.waitForCapacity();
  }
  await Promise.all(durable);
}

async function settle(): Promise<void> {
  const settled = await fetch(`http://127.0.0.1:${node.routerPort}/v1/settle`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ timeoutMs: 120_000 }),
  });
  expect(settled.status, await settled.text()).toBe(200);
}

/** Returns commits that delete one in five of the records that were created, in random order. */
function deletions(created: readonly ServingEntry[], random: SeededRandom): CommitEntry[] {
  const revs = new TidClock(3);
  let timeMs = Date.UTC(2026, 0, 1);
  return created
    .flatMap((entry) => (entry.kind === 'commit' ? entry.ops.map((op) => ({ did: entry.did, op })) : []))
    .map((one) => ({ ...one, at: random.below(2 ** 30) }))
    .sort((a, b) => a.at - b.at)
    .filter((_one, index) => index % 5 === 0)
    .map(({ did, op: { collection, rkey } }) => {
      timeMs += 1_000;
      const ops = [deleteOp(collection, rkey)];
      return { kind: 'commit', did, rev: revs.next(timeMs), since: null, eventMs: timeMs, ops };
    });
}

function parts<Item>(items: readonly Item[], count: number): Item[][] {
  const size = Math.ceil(items.length / count);
  return Array.from({ length: count }, (_unused, index) => items.slice(index * size, (index + 1) * size));
}

it('answers on every thread what one without caches answers, after each part of a history', async () => {
  const random = seededRandom(network.seed);
  const gatherer = new PoolGatherer();
  const entries = [...servingEntries(network, (kind, key) => gatherer.addExtra(kind, key))];
  for (const entry of entries) if (entry.kind === 'commit') gatherer.add(entry);
  const hot = await hotMethods(gatherer.pools(network.seed), network.seed, load, cachedMethods);
  const requests = hot.flatMap(({ name, requests: drawn }) =>
    drawn
      .slice(0, requestsOfMethod)
      .flatMap((request) => callsOf(request).map(({ bytes }) => ({ name, request: bytes }))),
  );
  expect(hot.map(({ name }) => name).sort()).toEqual([...cachedMethods].sort());
  const rounds = [...parts(entries, createdInRounds), ...parts(deletions(entries, random), deletedInRounds)];
  let readInBackground = 0;
  let changedInAll = 0;
  let previous: string[] = [];
  for (const [round, part] of rounds.entries()) {
    let isDone = false;
    // They cache what they read while commits change it.
    const background = Array.from({ length: connections / 6 }, async () => {
      for (; !isDone; readInBackground++) await load.ask(requests[random.below(requests.length)]!.request);
    });
    await append(part);
    isDone = true;
    await Promise.all(background);
    await settle();
    const expected: string[] = [];
    for (const { name, request } of requests) {
      const right = Buffer.from(await uncachedLoad.ask(request)).toString('base64');
      const answers = await Promise.all(Array.from({ length: connections }, () => load.ask(request)));
      for (const answer of answers) expect(answer.toString('base64'), `${name}, round ${round}`).toBe(right);
      expected.push(right);
    }
    // Each part changes what is asked for.
    const changed = expected.filter((answer, index) => answer !== previous[index]).length;
    expect(changed).toBeGreaterThan(0);
    changedInAll += changed;
    previous = expected;
  }
  expect(changedInAll).toBeGreaterThan(requests.length);
  expect(readInBackground).toBeGreaterThan(requests.length);
}, 600_000);
