/** Nodes in processes of their own that are killed under load: what is read, lost and doubled. */
import { cpSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { CrashPoint } from '../../src/base/crash-point.ts';
import { beginDoubling, endDoubling } from '../../src/shardmap/slot-doubling.ts';
import { haveDoubled } from '../support/doubling-status.ts';
import { makeMemoryFolder } from '../support/memory-folder.ts';
import { NatsServer } from '../support/nats-server.ts';
import { expectAllThere, ReplicaLoad } from '../support/replica-load.ts';
import { ReplicatedCluster, type ShardOfTest } from '../support/replicated-cluster.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { until } from '../support/until.ts';

const testMsMax = 300_000;
const slots = 4;
const nodes = ['n0', 'n1', 'n2'];
const shards: readonly ShardOfTest[] = [
  { primary: 'n0', replicas: ['n1', 'n2'], slots: ['0-1'] },
  { primary: 'n1', replicas: ['n2', 'n0'], slots: ['2-3'] },
];

const resources = stopAfterEach();

type Started = { readonly cluster: ReplicatedCluster; readonly load: ReplicaLoad };

/** Starts all nodes, of which one is to be killed at a point of a split. */
async function startAll(crash?: { readonly node: string; readonly point: CrashPoint }): Promise<Started> {
  const server = await NatsServer.start();
  resources.use(server);
  const cluster = await ReplicatedCluster.make(server, slots, nodes, shards);
  resources.use(cluster);
  cluster.areApart = true;
  if (crash !== undefined) cluster.crashPoints.set(crash.node, crash.point);
  await Promise.all(nodes.map((name) => cluster.startNode(name)));
  const areComplete = async (): Promise<boolean> => {
    const statuses = await Promise.all(nodes.map((name) => cluster.statusOf(name)));
    return statuses.flat().every(({ condition }) => condition === 'complete');
  };
  cluster.crashPoints.clear();
  await until(areComplete, 60_000);
  const load = new ReplicaLoad(cluster);
  resources.use({ [Symbol.asyncDispose]: () => load.end() });
  await until(() => load.router.fanOut.copiesOf(0).length === nodes.length, 60_000);
  load.begin();
  await load.goOn();
  return { cluster, load };
}

describe('a node that is killed under load', () => {
  it(
    'as a replica is missed by nobody, and comes back',
    async () => {
      const { cluster, load } = await startAll();
      await cluster.killNode('n2');
      await load.goOn();
      await cluster.startNode('n2');
      await load.goOn();
      expect(load.errors).toEqual([]);
      await expectAllThere(cluster, load);
    },
    testMsMax,
  );

  it(
    'as a primary leaves reads to its replicas, one of which takes its place with all that it owed',
    async () => {
      const { cluster, load } = await startAll();
      await cluster.killNode('n0');
      await load.goOn();
      await cluster.push(([first, second]) => [{ ...first!, primary: 'n2', replicas: ['n1', 'n0'] }, second!]);
      load.router.useMap(cluster.map);
      const promoted = load.fans.length;
      await until(async () => (await cluster.followersOf(load.actor)).length >= promoted, 60_000);
      await cluster.startNode('n0');
      await load.goOn();
      expect(load.errors).toEqual([]);
      await expectAllThere(cluster, load);
    },
    testMsMax,
  );

  it(
    'goes on from an older copy of its folder that is put back',
    async () => {
      const { cluster, load } = await startAll();
      const [folder, copy] = [cluster.dataDirOf('n1'), makeMemoryFolder('skyshard-old-copy-')];
      await cluster.stopNode('n1');
      cpSync(folder, copy, { recursive: true, filter: (path) => !path.endsWith('.sock') });
      await cluster.startNode('n1');
      await load.goOn();
      await cluster.killNode('n1');
      rmSync(folder, { recursive: true });
      cpSync(copy, folder, { recursive: true });
      rmSync(copy, { recursive: true });
      await cluster.startNode('n1');
      await load.goOn();
      await expectAllThere(cluster, load);
    },
    testMsMax,
  );
});

/** Begins to double the slots, and waits until that has killed a node. */
async function killedWhileDoubling({ cluster, load }: Started, node: string): Promise<void> {
  await cluster.pushMap(beginDoubling(cluster.mapJson, cluster.map));
  load.router.useMap(cluster.map);
  await until(() => cluster.notes.some((note) => note.startsWith(`${node} ended with`)), 60_000);
  await cluster.killNode(node);
  await load.goOn();
}

async function endOfDoubling({ cluster, load }: Started): Promise<void> {
  await until(() => haveDoubled(cluster.map, (name) => cluster.statusOf(name)), 120_000);
  await cluster.pushMap(endDoubling(cluster.mapJson, cluster.map));
  load.router.useMap(cluster.map);
  await load.goOn();
  expect(cluster.map.slots).toBe(2 * slots);
  expect(load.errors).toEqual([]);
  await expectAllThere(cluster, load);
}

describe('a node that is killed while slots are doubled, under load,', () => {
  it.each(['split-after-copy', 'split-after-rename', 'split-after-open'] as const)(
    'as a replica, at %s, goes on with what its log says',
    async (point) => {
      const started = await startAll({ node: 'n2', point });
      await killedWhileDoubling(started, 'n2');
      await started.cluster.startNode('n2');
      await endOfDoubling(started);
    },
    testMsMax,
  );

  it.each(['split-after-note', 'split-after-copy', 'split-after-open'] as const)(
    'as a primary, at %s, is replaced by a replica, which goes on with the doubling',
    async (point) => {
      const started = await startAll({ node: 'n0', point });
      const { cluster, load } = started;
      await killedWhileDoubling(started, 'n0');
      // Before a router has heard that replicas answer for children, it asks primaries for those.
      expect(load.errors.filter((error) => !error.includes('node n0'))).toEqual([]);
      load.errors.length = 0;
      await load.goOn();
      await cluster.push(([first, second]) => [{ ...first!, primary: 'n2', replicas: ['n1', 'n0'] }, second!]);
      load.router.useMap(cluster.map);
      await load.goOn();
      await cluster.startNode('n0');
      await endOfDoubling(started);
    },
    testMsMax,
  );

  it(
    'as a replica that has lost its folder meanwhile, gets copies of slots and of their children',
    async () => {
      const started = await startAll({ node: 'n2', point: 'split-after-copy' });
      const { cluster } = started;
      await killedWhileDoubling(started, 'n2');
      rmSync(cluster.dataDirOf('n2'), { recursive: true });
      await cluster.startNode('n2');
      await endOfDoubling(started);
    },
    testMsMax,
  );
});
