/**
 * Requests to one or several nodes of a map.
 *
 * Owns: the node of each slot, what is left of a deadline, and the error when nodes are missing: it
 * names their shards, since a missing node must never look like an empty answer.
 */

import type { Clock } from '../../base/clock.ts';
import { DataPlaneError, operatingFailure, toDataPlaneError } from '../../base/data-plane-error.ts';
import { InvariantError } from '../../base/invariant.ts';
import type { ShardMap } from '../../shardmap/shard-map.ts';
import type { NodeCaller } from '../../wire/node-caller.ts';

/** A message to one node, which is an index in `FanOut.nodeNames`. */
export type SubRequest = { readonly node: number; readonly payload: Uint8Array };

/** The nodes that have slots of one map. */
export class FanOut {
  readonly map: ShardMap;
  /** Holds indexes in `nodeNames`. */
  readonly nodeBySlot: Uint16Array;
  /** Those that are primary of some slot come first. */
  readonly nodeNames: readonly string[];
  /** Indexes in `nodeNames`: together these nodes answer for all slots. */
  readonly primaries: readonly number[];
  readonly #caller: NodeCaller;
  readonly #clock: Clock;

  constructor(map: ShardMap, caller: NodeCaller, clock: Clock) {
    this.map = map;
    this.#caller = caller;
    this.#clock = clock;
    const primaryNames = new Set(map.primaryBySlot);
    this.nodeNames = [...new Set([...primaryNames, ...map.shards.flatMap(({ replicas }) => replicas)])];
    this.primaries = Array.from(primaryNames, (_name, index) => index);
    const indexByName = new Map(this.nodeNames.map((name, index) => [name, index]));
    this.nodeBySlot = Uint16Array.from(map.primaryBySlot, (name) => indexByName.get(name)!);
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
    return answer instanceof Promise ? this.#later(name, answer) : answer;
  }

  async #later(name: string, answer: Promise<Uint8Array>): Promise<Uint8Array> {
    try {
      return await answer;
    } catch (thrown) {
      throw this.#named(name, operatingFailure(thrown));
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
      const fail = (index: number, thrown: unknown): void => {
        if (thrown instanceof InvariantError) return reject(thrown);
        failures.push(this.#named(this.nodeNames[subRequests[index]!.node]!, toDataPlaneError(thrown)));
        end();
      };
      for (const [index, answer] of running.entries()) {
        if (!(answer instanceof Promise)) take(index, answer);
        else answer.then(take.bind(null, index), fail.bind(null, index));
      }
    });
  }

  #named(node: string, error: DataPlaneError): DataPlaneError {
    if (error.code !== 'Unavailable' && error.code !== 'DeadlineExceeded') return error;
    const shards = this.map.shards.filter(({ primary, replicas }) => primary === node || replicas.includes(node));
    const names = shards.map(({ name }) => name).join(', ');
    return error.withMessage(`shard ${names} (node ${node}): ${error.message}`);
  }
}

/** Returns the error on which the caller should act, with the messages of all. */
function worstOf(failures: readonly DataPlaneError[]): DataPlaneError {
  const worst =
    failures.find(({ code }) => code === 'WrongEpoch') ??
    failures.find(({ isRetryable }) => !isRetryable) ??
    failures[0]!;
  if (failures.length === 1) return worst;
  return worst.withMessage(failures.map(({ message }) => message).join('; '));
}
