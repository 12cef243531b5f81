/** The hostile side of a demo network: its strangers, and the messages that they send. */
import type { Clock } from '../../base/clock.ts';
import { seededRandom } from '../../base/seeded-random.ts';
import type { DemoWorld } from './demo-world.ts';
import { HostileAccounts } from './hostile-accounts.ts';
import { HostileStream } from './hostile-stream.ts';

export class HostileSide implements AsyncDisposable {
  readonly accounts: HostileAccounts;
  readonly #stream: HostileStream;
  readonly #world: DemoWorld;
  readonly #clock: Clock;
  #turn: Promise<void> = Promise.resolve();

  private constructor(world: DemoWorld, seed: number, clock: Clock) {
    const random = seededRandom(seed ^ world.seq);
    const goodActor = (): number => random.below(world.actors.count);
    this.#world = world;
    this.#clock = clock;
    this.accounts = new HostileAccounts(seed, () => world.actors.handle(goodActor()));
    this.#stream = new HostileStream({
      seed,
      random,
      accounts: this.accounts,
      goodDid: () => world.actors.did(goodActor()),
    });
  }

  static async open(world: DemoWorld, seed: number, clock: Clock): Promise<HostileSide> {
    const side = new HostileSide(world, seed, clock);
    await side.accounts.listen();
    return side;
  }

  /** Sends this many messages, or somewhat more, one after the other. */
  emit(messages: number, signal: AbortSignal): Promise<void> {
    this.#turn = this.#turn.then(async () => {
      for (let left = messages; left > 0 && !signal.aborted; left--) {
        const nowMs = this.#clock.nowMs();
        for (const make of await this.#stream.next(nowMs)) this.#world.sendForeign(make, nowMs);
      }
    });
    return this.#turn;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#turn.catch(() => undefined);
    await this.accounts[Symbol.asyncDispose]();
  }
}
