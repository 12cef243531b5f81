/** Reads and writes on a cluster with replicas, while its nodes are killed. */
import { expect } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { operatingFailure } from '../../src/base/data-plane-error.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import type { ServiceRouter } from '../../src/router/plan/service-router.ts';
import type { ReplicatedCluster } from './replicated-cluster.ts';
import { until } from './until.ts';

const fansPerRound = 4;

/** Follows one actor after the other, and reads its followers all the time, by a router. */
export class ReplicaLoad {
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
      const fans = this.#cluster.fansFrom(1_000 + 10 * round, fansPerRound);
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
    const [reads, fans] = [this.reads + 50, this.fans.length + 3 * fansPerRound];
    await until(() => this.reads >= reads && this.fans.length >= fans, 60_000);
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
    await this.router[Symbol.asyncDispose]();
  }
}

/** Ends the load, and expects that all that was written is there once, the same in all copies. */
export async function expectAllThere(cluster: ReplicatedCluster, load: ReplicaLoad): Promise<void> {
  await load.end();
  await cluster.haveFollowed(load.fans, load.actor);
  for (let slot = 0; slot < cluster.map.slots; slot++) await cluster.expectSame(slot);
  expect(load.wrong).toEqual([]);
  expect(cluster.notes.filter((note) => /lost the tail|has lost effects|InvariantError/.test(note))).toEqual([]);
}
