/** Moves of slots whose source or target is killed under writes: nothing is lost or doubled. */
import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { seededRandom } from '../../src/base/seeded-random.ts';
import { slotPath } from '../../src/node/data-folder.ts';
import { fetchingPath } from '../../src/node/snapshot-fetch.ts';
import { afterStep, beginMoves, type MoveStep } from '../../src/shardmap/slot-move.ts';
import { NatsServer } from '../support/nats-server.ts';
import { ReplicatedCluster } from '../support/replicated-cluster.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { until } from '../support/until.ts';

const testMsMax = 300_000;
const waitMsMax = 100_000;
const slots = 2;

const resources = stopAfterEach();

/** Slots 0 and 1 of n0; n1 has nothing, and n2 is the third that a majority needs. */
class MovedCluster {
  readonly cluster: ReplicatedCluster;
  readonly fans: string[] = [];
  readonly actor: string;
  #isOver = false;
  #writing: Promise<void> = Promise.resolve();

  private constructor(cluster: ReplicatedCluster) {
    this.cluster = cluster;
    this.actor = cluster.didIn(0, 1);
  }

  static async start(): Promise<MovedCluster> {
    const server = await NatsServer.start();
    resources.use(server);
    const shard = { primary: 'n0', replicas: [], slots: ['0-1'] };
    const cluster = await ReplicatedCluster.make(server, slots, ['n0', 'n1', 'n2'], [shard]);
    resources.use(cluster);
    cluster.areApart = true;
    await Promise.all(['n0', 'n1', 'n2'].map((name) => cluster.startNode(name)));
    const moved = new MovedCluster(cluster);
    moved.#writing = moved.#write();
    return moved;
  }

  /** Follows in small batches, which the log takes while nodes are down. */
  async #write(): Promise<void> {
    for (let round = 0; !this.#isOver; round++) {
      const fans = this.cluster.fansFrom(1_000 + 10 * round, slots);
      await this.cluster.follow(fans, this.actor);
      this.fans.push(...fans);
      await systemClock.sleep(150);
    }
  }

  async begin(): Promise<void> {
    const wishes = [0, 1].map((slot) => ({ slot, from: 'n0', to: 'n1' }));
    await this.cluster.pushMap(beginMoves(this.cluster.mapJson, this.cluster.map, wishes));
  }

  async step(what: MoveStep): Promise<void> {
    await this.cluster.pushMap(afterStep(this.cluster.mapJson, this.cluster.map, what, []));
  }

  /** Waits until a node reads the logs of both slots and is close to their ends. */
  async untilInStep(node: string): Promise<void> {
    const isThere = async (): Promise<boolean> => {
      const statuses = await this.cluster.statusOf(node);
      return statuses.length === slots && statuses.every(({ log, behindMs }) => log === null && behindMs < 2_000);
    };
    await until(() => isThere().catch(() => false), waitMsMax);
  }

  async untilActing(node: string): Promise<void> {
    const doesAct = async (): Promise<boolean> => {
      const statuses = await this.cluster.statusOf(node);
      return statuses.length === slots && statuses.every(({ acts, role }) => acts && role === 'primary');
    };
    await until(() => doesAct().catch(() => false), waitMsMax);
  }

  /** Kills a node at some moment of the next seconds, and starts it again. */
  async killSoon(node: string, afterMs: number): Promise<void> {
    await systemClock.sleep(afterMs);
    await until(() => this.cluster.isRunning(node), waitMsMax);
    await this.cluster.killNode(node);
    await systemClock.sleep(300);
    await this.cluster.startNode(node);
  }

  /** Ends the writes, and compares what is there with what was written. */
  async check(copies: boolean): Promise<void> {
    this.#isOver = true;
    await this.#writing;
    await this.cluster.haveFollowed(this.fans, this.actor);
    if (copies) for (const slot of [0, 1]) await this.cluster.expectSame(slot);
    expect(this.cluster.notes.filter((note) => note.includes('has lost the tail'))).toEqual([]);
  }

  isAt(node: string, slot: number): boolean {
    return existsSync(slotPath(this.cluster.dataDirOf(node), slot));
  }
}

describe('a move whose nodes are killed', () => {
  it.each([1, 2, 3, 4, 5])(
    'goes on where it was, with every write once (seed %i)',
    async (seed) => {
      const random = seededRandom(seed);
      const moved = await MovedCluster.start();
      const someMs = (max: number): number => random.below(max);
      const victims = ['n0', 'n1'] as const;
      await moved.begin();
      await moved.killSoon(victims[random.below(2)]!, someMs(3_000));
      await moved.untilInStep('n1');
      await moved.step('hand-over');
      await moved.killSoon(victims[random.below(2)]!, someMs(600));
      await moved.untilActing('n1');
      await moved.untilInStep('n0');
      if (random.below(2) === 0) {
        await moved.step('reverse');
        await moved.killSoon(victims[random.below(2)]!, someMs(600));
        await moved.untilActing('n0');
        await moved.untilInStep('n1');
        await moved.step('hand-over');
        await moved.untilActing('n1');
      }
      await moved.check(true);
      await moved.step('drop');
      await until(() => !moved.isAt('n0', 0) && !moved.isAt('n0', 1), waitMsMax);
      await moved.cluster.haveFollowed(moved.fans, moved.actor);
      const isEmpty = async (): Promise<boolean> => (await moved.cluster.statusOf('n0')).length === 0;
      await until(() => isEmpty().catch(() => false), waitMsMax);
    },
    testMsMax,
  );

  it.each([6, 7])(
    'is cancelled, and nothing of it stays (seed %i)',
    async (seed) => {
      const random = seededRandom(seed);
      const moved = await MovedCluster.start();
      await moved.begin();
      await moved.killSoon('n1', random.below(3_000));
      if (random.below(2) === 0) await moved.untilInStep('n1');
      await moved.step('cancel');
      await moved.killSoon('n1', random.below(500));
      const isGone = (slot: number): boolean =>
        !moved.isAt('n1', slot) && !existsSync(fetchingPath(moved.cluster.dataDirOf('n1'), slot));
      await until(() => isGone(0) && isGone(1), waitMsMax);
      await moved.check(false);
      // A later move begins from nothing.
      await moved.begin();
      await moved.untilInStep('n1');
      for (const slot of [0, 1]) await moved.cluster.expectSame(slot);
    },
    testMsMax,
  );
});
