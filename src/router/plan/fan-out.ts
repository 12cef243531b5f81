/**
 * Requests to one or several nodes of a map.
 *
 * Owns: the node of each slot, what is left of a deadline, and the error when nodes are missing: it
 * names their shards, since a missing node must never look like an empty answer. Reads may go to
 * any copy of a shard that answers them now, of two drawn ones to that with fewer calls in flight.
 */

import type { Clock } from '../../base/clock.ts';
import { DataPlaneError, operatingFailure, toDataPlaneError } from '../../base/data-plane-error.ts';
import { InvariantError } from '../../base/invariant.ts';
import type { ShardMap } from '../../shardmap/shard-map.ts';
import type { NodeCaller } from '../../wire/node-caller.ts';
import { type ReadableSlots, ShardCopies } from './shard-copies.ts';

/** A message to one node, which is an index in `FanOut.nodeNames`. */
export type SubRequest = { readonly node: number; readonly payload: Uint8Array };

export type FanOutOptions = {
  readonly map: ShardMap;
  readonly caller: NodeCaller;
  readonly clock: Clock;
  /** Slots that replicas answer reads of; absent: of none. */
  readonly readable?: ReadableSlots;
  /** The node in this process, whose copies are asked before others. */
  readonly ownNode?: string | null;
};

/** The nodes that have slots of one map. */
export class FanOut {
  readonly map: ShardMap;
  /** Holds indexes in `nodeNames`: whom to ask about a slot. */
  readonly nodeBySlot: Uint16Array;
  /** The same of the primaries alone. */
  readonly primaryBySlot: Uint16Array;
  /** Those that are primary of some slot come first. */
  readonly nodeNames: readonly string[];
  /** Indexes in `nodeNames`: together these nodes answer for all slots. */
  readonly primaries: readonly number[];
  readonly #caller: NodeCaller;
  readonly #clock: Clock;
  readonly #copies: ShardCopies;
  /** The nodes that the reads of one request wait for, once for each call. */
  readonly #awaited: number[] = [];

  private constructor(parts: FanOutParts, nodeBySlot: Uint16Array) {
    this.map = parts.map;
    this.nodeNames = parts.nodeNames;
    this.primaries = parts.primaries;
    this.primaryBySlot = parts.primaryBySlot;
    this.#caller = parts.caller;
    this.#clock = parts.clock;
    this.#copies = parts.copies;
    this.nodeBySlot = nodeBySlot;
  }

  /** Returns that which asks primaries only. */
  static of({ map, caller, clock, readable = new Map(), ownNode = null }: FanOutOptions): FanOut {
    const primaryNames = new Set(map.primaryBySlot);
    const nodeNames = [...new Set([...primaryNames, ...map.shards.flatMap(({ replicas }) => replicas)])];
    const indexByName = new Map(nodeNames.map((name, index) => [name, index]));
    const primaryBySlot = Uint16Array.from(map.primaryBySlot, (name) => indexByName.get(name)!);
    const primaries = Array.from(primaryNames, (_name, index) => index);
    const copies = new ShardCopies(map, nodeNames, { readable, ownNode, clock });
    return new FanOut({ map, caller, clock, nodeNames, primaries, primaryBySlot, copies }, primaryBySlot);
  }

  /** True when some shard has several nodes that answer reads. */
  get hasCopies(): boolean {
    return this.#copies.hasChoice;
  }

