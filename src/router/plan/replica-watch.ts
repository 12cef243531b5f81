/**
 * Asks the replicas of the map what they answer reads of, some times a second.
 *
 * A replica says itself which of its slots are close enough to their logs. One that does not answer
 * is not asked for reads until it does.
 */
import type { Clock } from '../../base/clock.ts';
import { operatingFailure } from '../../base/data-plane-error.ts';
import type { ShardMap } from '../../shardmap/shard-map.ts';
import type { NodeCaller } from '../../wire/node-caller.ts';
import { nodeCalls } from '../../wire/node-calls.ts';
import { decodeOfPeer } from '../../wire/peer-bytes.ts';
import { readableAnswer } from '../../wire/readable-slots.ts';
import type { ReadableSlots } from './shard-copies.ts';

export type ReplicaWatchOptions = {
  readonly map: () => ShardMap;
  readonly caller: NodeCaller;
  /** Called after each round. */
  readonly onReadable: (readable: ReadableSlots) => void;
  readonly clock: Clock;
};

const pollMs = 500;
/** Less than a node may be behind in what it answers, so that a hung one is left out soon. */
const askMsMax = 500;

export class ReplicaWatch implements AsyncDisposable {
  readonly #options: ReplicaWatchOptions;
  readonly #stop = new AbortController();
  readonly #polling: Promise<void>;

  constructor(options: ReplicaWatchOptions) {
    this.#options = options;
    this.#polling = this.#poll();
  }

  async #poll(): Promise<void> {
    const { map, clock, onReadable } = this.#options;
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const nodes = [...new Set(map().shards.flatMap(({ replicas }) => replicas))];
      const readable = await Promise.all(nodes.map(async (node) => [node, await this.#ask(node)] as const));
      if (!signal.aborted) onReadable(new Map(readable));
      await clock.sleep(pollMs, signal);
    }
  }

  async #ask(node: string): Promise<ReadonlySet<number>> {
    const call = { node, method: nodeCalls.readable, payload: Buffer.alloc(0), timeoutMs: askMsMax };
    try {
      const answer = await this.#options.caller.call(call);
      return new Set(decodeOfPeer(call.method, () => readableAnswer.decode(answer), 'Internal').slots);
    } catch (thrown) {
      operatingFailure(thrown);
      return new Set();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#polling;
  }
}
