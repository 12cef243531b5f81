/** Nodes that are replicas of each other's slots: what they apply, and leave to the primary. */
import { describe, expect, it } from 'vitest';
import { encodeAppend, encodeEntryChunk } from '../../src/log/chunk.ts';
import { startNode } from '../../src/node/node-process.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { NatsServer } from '../support/nats-server.ts';
import { ReplicatedCluster, type ShardOfTest } from '../support/replicated-cluster.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { until } from '../support/until.ts';

const testMsMax = 240_000;
const slots = 4;
const everywhere: readonly ShardOfTest[] = [
  { primary: 'n0', replicas: ['n1', 'n2'], slots: ['0-1'] },
  { primary: 'n1', replicas: ['n0'], slots: ['2-3'] },
];

const resources = stopAfterEach();

async function startAll(absent: readonly string[] = []): Promise<ReplicatedCluster> {
  const server = await NatsServer.start();
  resources.use(server);
  const cluster = await ReplicatedCluster.start(server, slots, ['n0', 'n1', 'n2'], everywhere, absent);
  resources.use(cluster);
  return cluster;
}

describe('replicas of a shard', () => {
  it(
    'apply the log themselves, hold the same as the primary, and send no effect',
    async () => {
      const cluster = await startAll();
      const actor = cluster.didIn(3, 1);
      const fans = cluster.fansFrom(10, 24);
      await cluster.follow(fans, actor);
      await cluster.haveFollowed(fans, actor);
      for (let slot = 0; slot < slots; slot++) await cluster.expectSame(slot);
      const roles = (await cluster.statusOf('n1')).map(({ slot, role }) => [slot, role]);
      expect(roles).toEqual([
        [0, 'replica'],
        [1, 'replica'],
        [2, 'primary'],
        [3, 'primary'],
      ]);
      const metrics = await cluster.registries.get('n1')!.metrics();
      expect(metrics).toMatch(/^skyshard_slots_replica 2$/m);
      expect(metrics).toMatch(/^skyshard_log_lag_seconds\{role="replica"\} 0$/m);
      // Each effect came to its target once: its count is the number of follows from other slots.
      const [, , , last] = await cluster.statusOf('n1');
      const foreign = fans.filter((_did, index) => index % slots !== 3).length;
      expect(last!.receivedEffects).toBeGreaterThanOrEqual(foreign);
      expect(cluster.notes.filter((note) => /lost the tail|has lost effects|another process/.test(note))).toEqual([]);
    },
    testMsMax,
  );

  it(
    'catch up after they were away, and are followed by what was purged meanwhile of none',
    async () => {
      const cluster = await startAll();
      const actor = cluster.didIn(1, 1);
      const before = cluster.fansFrom(10, 12);
      await cluster.follow(before, actor);
      await cluster.haveFollowed(before, actor);
      await cluster.settle();
      await cluster.stopNode('n2');
      const meanwhile = cluster.fansFrom(100, 12);
      await cluster.follow(meanwhile, actor);
      await cluster.haveFollowed([...before, ...meanwhile], actor);
      await cluster.startNode('n2');
      await cluster.expectSame(0);
      await cluster.expectSame(1);
    },
    testMsMax,
  );

  it(
    'that start before the primary wait for it to begin the log',
    async () => {
      const cluster = await startAll(['n0']);
      await until(async () => (await cluster.statusOf('n2')).every(({ log }) => /has not begun/.test(log ?? '')));
      await cluster.startNode('n0');
      const actor = cluster.didIn(0, 1);
      const fans = cluster.fansFrom(10, 8);
      await cluster.follow(fans, actor);
      await cluster.haveFollowed(fans, actor);
      await cluster.expectSame(0);
    },
    testMsMax,
  );

  it(
    'take nothing that is for the primary, and name it',
    async () => {
      const cluster = await startAll();
      const chunk = encodeEntryChunk(0, [{ kind: 'continue' }]);
      const call = { node: 'n2', method: nodeCalls.append, payload: encodeAppend([chunk]), timeoutMs: 5_000 };
      await expect(cluster.client.call(call)).rejects.toMatchObject({
        code: 'WrongEpoch',
        message: expect.stringContaining('a replica of slot 0, whose primary is n0'),
      });
    },
    testMsMax,
  );

  it(
    'take the place of their primary, which follows from then on: no effect is lost or doubled',
    async () => {
      const cluster = await startAll();
      const actor = cluster.didIn(3, 1);
      const fans = cluster.fansFrom(10, 12);
      await cluster.follow(fans, actor);
      const promote = (after: string): Promise<void> =>
        cluster.push(([first, second]) => [
          { ...first!, primary: after, replicas: ['n0', 'n1', 'n2'].filter((name) => name !== after) },
          second!,
        ]);
      let all = fans;
      for (const [round, primary] of ['n2', 'n1', 'n0'].entries()) {
        const meanwhile = cluster.fansFrom(100 * (round + 1), 12);
        await Promise.all([cluster.follow(meanwhile, actor), promote(primary)]);
        all = [...all, ...meanwhile];
        await cluster.haveFollowed(all, actor);
      }
      for (let slot = 0; slot < slots; slot++) await cluster.expectSame(slot);
      expect(cluster.notes.filter((note) => /lost the tail|has lost effects/.test(note))).toEqual([]);
    },
    testMsMax,
  );

  it(
    'take the place of a primary that is away, and that is their replica when it comes back',
    async () => {
      const cluster = await startAll();
      const actor = cluster.didIn(0, 1);
      const before = cluster.fansFrom(10, 12);
      await cluster.follow(before, actor);
      await cluster.haveFollowed(before, actor);
      await cluster.stopNode('n0');
      const meanwhile = cluster.fansFrom(100, 12);
      await cluster.follow(meanwhile, actor);
      await cluster.push(([first, second]) => [{ ...first!, primary: 'n2', replicas: ['n1', 'n0'] }, second!]);
      await cluster.haveFollowed([...before, ...meanwhile], actor);
      // It has the older map still, by which it is the primary.
      await cluster.startNode('n0');
      const later = cluster.fansFrom(200, 12);
      await cluster.follow(later, actor);
      await cluster.haveFollowed([...before, ...meanwhile, ...later], actor);
      for (let slot = 0; slot < slots; slot++) await cluster.expectSame(slot);
      const [first] = await cluster.statusOf('n0');
      expect(first).toMatchObject({ slot: 0, role: 'replica', acts: false });
      expect(cluster.notes.filter((note) => /lost the tail|has lost effects/.test(note))).toEqual([]);
    },
    testMsMax,
  );

  it('need a log on a server', async () => {
    const nodes = { n0: { host: '127.0.0.1', port: 1 }, n1: { host: '127.0.0.1', port: 2 } };
    const shards = [{ name: 's', primary: 'n0', replicas: ['n1'], slots: ['0'] }];
    const options = { name: 'n0', mapJson: { epoch: 1, slots: 1, nodes, shards } } as Parameters<typeof startNode>[0];
    await expect(startNode(options)).rejects.toMatchObject({
      code: 'ConfigInvalid',
      message: expect.stringContaining('shards[0].replicas: replicas read a log on a NATS server'),
    });
  });
});