  /** Returns that which asks one of the copies of each shard, for one request. */
  reading(): FanOut {
    if (!this.#copies.hasChoice) return this;
    const { map, nodeNames, primaries, primaryBySlot } = this;
    const parts = { map, nodeNames, primaries, primaryBySlot, caller: this.#caller, clock: this.#clock };
    return new FanOut({ ...parts, copies: this.#copies }, this.#copies.choose(primaryBySlot));
  }

  /** Returns that which asks other copies than this one does. */
  others(): FanOut {
    const { map, nodeNames, primaries, primaryBySlot } = this;
    const parts = { map, nodeNames, primaries, primaryBySlot, caller: this.#caller, clock: this.#clock };
    return new FanOut({ ...parts, copies: this.#copies }, this.#copies.chooseOthers(this.nodeBySlot));
  }

  /** True while others have copies of all that nodes have not answered yet. */
  get mayAskOthers(): boolean {
    return this.#awaited.length > 0 && this.#copies.hasOthers(this.nodeBySlot, this.#awaited);
  }

  get #isOfOneRequest(): boolean {
    return this.nodeBySlot !== this.primaryBySlot;
  }

  #began(node: number): void {
    this.#copies.began(node);
    if (this.#isOfOneRequest) this.#awaited.push(node);
  }

  #ended(node: number): void {
    this.#copies.ended(node);
    if (this.#isOfOneRequest) this.#awaited.splice(this.#awaited.indexOf(node), 1);
  }

  /** Returns all nodes that answer reads of a slot, the primary first. */
  copiesOf(slot: number): readonly number[] {
    return this.#copies.of(slot) ?? [this.primaryBySlot[slot]!];
  }

  /**
   * Asks one node. Returns its answer at once if it is there; errors come as a rejection.
   *
   * Units: `deadlineMs` is monotonic. Errors: DataPlaneError as the node raised it; for a missing
   * node it names the shards.
   */
  ask(node: number, method: string, payload: Uint8Array, deadlineMs: number): Promise<Uint8Array> | Uint8Array {
    const name = this.nodeNames[node]!;
    const timeoutMs = deadlineMs - this.#clock.monotonicMs();
    if (timeoutMs <= 0) {
      const message = `${method}: the deadline passed before ${name} was asked`;
      return Promise.reject(new DataPlaneError('DeadlineExceeded', message));
    }
    const answer = this.#caller.call({ node: name, method, payload, timeoutMs });
    return answer instanceof Promise ? this.#later(node, answer) : answer;
  }

  async #later(node: number, answer: Promise<Uint8Array>): Promise<Uint8Array> {
    this.#began(node);
    try {
      return await answer;
    } catch (thrown) {
      throw this.#failed(node, operatingFailure(thrown));
    } finally {
      this.#ended(node);
    }
  }

  /**
   * Asks several nodes at once. Returns answers in the order of sub-requests: at once if all are
   * there; errors come as a rejection.
   */
  askAll(method: string, subRequests: readonly SubRequest[], deadlineMs: number): Promise<Uint8Array[]> | Uint8Array[] {
    const timeoutMs = deadlineMs - this.#clock.monotonicMs();
    if (timeoutMs <= 0) {
      const message = `${method}: the deadline passed before nodes were asked`;
      return Promise.reject(new DataPlaneError('DeadlineExceeded', message));
    }
    const running = new Array<Promise<Uint8Array> | Uint8Array>(subRequests.length);
    let isLater = false;
    for (let index = 0; index < subRequests.length; index++) {
      const { node, payload } = subRequests[index]!;
      const answer = this.#caller.call({ node: this.nodeNames[node]!, method, payload, timeoutMs });
      if (answer instanceof Promise) isLater = true;
      running[index] = answer;
    }
    return isLater ? this.#allLater(subRequests, running) : (running as Uint8Array[]);
  }

  /** Hot: no Promise.allSettled and its result objects. */
  #allLater(
    subRequests: readonly SubRequest[],
    running: readonly (Promise<Uint8Array> | Uint8Array)[],
  ): Promise<Uint8Array[]> {
    const answers = new Array<Uint8Array>(running.length);
    const failures: DataPlaneError[] = [];
    let left = running.length;
    return new Promise((resolve, reject) => {
      const end = (): void => {
        if (--left > 0) return;
        if (failures.length === 0) resolve(answers);
        else reject(worstOf(failures));
      };
      const take = (index: number, answer: Uint8Array): void => {
        answers[index] = answer;
        end();
      };
      const taken = (index: number, answer: Uint8Array): void => {
        this.#ended(subRequests[index]!.node);
        take(index, answer);
      };
      const fail = (index: number, thrown: unknown): void => {
        const { node } = subRequests[index]!;
        this.#ended(node);
        if (thrown instanceof InvariantError) return reject(thrown);
        failures.push(this.#failed(node, toDataPlaneError(thrown)));
        end();
      };
      for (const [index, answer] of running.entries()) {
        if (!(answer instanceof Promise)) {
          take(index, answer);
          continue;
        }
        this.#began(subRequests[index]!.node);
        answer.then(taken.bind(null, index), fail.bind(null, index));
      }
    });
  }

  /** Returns the error with its shards, whose other copies are asked for a while. */
  #failed(node: number, error: DataPlaneError): DataPlaneError {
    if (error.code === 'Unavailable' || error.code === 'WrongEpoch') this.#copies.failed(node);
    if (error.code !== 'Unavailable' && error.code !== 'DeadlineExceeded') return error;
    const name = this.nodeNames[node]!;
    const shards = this.map.shards.filter(({ primary, replicas }) => primary === name || replicas.includes(name));
    const names = shards.map((shard) => shard.name).join(', ');
    return error.withMessage(`shard ${names} (node ${name}): ${error.message}`);
  }
}

type FanOutParts = Omit<FanOutOptions, 'readable' | 'ownNode'> & {
  readonly nodeNames: readonly string[];
  readonly primaries: readonly number[];
  readonly primaryBySlot: Uint16Array;
  readonly copies: ShardCopies;
};

/** Returns the error on which the caller should act, with the messages of all. */
function worstOf(failures: readonly DataPlaneError[]): DataPlaneError {
  const worst =
    failures.find(({ code }) => code === 'WrongEpoch') ??
    failures.find(({ isRetryable }) => !isRetryable) ??
    failures[0]!;
  if (failures.length === 1) return worst;
  return worst.withMessage(failures.map(({ message }) => message).join('; '));
}
