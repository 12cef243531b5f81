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
import type { TraceContext } from '../../wire/trace-context.ts';
import type { RequestRun, Step } from './request-run.ts';
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

/** What all requests by one map share. */
type MapNodes = {
  readonly map: ShardMap;
  /** Those that are primary of some slot come first. */
  readonly nodeNames: readonly string[];
  /** Indexes in `nodeNames`: together these nodes answer for all slots. */
  readonly primaries: readonly number[];
  /** By slot, as indexes in `nodeNames`. */
  readonly primaryBySlot: Uint16Array;
  readonly caller: NodeCaller;
  readonly clock: Clock;
  readonly copies: ShardCopies;
};

/** The nodes that have slots of one map, as one request asks them, or several without steps. */
export class FanOut {
  /** Holds indexes in `nodeNames`: whom to ask about a slot. */
  readonly nodeBySlot: Uint16Array;
  readonly #of: MapNodes;
  /** Null for requests of our own. */
  readonly #run: RequestRun | null;
  /** The nodes that the reads of one request wait for, once for each call. */
  #awaited: number[] | null = null;

  private constructor(of: MapNodes, nodeBySlot: Uint16Array, run: RequestRun | null) {
    this.#of = of;
    this.nodeBySlot = nodeBySlot;
    this.#run = run;
  }

  /** Returns that which asks primaries only. */
  static of({ map, caller, clock, readable = new Map(), ownNode = null }: FanOutOptions): FanOut {
    const primaryNames = new Set(map.primaryBySlot);
    const nodeNames = [...new Set([...primaryNames, ...map.shards.flatMap(({ replicas }) => replicas)])];
    const indexByName = new Map(nodeNames.map((name, index) => [name, index]));
    const primaryBySlot = Uint16Array.from(map.primaryBySlot, (name) => indexByName.get(name)!);
    const primaries = Array.from(primaryNames, (_name, index) => index);
    const copies = new ShardCopies(map, nodeNames, { readable, ownNode, clock });
    return new FanOut({ map, caller, clock, nodeNames, primaries, primaryBySlot, copies }, primaryBySlot, null);
  }

  get map(): ShardMap {
    return this.#of.map;
  }

  /** Those that are primary of some slot come first. */
  get nodeNames(): readonly string[] {
    return this.#of.nodeNames;
  }

  /** Indexes in `nodeNames`: together these nodes answer for all slots. */
  get primaries(): readonly number[] {
    return this.#of.primaries;
  }

  /** As `nodeBySlot`, of the primaries alone. */
  get primaryBySlot(): Uint16Array {
    return this.#of.primaryBySlot;
  }

  /** True when some shard has several nodes that answer reads. */
  get hasCopies(): boolean {
    return this.#of.copies.hasChoice;
  }

  /** Returns that which asks the same nodes, for one request that keeps its steps. */
  for(run: RequestRun): FanOut {
    return new FanOut(this.#of, this.nodeBySlot, run);
  }

  /** Returns that which asks one of the copies of each shard, for one request. */
  reading(run: RequestRun): FanOut {
    const { copies, primaryBySlot } = this.#of;
    return copies.hasChoice ? new FanOut(this.#of, copies.choose(primaryBySlot), run) : this.for(run);
  }

  /** Returns that which asks other copies than this one does. */
  others(): FanOut {
    return new FanOut(this.#of, this.#of.copies.chooseOthers(this.nodeBySlot), this.#run);
  }

  /** True while others have copies of all that nodes have not answered yet. */
  get mayAskOthers(): boolean {
    const awaited = this.#awaited;
    return awaited !== null && awaited.length > 0 && this.#of.copies.hasOthers(this.nodeBySlot, awaited);
  }

  get #isOfOneRequest(): boolean {
    return this.nodeBySlot !== this.#of.primaryBySlot;
  }

  /** Says that a call was not answered at once. Returns its step, if that is kept. */
  #began(node: number, call: string): Step | null {
    this.#of.copies.began(node);
    if (this.#isOfOneRequest) {
      this.#awaited ??= [];
      this.#awaited.push(node);
    }
    return this.#run?.began(this.nodeNames[node]!, call, this.#of.clock.monotonicMs()) ?? null;
  }

  #ended(node: number, step: Step | null): void {
    this.#of.copies.ended(node);
    if (this.#isOfOneRequest) this.#awaited!.splice(this.#awaited!.indexOf(node), 1);
    if (step !== null) step.endMs = this.#of.clock.monotonicMs();
  }

  /** Returns all nodes that answer reads of a slot, the primary first. */
  copiesOf(slot: number): readonly number[] {
    return this.#of.copies.of(slot) ?? [this.primaryBySlot[slot]!];
  }

  /**
   * Asks one node. Returns its answer at once if it is there; errors come as a rejection.
   *
   * Units: `deadlineMs` is monotonic. Errors: DataPlaneError as the node raised it; for a missing
   * node it names the shards.
   */
  ask(node: number, method: string, payload: Uint8Array, deadlineMs: number): Promise<Uint8Array> | Uint8Array {
    const name = this.nodeNames[node]!;
    const timeoutMs = deadlineMs - this.#of.clock.monotonicMs();
    if (timeoutMs <= 0) {
      const message = `${method}: the deadline passed before ${name} was asked`;
      return Promise.reject(new DataPlaneError('DeadlineExceeded', message));
    }
    const answer = this.#of.caller.call({ node: name, method, payload, timeoutMs, trace: this.#trace });
    return answer instanceof Promise ? this.#later(node, method, answer) : answer;
  }

  get #trace(): TraceContext | null {
    return this.#run === null ? null : this.#run.trace;
  }

