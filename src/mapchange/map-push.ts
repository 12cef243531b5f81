/**
 * Puts a changed shard map in force everywhere, without a restart.
 *
 * Owns: the order. All nodes say whether they can take the map; then they promise to, durably;
 * then it is in force, once more than half of the nodes have promised. Before that, nothing is
 * changed by a push that is refused. After it, those who missed it get it by themselves: they hear
 * of the epoch in any frame, and answer nothing until they have the map.
 */
import * as v from 'valibot';
import type { Clock } from '../base/clock.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { DataPlaneError, isTransient, operatingFailure } from '../base/data-plane-error.ts';
import { recordShape, textShape } from '../config/json-shape.ts';
import { checkMapChange, differencesOf, type MapDifference } from '../shardmap/map-change.ts';
import { type HeldMap, heldMapOf, type MapFollower, sharedPartOf } from '../shardmap/map-follower.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { changeMapRequest, type MapAnswer, type MapStep, mapAnswer, mapRequest } from '../wire/map-messages.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { decodeOfPeer } from '../wire/peer-bytes.ts';
import type { MapWatch } from './map-watch.ts';

export const pushBody = v.strictObject({
  map: recordShape(v.string(), v.unknown()),
  isDryRun: v.optional(v.boolean('must be true or false'), false),
  /** Of the lease on the map in force. */
  holder: v.optional(v.nullable(textShape), null),
});
export type PushBody = v.InferOutput<typeof pushBody>;

export type MapPushOptions = {
  readonly maps: MapFollower;
  readonly caller: NodeCaller;
  readonly watch: MapWatch;
  /** Of this process. */
  readonly name: string;
  readonly clock: Clock;
};

type NodeReport = {
  readonly name: string;
  /** `restarts` to take other slots or another address. */
  readonly state: 'can take it' | 'has it' | 'restarts' | 'missed it';
  readonly problem: string | null;
};
type OtherProcess = { readonly name: string; readonly role: string; readonly epoch: number; readonly hasIt: boolean };

export type PushReport = {
  readonly epoch: number;
  readonly digest: string;
  readonly isDryRun: boolean;
  /** The map was in force already. */
  readonly isRepeated: boolean;
  readonly changes: readonly MapDifference[];
  readonly nodes: readonly NodeReport[];
  readonly others: readonly OtherProcess[];
};

type Outcomes = ReadonlyMap<string, DataPlaneError | null>;

const stepMsMax = 3_000;
/** How long a node may take that starts again before its answer is on the way. */
const commitMsMax = 15_000;
/** How long a link may take that was cut until it is there again. */
const checkMsMax = 3_000;
const askAgainMs = 250;
/** Routers and ingest ask once a second. */
const othersMsMax = 3_000;
const othersCheckMs = 100;
/** Others that have not asked for longer are not waited for. */
const othersAgeMsMax = 3_000;

function isUnreached(error: DataPlaneError | null): boolean {
  return error !== null && isTransient(error.code);
}

/**
 * Returns the nodes whose slots a change takes or gives, and all that have slots where it begins or
 * ends a doubling. A primary whose place a replica takes is not one of them, since the log that
 * they share tells it: it may be the one that was lost.
 */
function nodesOfMovedSlots(before: ShardMap, after: ShardMap): string[] {
  // Of its slots, only a node itself can say that they have split.
  if (before.isDoubling !== after.isDoubling)
    return [...new Set(after.shards.flatMap(({ primary, replicas }) => [primary, ...replicas]))];
  const names = new Set<string>();
  for (const [slot, primary] of after.primaryBySlot.entries()) {
    const former = before.shards.find(({ slots }) => slots.includes(slot))!;
    if (former.primary === primary) continue;
    names.add(primary);
    if (!former.replicas.includes(primary)) names.add(former.primary);
  }
  return [...names];
}

function ableOf(outcomes: Outcomes): number {
  return [...outcomes.values()].filter((error) => error === null || error.code === 'WrongEpoch').length;
}

function isMost({ nodes }: Pick<ShardMap, 'nodes'>, outcomes: Outcomes): boolean {
  return 2 * ableOf(outcomes) > nodes.size;
}

export class MapPush {
  readonly #options: MapPushOptions;
  #pushCount = 0;

  constructor(options: MapPushOptions) {
    this.#options = options;
  }

  /** Returns the map in force, and who has which. */
  async show(): Promise<object> {
    const { maps } = this.#options;
    const { json, map, digest } = maps.held;
    const answers = await this.#askMaps();
    const nodes = [...answers].map(([name, answer]) => {
      if (answer instanceof DataPlaneError) return { name, epoch: null, digest: null, problem: answer.message };
      const { committed, prepared } = answer;
      return { name, epoch: committed.epoch, digest: committed.digest, preparedEpoch: prepared?.epoch ?? null };
    });
    const others = this.#othersOf(answers, digest);
    return { epoch: map.epoch, digest, map: sharedPartOf(json), nodes, others, changes: changesIn(answers) };
  }

