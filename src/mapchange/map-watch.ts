/**
 * Asks the nodes for their shard maps, once a second and when a newer one is heard of.
 *
 * Owns: how a process that missed a push catches up, and how nodes know which processes there are.
 */
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { type MapFollower, type MapJson, sharedPartOf } from '../shardmap/map-follower.ts';
import { type MapAnswer, mapAnswer, mapRequest, type ProcessRole } from '../wire/map-messages.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { decodeOfPeer } from '../wire/peer-bytes.ts';

export type MapWatchOptions = {
  readonly maps: MapFollower;
  readonly caller: NodeCaller;
  readonly role: ProcessRole;
  /** The same for as long as the process runs, and of no other; that of the map for a node. */
  readonly name: string;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly clock: Clock;
};

const pollMs = 1_000;
const askMsMax = 1_000;
/** A check that found nothing newer is not repeated sooner, unless a newer epoch is heard of. */
const checkPauseMs = 1_000;
/** A process that did nothing for longer, as under SIGSTOP, may have missed a map. */
const stoodStillMsMax = 3_000;
const sureMsMax = 5_000;
const askAgainMs = 100;

export class MapWatch {
  readonly #options: MapWatchOptions;
  readonly #stop = new AbortController();
  #polling: Promise<void> | null = null;
  #checking: Promise<void> | null = null;
  #checkedMs = Number.NEGATIVE_INFINITY;
  /** The highest epoch that was heard of when the last check began. */
  #checkedEpoch = 0;
  #notedDigest = '';
  /** Why the last answer that failed did. */
  #problem: string | null = null;
  #aliveMs: number;
  /** True after this process stood still, until it knows that it has missed no map. */
  #isUnsure = false;

  constructor(options: MapWatchOptions) {
    this.#options = options;
    this.#aliveMs = options.clock.monotonicMs();
  }

  start(): void {
    this.#polling ??= this.#poll();
  }

  /** No answer that comes later changes the map: its folder may be another process's by then. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#polling;
  }

  /**
   * Asks all nodes now, unless that was just done and no newer epoch was heard of since.
   *
   * Returns: null if there is nothing to wait for; else what resolves when a newer map is in force,
   * or all nodes have answered, at the latest after `askMsMax`. A process that stood still waits
   * for as many answers as no newer map could be missing from, at the latest after `sureMsMax`.
   */
  check(): Promise<void> | null {
    this.#noteTime();
    if (this.#checking !== null) return this.#checking;
    const { maps, clock } = this.#options;
    const isRecent = clock.monotonicMs() - this.#checkedMs < checkPauseMs && maps.seenEpoch <= this.#checkedEpoch;
    if (this.#stop.signal.aborted || (isRecent && !this.#isUnsure)) return null;
    this.#checking = this.#askForNewest().finally(() => {
      if (maps.isOutdated) maps.missed(this.#problem);
      this.#checking = null;
      this.#checkedMs = clock.monotonicMs();
    });
    return this.#checking;
  }

  /** Asks once more for an epoch that is heard of meanwhile: answers may be older than it. */
  async #askForNewest(): Promise<void> {
    const { maps } = this.#options;
    do {
      this.#checkedEpoch = maps.seenEpoch;
      await (this.#isUnsure ? this.#askUntilSure() : this.#askAll());
    } while (maps.isOutdated && maps.seenEpoch > this.#checkedEpoch && !this.#stop.signal.aborted);
  }

  async #poll(): Promise<void> {
    for (let isTelling = false; !this.#stop.signal.aborted; ) {
      this.#noteTime();
      const before = this.#ownMaps();
      await this.#askAll();
      // A push waits until this process has told what it has now; once, or two pushes at a time
      // could have it ask on and on.
      isTelling = !isTelling && this.#ownMaps() !== before;
      if (!isTelling) await this.#options.clock.sleep(pollMs, this.#stop.signal);
    }
  }

  /** Returns what this process tells of its maps. */
  #ownMaps(): string {
    const { held, prepared } = this.#options.maps;
    return `${held.digest} ${prepared?.digest ?? ''}`;
  }