  /** Asks a node by its name, which may have no slots. Errors: DataPlaneError of the node. */
  async askNamed(node: string, method: string, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    return this.#of.caller.call({ node, method, payload, timeoutMs });
  }

  async #later(node: number, method: string, answer: Promise<Uint8Array>): Promise<Uint8Array> {
    const step = this.#began(node, method);
    try {
      return await answer;
    } catch (thrown) {
      throw this.#failed(node, operatingFailure(thrown));
    } finally {
      this.#ended(node, step);
    }
  }

  /**
   * Asks several nodes at once. Returns answers in the order of sub-requests: at once if all are
   * there; errors come as a rejection.
   */
  askAll(method: string, subRequests: readonly SubRequest[], deadlineMs: number): Promise<Uint8Array[]> | Uint8Array[] {
    const timeoutMs = deadlineMs - this.#of.clock.monotonicMs();
    const { caller, nodeNames } = this.#of;
    if (timeoutMs <= 0) {
      const message = `${method}: the deadline passed before nodes were asked`;
      return Promise.reject(new DataPlaneError('DeadlineExceeded', message));
    }
    const running = new Array<Promise<Uint8Array> | Uint8Array>(subRequests.length);
    let isLater = false;
    for (let index = 0; index < subRequests.length; index++) {
      const { node, payload } = subRequests[index]!;
      const answer = caller.call({ node: nodeNames[node]!, method, payload, timeoutMs, trace: this.#trace });
      if (answer instanceof Promise) isLater = true;
      running[index] = answer;
    }
    return isLater ? this.#allLater(method, subRequests, running) : (running as Uint8Array[]);
  }

  /** Hot: no Promise.allSettled and its result objects. */
  #allLater(
    method: string,
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
      const taken = (index: number, step: Step | null, answer: Uint8Array): void => {
        this.#ended(subRequests[index]!.node, step);
        take(index, answer);
      };
      const fail = (index: number, step: Step | null, thrown: unknown): void => {
        const { node } = subRequests[index]!;
        this.#ended(node, step);
        if (thrown instanceof InvariantError) return reject(thrown);
        failures.push(this.#failed(node, toDataPlaneError(thrown)));
        end();
      };
      for (const [index, answer] of running.entries()) {
        if (!(answer instanceof Promise)) {
          take(index, answer);
          continue;
        }
        const step = this.#began(subRequests[index]!.node, method);
        answer.then(taken.bind(null, index, step), fail.bind(null, index, step));
      }
    });
  }

  /** Returns the error with its shards, whose other copies are asked for a while. */
  #failed(node: number, error: DataPlaneError): DataPlaneError {
    if (error.code === 'Unavailable' || error.code === 'WrongEpoch') this.#of.copies.failed(node);
    if (error.code !== 'Unavailable' && error.code !== 'DeadlineExceeded') return error;
    const name = this.nodeNames[node]!;
    const shards = this.map.shards.filter(({ primary, replicas }) => primary === name || replicas.includes(name));
    const names = shards.map((shard) => shard.name).join(', ');
    return error.withMessage(`shard ${names} (node ${name}): ${error.message}`);
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
