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

/** The nodes that are primary for some slot of one map. */
export class FanOut {
  readonly map: ShardMap;
  /** Holds indexes in `nodeNames`. */
  readonly nodeBySlot: Uint16Array;
  readonly nodeNames: readonly string[];
  readonly #caller: NodeCaller;
  readonly #clock: Clock;

  constructor(map: ShardMap, caller: NodeCaller, clock: Clock) {
    this.map = map;
    this.#caller = caller;
    this.#clock = clock;
    this.nodeNames = [...new Set(map.primaryBySlot)];
    const indexByName = new Map(this.nodeNames.map((name, index) => [name, index]));
    this.nodeBySlot = Uint16Array.from(map.primaryBySlot, (name) => indexByName.get(name)!);
  }

  /**
   * Asks one node.
   *
   * Units: `deadlineMs` is monotonic. Errors: DataPlaneError as the node raised it; for a missing
   * node it names the shards.
   */
  async ask(node: number, method: string, payload: Uint8Array, deadlineMs: number): Promise<Uint8Array> {
    const name = this.nodeNames[node]!;
    const timeoutMs = deadlineMs - this.#clock.monotonicMs();
    if (timeoutMs <= 0)
      throw new DataPlaneError('DeadlineExceeded', `${method}: the deadline passed before ${name} was asked`);
    try {
      return await this.#caller.call({ node: name, method, payload, timeoutMs });
    } catch (thrown) {
      throw this.#named(name, operatingFailure(thrown));
    }
  }

  /** Asks several nodes at once and waits for all. Returns answers in the order of sub-requests. */
  askAll(method: string, subRequests: readonly SubRequest[], deadlineMs: number): Promise<Uint8Array[]> {
    const timeoutMs = deadlineMs - this.#clock.monotonicMs();
    if (timeoutMs <= 0) {
      return Promise.reject(
        new DataPlaneError('DeadlineExceeded', `${method}: the deadline passed before nodes were asked`),
      );
    }
    const answers = new Array<Uint8Array>(subRequests.length);
    const failures: DataPlaneError[] = [];
    let left = subRequests.length;
    if (left === 0) return Promise.resolve(answers);
    // Hot: one promise for each sub-request, without Promise.allSettled and its result objects.
    return new Promise((resolve, reject) => {
      const end = (): void => {
        if (--left > 0) return;
        if (failures.length === 0) resolve(answers);
        else reject(worstOf(failures));
      };
      for (let index = 0; index < subRequests.length; index++) {
        const { node, payload } = subRequests[index]!;
        const name = this.nodeNames[node]!;
        this.#caller.call({ node: name, method, payload, timeoutMs }).then(
          (answer) => {
            answers[index] = answer;
            end();
          },
          (thrown: unknown) => {
            if (thrown instanceof InvariantError) return reject(thrown);
            failures.push(this.#named(name, toDataPlaneError(thrown)));
            end();
          },
        );
      }
    });
  }

  #named(node: string, error: DataPlaneError): DataPlaneError {
    if (error.code !== 'Unavailable' && error.code !== 'DeadlineExceeded') return error;
    const shards = this.map.shards.filter(({ primary }) => primary === node).map(({ name }) => name);
    return error.withMessage(`shard ${shards.join(', ')} (node ${node}): ${error.message}`);
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
