/**
 * Which nodes answer reads of each shard, and which of them a request asks.
 *
 * Owns: the calls in flight at each node, and whom to leave alone for a while after a failure. A
 * shard's primary may always be asked; replicas only while they say that they answer.
 */
import type { Clock } from '../../base/clock.ts';
import { type SeededRandom, seededRandom } from '../../base/seeded-random.ts';
import type { ShardMap } from '../../shardmap/shard-map.ts';

/** Slots that nodes answer reads of as their replicas, by node. */
export type ReadableSlots = ReadonlyMap<string, ReadonlySet<number>>;

export type ShardCopiesOptions = {
  readonly readable: ReadableSlots;
  /** Asked before others where it has a copy, since that takes no hop. */
  readonly ownNode: string | null;
  readonly clock: Clock;
};

/** A shard with several nodes that answer, as indexes: the primary first. */
type Copies = { readonly slots: readonly number[]; readonly nodes: readonly number[] };

const avoidMs = 1_000;

export class ShardCopies {
  readonly #shards: readonly Copies[];
  readonly #ownNode: number;
  readonly #callsInFlight: Int32Array;
  readonly #avoidedUntilMs: Float64Array;
  readonly #clock: Clock;
  readonly #random: SeededRandom;

  constructor(map: ShardMap, nodeNames: readonly string[], { readable, ownNode, clock }: ShardCopiesOptions) {
    this.#clock = clock;
    this.#random = seededRandom(clock.nowMs());
    this.#ownNode = ownNode === null ? -1 : nodeNames.indexOf(ownNode);
    this.#callsInFlight = new Int32Array(nodeNames.length);
    this.#avoidedUntilMs = new Float64Array(nodeNames.length);
    this.#shards = map.shards
      .map(({ primary, replicas, slots }) => {
        const able = replicas.filter((name) => slots.every((slot) => readable.get(name)?.has(slot) === true));
        return { slots, nodes: [primary, ...able].map((name) => nodeNames.indexOf(name)) };
      })
      .filter(({ nodes }) => nodes.length > 1);
  }

  get hasChoice(): boolean {
    return this.#shards.length > 0;
  }

  /** Returns the nodes of a slot; undefined where only the primary answers. */
  of(slot: number): readonly number[] | undefined {
    return this.#shards.find(({ slots }) => slots.includes(slot))?.nodes;
  }

  /** Returns whom to ask about each slot; about those of other shards as in `nodeBySlot`. */
  choose(nodeBySlot: Uint16Array): Uint16Array {
    const chosen = nodeBySlot.slice();
    const nowMs = this.#clock.monotonicMs();
    for (const { slots, nodes } of this.#shards) {
      const node = this.#chooseOf(nodes, nowMs);
      if (node !== nodes[0]) for (const slot of slots) chosen[slot] = node;
    }
    return chosen;
  }

  /** Returns the same with other copies than in `nodeBySlot`, where there are others. */
  chooseOthers(nodeBySlot: Uint16Array): Uint16Array {
    const chosen = nodeBySlot.slice();
    const nowMs = this.#clock.monotonicMs();
    for (const { slots, nodes } of this.#shards) {
      const others = nodes.filter((node) => node !== nodeBySlot[slots[0]!]);
      const node = this.#chooseOf(others, nowMs);
      for (const slot of slots) chosen[slot] = node;
    }
    return chosen;
  }

  /** Whether there are other copies of all that `nodeBySlot` asks of these nodes. */
  hasOthers(nodeBySlot: Uint16Array, nodes: readonly number[]): boolean {
    const alone = new Set(nodeBySlot.keys());
    for (const { slots } of this.#shards) for (const slot of slots) alone.delete(slot);
    for (const slot of alone) if (nodes.includes(nodeBySlot[slot]!)) return false;
    return true;
  }

  #chooseOf(nodes: readonly number[], nowMs: number): number {
    const able = nodes.filter((node) => this.#avoidedUntilMs[node]! <= nowMs);
    if (able.includes(this.#ownNode)) return this.#ownNode;
    // Then all have failed lately, and the primary is the one that may have been started again.
    if (able.length === 0) return nodes[0]!;
    const first = this.#random.below(able.length);
    const second = (first + 1 + this.#random.below(Math.max(1, able.length - 1))) % able.length;
    const [one, other] = [able[first]!, able[second]!];
    return this.#callsInFlight[other]! < this.#callsInFlight[one]! ? other : one;
  }

  began(node: number): void {
    this.#callsInFlight[node]!++;
  }

  ended(node: number): void {
    this.#callsInFlight[node]!--;
  }

  /** The node could not answer, or does not have what it was asked for. */
  failed(node: number): void {
    this.#avoidedUntilMs[node] = this.#clock.monotonicMs() + avoidMs;
  }
}
