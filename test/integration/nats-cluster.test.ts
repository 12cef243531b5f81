/** A log that three servers have: two are killed at once, and nothing is lost or doubled. */
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { streamOfSlot } from '../../src/log/log-streams.ts';
import { NatsCluster } from '../support/nats-cluster.ts';
import { ReplicatedCluster, type ShardOfTest } from '../support/replicated-cluster.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';

const testMsMax = 300_000;
const slots = 2;
const shards: readonly ShardOfTest[] = [
  { primary: 'n0', replicas: ['n1'], slots: ['0'] },
  { primary: 'n1', replicas: ['n0'], slots: ['1'] },
];

const resources = stopAfterEach();

describe('a log on three servers', () => {
  it.each(['leader', 'followers'])(
    'goes on after two are killed and come back (with the %s among them)',
    async (which) => {
      const servers = await NatsCluster.start();
      resources.use(servers);
      const cluster = await ReplicatedCluster.make(servers, slots, ['n0', 'n1'], shards, { copies: 3 });
      resources.use(cluster);
      await Promise.all(['n0', 'n1'].map((name) => cluster.startNode(name)));
      const actor = cluster.didIn(0, 1);
      const fans = cluster.fansFrom(10, 40);
      await cluster.follow(fans, actor);
      await cluster.haveFollowed(fans, actor);
      const leader = await servers.leaderOf(streamOfSlot(cluster.map, 0).name);
      const others = [...servers.servers.keys()].filter((name) => name !== leader);
      const killed = which === 'leader' ? [leader, others[0]!] : others;
      await Promise.all(killed.map((name) => servers.server(name).kill()));
      const more = cluster.fansFrom(1_000, 40);
      const following = cluster.follow(more, actor);
      await systemClock.sleep(1_000);
      for (const name of killed) await servers.server(name).up();
      await following;
      await cluster.haveFollowed([...fans, ...more], actor);
      for (let slot = 0; slot < slots; slot++) await cluster.expectSame(slot);
      expect(cluster.notes.filter((note) => note.includes('has lost the tail'))).toEqual([]);
    },
    testMsMax,
  );
});
