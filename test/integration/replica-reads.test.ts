/** A router that reads from replicas: whom it asks for what, and lost nodes. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { settingTable } from '../../src/config/setting-table.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import type { ServiceRouter } from '../../src/router/plan/service-router.ts';
import { NatsServer } from '../support/nats-server.ts';
import { ReplicatedCluster } from '../support/replicated-cluster.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { until } from '../support/until.ts';

const testMsMax = 240_000;
const nodes = ['n0', 'n1', 'n2'];
/** Nodes look four times a second at how far they are behind, and routers ask them twice. */
const noticeMsMax = 2_500;

const resources = stopAfterEach();

type Started = {
  readonly server: NatsServer;
  readonly cluster: ReplicatedCluster;
  readonly router: ServiceRouter;
  readonly actor: string;
  readonly fans: readonly string[];
};

/** Starts a shard of three copies, with some followers of an actor applied in all. */
async function startAll(): Promise<Started> {
  const server = await NatsServer.start();
  resources.use(server);
  const shards = [{ primary: 'n0', replicas: ['n1', 'n2'], slots: ['0-3'] }];
  const cluster = await ReplicatedCluster.start(server, 4, nodes, shards);
  resources.use(cluster);
  const router = cluster.makeRouter();
  resources.use(router);
  const actor = cluster.didIn(1, 1);
  const fans = cluster.fansFrom(10, 12);
  await cluster.follow(fans, actor);
  await cluster.haveFollowed(fans, actor);
  await cluster.settle();
  return { server, cluster, router, actor, fans };
}

async function followersBy(router: ServiceRouter, actor: string): Promise<number> {
  const request = encodeMessage('GetFollowersRequest', { actorDid: actor, limit: 100 });
  const answer = await router.handle('GetFollowers', request, { caller: 'test', timeoutMs: null });
  return decodeMessage('GetFollowersResponse', answer).followers.length;
}

/** Returns the nodes to which calls were made while `work` ran. */
async function calledDuring({ cluster }: Started, work: () => Promise<void>): Promise<string[]> {
  const countsOf = (): Map<string, number> =>
    new Map(Object.entries(cluster.client.snapshot()).map(([name, { callCount }]) => [name, callCount]));
  const before = countsOf();
  await work();
  return [...countsOf()].flatMap(([name, count]) => (count > (before.get(name) ?? 0) + 20 ? [name] : [])).sort();
}

/** Reads so often that each copy is asked, and expects each answer to be right. */
async function readOften({ router, actor, fans }: Started, times = 120): Promise<void> {
  for (let read = 0; read < times; read++) expect(await followersBy(router, actor)).toBe(fans.length);
}

function hasCopies({ router }: Started, count: number): Promise<unknown> {
  return until(() => router.fanOut.copiesOf(0).length === count);
}

describe('reads', () => {
  it(
    'go to all copies, but those that must see a write to the primary',
    async () => {
      const started = await startAll();
      await hasCopies(started, 3);
      expect(await calledDuring(started, () => readOften(started))).toEqual(nodes);
      const mutes = encodeMessage('GetMutesRequest', { actorDid: started.actor, limit: 10 });
      const readMutes = async (): Promise<void> => {
        for (let read = 0; read < 60; read++) {
          await started.router.handle('GetMutes', mutes, { caller: 'test', timeoutMs: null });
        }
      };
      expect(await calledDuring(started, readMutes)).toEqual(['n0']);
    },
    testMsMax,
  );

  it(
    'go on without an error when a replica is lost, and when the primary is',
    async () => {
      const started = await startAll();
      const { cluster, router } = started;
      await hasCopies(started, 3);
      const stopped = cluster.stopNode('n2');
      await readOften(started);
      await stopped;
      await readOften(started);
      await cluster.stopNode('n0');
      await readOften(started);
      expect(router.counts.rerouted).toBeGreaterThan(0);
      await cluster.startNode('n2');
      await hasCopies(started, 3);
      await readOften(started);
    },
    testMsMax,
  );

  it(
    'leave out replicas that are behind, and come back to them',
    async () => {
      const started = await startAll();
      await hasCopies(started, 3);
      await started.server.kill();
      // Without its log a replica does not know how far it is behind.
      await hasCopies(started, 1);
      expect(await calledDuring(started, () => readOften(started))).toEqual(['n0']);
      await started.server.up();
      await hasCopies(started, 3);
    },
    testMsMax,
  );

  it(
    'leave out replicas that hear nothing of their log, before the connection is seen to be lost',
    async () => {
      const started = await startAll();
      await hasCopies(started, 3);
      started.server.pause();
      const sinceMs = systemClock.monotonicMs();
      try {
        await hasCopies(started, 1);
        const tookMs = systemClock.monotonicMs() - sinceMs;
        expect(tookMs).toBeLessThan(settingTable.readLagMs.default + noticeMsMax);
        expect(await calledDuring(started, () => readOften(started))).toEqual(['n0']);
      } finally {
        started.server.goOn();
      }
      await hasCopies(started, 3);
    },
    testMsMax,
  );

  it(
    'of the latest rev answer with the least of all copies',
    async () => {
      const started = await startAll();
      const { cluster, router, fans } = started;
      await hasCopies(started, 3);
      const request = encodeMessage('GetLatestRevRequest', { actorDid: fans[0]! });
      const asked = async (): Promise<void> => {
        for (let read = 0; read < 30; read++) {
          const answer = await router.handle('GetLatestRev', request, { caller: 'test', timeoutMs: null });
          expect(decodeMessage('GetLatestRevResponse', answer).rev).toBe('3k2222222222a');
        }
      };
      expect(await calledDuring(started, asked)).toEqual(nodes);
      await cluster.stopNode('n1');
      await asked();
    },
    testMsMax,
  );
});