  /**
   * Puts a map in force, or says for a dry run what it would change.
   *
   * Errors: DataPlaneError `ConfigInvalid` for a map that is refused, `Unavailable` while too few
   * nodes can take it; in both cases nothing is changed.
   */
  async push({ map: json, isDryRun, holder }: PushBody): Promise<PushReport> {
    const { maps, watch, clock } = this.#options;
    await watch.check();
    const before = maps.map;
    const next = heldMapOf(json, maps.held.json);
    const isRepeated = !checkMapChange(before, next.map, { nowMs: clock.nowMs(), holder });
    const call = { next, holder, push: `${this.#options.name} ${clock.nowMs()} ${++this.#pushCount}` };
    const nodes = [...before.nodes.keys()];
    const checked = await this.#check(before, nodes, call);
    this.#require(before, next.map, checked);
    const report = { epoch: next.map.epoch, digest: next.digest, isDryRun, isRepeated };
    const changes = differencesOf(before, next.map);
    if (isDryRun) {
      const others = this.#othersOf(await this.#askMaps(), next.digest);
      return { ...report, changes, nodes: reportOf(checked, 'can take it'), others };
    }
    const reached = nodes.filter((node) => !isUnreached(checked.get(node)!));
    await this.#prepare(before, reached, call);
    reachCrashPoint('map-before-commit');
    const committed = await this.#commit(before, reached, call);
    this.#requireMost(before, committed, 'It may be in force: push the same map again.');
    // The maps of a node's own process are the ones that its handler has changed.
    if (maps.map.epoch < next.map.epoch) maps.commit(sharedPartOf(next.json));
    await this.#untilOthers(({ digest }) => digest === next.digest);
    const missed = new Map([...checked].filter(([, error]) => isUnreached(error)));
    const others = this.#othersOf(await this.#askMaps(), next.digest);
    return { ...report, changes, nodes: reportOf(new Map([...committed, ...missed]), 'has it'), others };
  }

