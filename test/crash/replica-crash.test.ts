/** Nodes in processes of their own that are killed under load: what is read, lost and doubled. */
import { cpSync, rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { operatingFailure } from '../../src/base/data-plane-error.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import type { ServiceRouter } from '../../src/router/plan/service-router.ts';
import { makeMemoryFolder } from '../support/memory-folder.ts';
import { NatsServer } from '../support/nats-server.ts';
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

/** Follows one actor after the other, and reads its followers all the time, by a router. */
class Load {
  readonly #cluster: ReplicatedCluster;
  readonly router: ServiceRouter;
  readonly actor: string;
  readonly fans: string[] = [];
  readonly #known = new Set<string>();
  #isOver = false;
  #running: Promise<void>[] = [];
  reads = 0;
  readonly errors: string[] = [];
  readonly wrong: string[] = [];

  constructor(cluster: ReplicatedCluster) {
    this.#cluster = cluster;
    this.actor = cluster.didIn(0, 1);
    this.router = cluster.makeRouter();
  }

  begin(): void {
    this.#running = [this.#write(), this.#read()];
  }

  async #write(): Promise<void> {
    for (let round = 0; !this.#isOver; round++) {
      const fans = this.#cluster.fansFrom(1_000 + 10 * round, slots);
      for (const fan of fans) this.#known.add(fan);
      await this.#cluster.follow(fans, this.actor);
      this.fans.push(...fans);
      // One page of followers shows all of them.
      await systemClock.sleep(200);
    }
  }

  async #read(): Promise<void> {
    const request = encodeMessage('GetFollowersRequest', { actorDid: this.actor, limit: 1_000 });
    while (!this.#isOver) {
      try {
        const answer = await this.router.handle('GetFollowers', request, { caller: 'test', timeoutMs: 5_000 });
        this.#check(decodeMessage('GetFollowersResponse', answer).followers.map(({ actorDid }) => actorDid));
        this.reads++;
      } catch (thrown) {
        this.errors.push(operatingFailure(thrown).message);
      }
      await systemClock.sleep(2);
    }
  }

  #check(followers: readonly string[]): void {
    if (new Set(followers).size < followers.length) this.wrong.push('a follower twice');
    for (const follower of followers) if (!this.#known.has(follower)) this.wrong.push(`${follower} follows nobody`);
  }

  /** Waits until the load has read and written for a while. */
  async goOn(): Promise<void> {
    const [reads, fans] = [this.reads + 50, this.fans.length + 3 * slots];
    await until(() => this.reads >= reads && this.fans.length >= fans, 60_000);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
    await this.router[Symbol.asyncDispose]();
  }
}

async function startAll(): Promise<{ cluster: ReplicatedCluster; load: Load }> {
  const server = await NatsServer.start();
  resources.use(server);
  const cluster = await ReplicatedCluster.make(server, slots, nodes, shards);
  resources.use(cluster);
  cluster.areApart = true;
  await Promise.all(nodes.map((name) => cluster.startNode(name)));
  const areComplete = async (): Promise<boolean> => {
    const statuses = await Promise.all(nodes.map((name) => cluster.statusOf(name)));
    return statuses.flat().every(({ condition }) => condition === 'complete');
  };
  await until(areComplete, 60_000);
  const load = new Load(cluster);
  resources.use({ [Symbol.asyncDispose]: () => load.end() });
  await until(() => load.router.fanOut.copiesOf(0).length === nodes.length, 60_000);
  load.begin();
  await load.goOn();
  return { cluster, load };
}

/** Ends the load, and expects that all that was written is there once, the same in all copies. */
async function expectAllThere(cluster: ReplicatedCluster, load: Load): Promise<void> {
  await load.end();
  await cluster.haveFollowed(load.fans, load.actor);
  for (let slot = 0; slot < slots; slot++) await cluster.expectSame(slot);
  expect(load.wrong).toEqual([]);
  expect(cluster.notes.filter((note) => /lost the tail|has lost effects|InvariantError/.test(note))).toEqual([]);
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
