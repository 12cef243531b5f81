/**
 * The nodes of one map, and requests to one or several of them.
 *
 * Owns: slot → node by index, what is left of a deadline, and the error when nodes are missing: it
 * names their shards, since a missing node must never read as an empty answer.
 */

import type { Clock } from '../../base/clock.ts';
import { DataPlaneError, operatingFailure, toDataPlaneError } from '../../base/data-plane-error.ts';
import { InvariantError } from '../../base/invariant.ts';
import type { ShardMap } from '../../shardmap/shard-map.ts';
import type { NodeCaller } from '../../wire/node-caller.ts';

/** One message to one node. `node` is an index of the fan-out. */
export type SubRequest = { readonly node: number; readonly payload: Uint8Array };

/** The nodes that are primary of some slot, under one map. */
export class FanOut {
  readonly map: ShardMap;
  /** Node index by slot. */
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
   * Units: `deadlineMs` is monotonic. Errors: DataPlaneError as the node raised it, naming the
   * shards when it is missing.
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

  /**
   * Asks several nodes at once. Returns answers in the order of the sub-requests; fails when any is
   * missing, once all have ended.
   */
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
    // One promise a sub-request: this runs for every request that is fanned out.
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

/** Returns the failure that says most about what the caller should do, with the messages of all. */
function worstOf(failures: readonly DataPlaneError[]): DataPlaneError {
  const worst =
    failures.find(({ code }) => code === 'WrongEpoch') ??
    failures.find(({ isRetryable }) => !isRetryable) ??
    failures[0]!;
  if (failures.length === 1) return worst;
  return worst.withMessage(failures.map(({ message }) => message).join('; '));
}