  /** Has all promise to take the map; if too few do, takes the promises back. */
  async #prepare(before: ShardMap, reached: readonly string[], call: PushCall): Promise<void> {
    const prepared = await this.#step('prepare', reached, call);
    try {
      this.#require(before, call.next.map, prepared);
    } catch (thrown) {
      await this.#step('abandon', reached, call);
      throw thrown;
    }
    await this.#untilOthers(({ digest, preparedDigest }) => [digest, preparedDigest].includes(call.next.digest));
  }

  /**
   * Asks whether nodes can take the map. A link that was cut may take a moment until it is there
   * again; so while those are missing without whom nothing is done, they are asked again.
   */
  #check(before: ShardMap, nodes: readonly string[], call: PushCall): Promise<Outcomes> {
    const needed = nodesOfMovedSlots(before, call.next.map);
    const isEnough = (outcomes: Outcomes): boolean =>
      isMost(before, outcomes) && needed.every((node) => !isUnreached(outcomes.get(node) ?? null));
    return this.#stepUntil('check', nodes, call, { isEnough, msMax: checkMsMax });
  }

  /**
   * Has those who promised it take the map. A node that the map gives slots starts again, and may
   * break the connection first; so while too few have answered, the others are asked again.
   */
  #commit(before: ShardMap, reached: readonly string[], call: PushCall): Promise<Outcomes> {
    const isEnough = (outcomes: Outcomes): boolean => isMost(before, outcomes);
    return this.#stepUntil('commit', reached, call, { isEnough, msMax: commitMsMax });
  }

  /** Asks nodes for a step, and those that are not reached again until enough have answered. */
  async #stepUntil(
    step: MapStep,
    nodes: readonly string[],
    call: PushCall,
    { isEnough, msMax }: Waiting,
  ): Promise<Outcomes> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + msMax;
    let outcomes = await this.#step(step, nodes, call);
    while (!isEnough(outcomes) && clock.monotonicMs() < endMs) {
      const again = nodes.filter((node) => isUnreached(outcomes.get(node)!));
      if (again.length === 0) break;
      await clock.sleep(askAgainMs);
      outcomes = new Map([...outcomes, ...(await this.#step(step, again, call))]);
    }
    return outcomes;
  }

  #require(before: ShardMap, after: ShardMap, outcomes: Outcomes): void {
    const unnamed = after.shards.find(({ primary }) => !before.nodes.has(primary));
    if (unnamed !== undefined) {
      const problem = `shard map: shard "${unnamed.name}" is given to node ${unnamed.primary}, which is not in the map yet`;
      const hint = 'Push a map that names the node without slots, start it, then give it slots.';
      throw new DataPlaneError('ConfigInvalid', problem, { hint });
    }
    for (const [node, error] of outcomes) {
      if (error === null || isTransient(error.code)) continue;
      throw new DataPlaneError(error.code, `node ${node}: ${error.message}`, { hint: error.ownHint });
    }
    const hint = 'Nothing was changed. Start what is down, then push again.';
    for (const node of nodesOfMovedSlots(before, after)) {
      const error = outcomes.get(node) ?? null;
      if (error === null && outcomes.has(node)) continue;
      const problem = `the slots of node ${node} change, so it must take the map: ${error?.message ?? 'it is not reached'}`;
      throw new DataPlaneError('Unavailable', problem, { hint });
    }
    this.#requireMost(before, outcomes, hint);
  }

  #requireMost({ nodes }: ShardMap, outcomes: Outcomes, hint: string): void {
    if (isMost({ nodes }, outcomes)) return;
    const why = [...outcomes.values()].flatMap((error) => (error === null ? [] : [error.message])).join('; ');
    const problem = `${ableOf(outcomes)} of ${nodes.size} nodes can take the map, and more than half must: ${why}`;
    throw new DataPlaneError('Unavailable', problem, { hint });
  }

  async #step(step: MapStep, nodes: readonly string[], { next, holder, push }: PushCall): Promise<Outcomes> {
    const payload = changeMapRequest.encode({
      step,
      json: sharedPartOf(next.json),
      digest: next.digest,
      holder,
      push,
    });
    const one = async (node: string): Promise<[string, DataPlaneError | null]> => {
      try {
        await this.#options.caller.call({ node, method: nodeCalls.changeMap, payload, timeoutMs: stepMsMax });
        return [node, null];
      } catch (thrown) {
        return [node, operatingFailure(thrown)];
      }
    };
    return new Map(await Promise.all(nodes.map(one)));
  }

  async #askMaps(): Promise<ReadonlyMap<string, MapAnswer | DataPlaneError>> {
    const payload = mapRequest.encode({ caller: null, withProcesses: true });
    const one = async (node: string): Promise<[string, MapAnswer | DataPlaneError]> => {
      try {
        const call = { node, method: nodeCalls.map, payload, timeoutMs: stepMsMax };
        const answer = await this.#options.caller.call(call);
        return [node, decodeOfPeer(nodeCalls.map, () => mapAnswer.decode(answer), 'Internal')];
      } catch (thrown) {
        return [node, operatingFailure(thrown)];
      }
    };
    return new Map(await Promise.all([...this.#options.maps.map.nodes.keys()].map(one)));
  }

  /** Returns the processes that are no nodes, as the node says that heard of them last. */
  #newestOf(answers: ReadonlyMap<string, MapAnswer | DataPlaneError>): MapAnswer['processes'] {
    const newest = new Map<string, MapAnswer['processes'][number]>();
    for (const answer of answers.values()) {
      if (answer instanceof DataPlaneError) continue;
      for (const process of answer.processes) {
        const known = newest.get(process.name);
        if (known === undefined || process.ageMs < known.ageMs) newest.set(process.name, process);
      }
    }
    return [...newest.values()].filter(({ role, name }) => role !== 'node' && name !== this.#options.name);
  }

  #othersOf(answers: ReadonlyMap<string, MapAnswer | DataPlaneError>, next: string): OtherProcess[] {
    return this.#newestOf(answers).map(({ name, role, epoch, digest }) => {
      return { name, role, epoch, hasIt: digest === next };
    });
  }

  /** Waits until something holds of all other processes, for as long as they may take to ask. */
  async #untilOthers(holds: (process: MapAnswer['processes'][number]) => boolean): Promise<void> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + othersMsMax;
    do {
      const others = this.#newestOf(await this.#askMaps());
      if (others.every((process) => process.ageMs > othersAgeMsMax || holds(process))) return;
      await clock.sleep(othersCheckMs);
    } while (clock.monotonicMs() < endMs);
  }
}

/** Returns what nodes have noted of changes, each once, oldest first. */
function changesIn(answers: ReadonlyMap<string, MapAnswer | DataPlaneError>): MapAnswer['changes'] {
  const byEpoch = new Map<number, MapAnswer['changes'][number]>();
  for (const answer of answers.values()) {
    if (answer instanceof DataPlaneError) continue;
    for (const change of answer.changes) {
      const known = byEpoch.get(change.epoch);
      // The first to have it was there when it was pushed.
      if (known === undefined || change.atMs < known.atMs) byEpoch.set(change.epoch, change);
    }
  }
  return [...byEpoch.values()].sort((one, other) => one.epoch - other.epoch);
}

type Waiting = { readonly isEnough: (outcomes: Outcomes) => boolean; readonly msMax: number };
type PushCall = { readonly next: HeldMap; readonly holder: string | null; readonly push: string };

function reportOf(outcomes: Outcomes, done: NodeReport['state']): NodeReport[] {
  return [...outcomes].map(([name, error]) => {
    if (error === null) return { name, state: done, problem: null };
    return { name, state: error.code === 'WrongEpoch' ? 'restarts' : 'missed it', problem: error.message };
  });
}