  #noteTime(): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (nowMs - this.#aliveMs > stoodStillMsMax) this.#isUnsure = true;
    this.#aliveMs = nowMs;
  }

  async #askUntilSure(): Promise<void> {
    const { clock } = this.#options;
    const endMs = clock.monotonicMs() + sureMsMax;
    do {
      await this.#askAll();
      if (this.#isUnsure) await clock.sleep(askAgainMs, this.#stop.signal);
    } while (this.#isUnsure && clock.monotonicMs() < endMs && !this.#stop.signal.aborted);
    // With too many nodes away it goes on as before: to answer nothing would help nobody.
    this.#isUnsure = false;
  }

  /** Returns how many other nodes must answer, so that one of them has any newer map in force. */
  #answersNeeded(others: number): number {
    const { map, prepared } = this.#options.maps;
    const { size } = map.nodes;
    const ownVote = this.#options.role === 'node' && prepared === null ? 1 : 0;
    return Math.min(others, size - Math.floor(size / 2) - ownVote);
  }

  #others(): string[] {
    const { maps, role, name } = this.#options;
    return [...maps.map.nodes.keys()].filter((node) => role !== 'node' || node !== name);
  }

  /**
   * Resolves when all have answered, or as soon as the newer map that was heard of is in force.
   *
   * Errors: InvariantError, at once.
   */
  #askAll(): Promise<void> {
    const { maps } = this.#options;
    const isBehind = maps.isOutdated;
    const nodes = this.#others();
    const needed = this.#answersNeeded(nodes.length);
    let left = nodes.length;
    let answers = 0;
    this.#problem = null;
    return new Promise((resolve, reject) => {
      if (left === 0) resolve();
      if (needed === 0) this.#isUnsure = false;
      for (const node of nodes) {
        const asked = this.#ask(node).then((problem) => {
          this.#problem ??= problem;
          if (problem === null && ++answers >= needed) this.#isUnsure = false;
          if (--left === 0 || (isBehind && !maps.isOutdated)) resolve();
        });
        asked.catch(reject);
      }
    });
  }

  /** Takes what one node has. Returns why a newer map could not be had, or null. */
  async #ask(node: string): Promise<string | null> {
    const { maps, caller, role, name } = this.#options;
    const { held, prepared } = maps;
    const own = { name, role, epoch: held.map.epoch, digest: held.digest, preparedDigest: prepared?.digest ?? '' };
    const payload = mapRequest.encode({ caller: own, withProcesses: false });
    try {
      const answer = await caller.call({ node, method: nodeCalls.map, payload, timeoutMs: askMsMax });
      if (this.#stop.signal.aborted) return null;
      this.#take(
        node,
        decodeOfPeer(nodeCalls.map, () => mapAnswer.decode(answer), 'Internal'),
      );
      return null;
    } catch (thrown) {
      return operatingFailure(thrown).message;
    }
  }

  #take(node: string, { committed, prepared }: MapAnswer): void {
    const { maps, role } = this.#options;
    if (committed.epoch > maps.map.epoch) {
      const json = committed.json ?? this.#jsonOf(committed.digest);
      if (json !== null) maps.commit(json);
    } else if (committed.epoch === maps.map.epoch) this.#compare(node, committed.digest);
    // A node has a say in which map comes next, so it prepares one only when it is asked to.
    const isNext = prepared !== null && prepared.epoch > maps.map.epoch && role !== 'node';
    if (isNext && prepared.json !== null) maps.expect(prepared.json);
  }

  /** Returns the map that this process holds ready, if it has this digest. */
  #jsonOf(digest: string): MapJson | null {
    const { prepared } = this.#options.maps;
    return prepared?.digest === digest ? sharedPartOf(prepared.json) : null;
  }

  #compare(node: string, digest: string): void {
    const { map, digest: own } = this.#options.maps.held;
    if (digest === own || this.#notedDigest === digest) return;
    this.#notedDigest = digest;
    const what = `node ${node} has another shard map of epoch ${map.epoch}: push one with a higher epoch`;
    this.#options.note(what, { node, digest, own });
  }
}
