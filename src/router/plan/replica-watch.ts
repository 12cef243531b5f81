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
/** For so long the last answer holds of a node that is slow to answer. */
const answerMsMax = 2_000;

export class ReplicaWatch implements AsyncDisposable {
  readonly #options: ReplicaWatchOptions;
  readonly #stop = new AbortController();
  readonly #polling: Promise<void>;
  readonly #lastByNode = new Map<string, { readonly slots: ReadonlySet<number>; readonly atMs: number }>();

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
    const { caller, clock } = this.#options;
    const call = { node, method: nodeCalls.readable, payload: Buffer.alloc(0), timeoutMs: askMsMax };
    try {
      const answer = await caller.call(call);
      const slots = new Set(decodeOfPeer(call.method, () => readableAnswer.decode(answer), 'Internal').slots);
      this.#lastByNode.set(node, { slots, atMs: clock.monotonicMs() });
      return slots;
    } catch (thrown) {
      const { code } = operatingFailure(thrown);
      const last = this.#lastByNode.get(node);
      const isSlow = code === 'DeadlineExceeded' && last !== undefined;
      return isSlow && clock.monotonicMs() - last.atMs < answerMsMax ? last.slots : new Set();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#polling;
  }
}
