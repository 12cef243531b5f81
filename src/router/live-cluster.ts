/**
 * What a router's page shows: what the router, its nodes and ingest recorded lately, the state of
 * nodes, slots, moves and sources, and the slowest requests.
 *
 * Owns: that this stays small with many nodes and slots. Nodes and ingest are asked only while
 * somebody watches; one that does not answer is shown as down.
 */
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import type { ClusterRows } from '../dashboard/cluster-rows.ts';
import type { IngestAnswer, IngestState } from '../dashboard/ingest-state.ts';
import type { FramesQuestion, LiveHost } from '../dashboard/live-socket.ts';
import type { LiveAnswer, LiveQuestion } from '../metrics/live-history.ts';
import type { Live, LiveSource } from '../metrics/process-histograms.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { liveAnswer, liveRequest } from '../wire/live-messages.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { moveRows, type NodeState, shardRows, slotRow } from './live-rows.ts';
import type { ServiceRouter } from './plan/service-router.ts';
import type { KeptRequest } from './slow-log.ts';

/** Less than watchers wait between two messages, so that one node that hangs holds up few. */
const askTimeoutMs = 900;
const slowestShown = 30;
/** What a page that watches has already. Units: ms. */
const newMs = 5_000;
/** Values of series, counts included: of the router's process, and of all others together. */
const numbersMax = { now: { own: 50_000, others: 100_000 }, frames: { own: 200_000, others: 1_000_000 } } as const;
/** Of all series that exist. */
const namesMax = 1_024;
/** More slots are sent less often. */
const slotsPerSecond = 1_024;
const slotsEveryMax = 5;

/** What the router asks of ingest. Errors: DataPlaneError. */
export type WatchedIngest = {
  live(question: LiveQuestion): Promise<Live>;
  status(): Promise<IngestState>;
};

export type LiveClusterOptions = {
  /** Null on a node without an edge, whose page shows the node alone. */
  readonly router: Pick<ServiceRouter, 'fanOut'> | null;
  readonly map: () => ShardMap;
  /** What the process of the router recorded, which is also the node's of an edge. */
  readonly own: LiveSource;
  /** The node in this process; null for a router. */
  readonly ownNode: string | null;
  /** Null where it is not known where ingest is. */
  readonly ingest: WatchedIngest | null;
  readonly statuses: () => Promise<readonly NodeState[]>;
  readonly slowest: () => readonly KeptRequest[];
  readonly clock: Clock;
};

const ingestName = 'ingest';

type ProcessLive = Omit<LiveAnswer, 'names'> & { readonly process: string };
type Asked = { readonly processes: readonly ProcessLive[]; readonly names: readonly string[] };

export class LiveCluster implements LiveHost {
  readonly #options: LiveClusterOptions;
  readonly #lastMsByProcess = new Map<string, number>();
  /** Messages until slots are sent again. */
  #slotsDueIn = 0;

  constructor(options: LiveClusterOptions) {
    this.#options = options;
  }

  async next(prefixes: readonly string[]): Promise<object> {
    const { clock, slowest } = this.#options;
    const oldestMs = clock.nowMs() - newMs;
    const questionOf = (process: string): Omit<LiveQuestion, 'numbersMax'> => ({
      spanS: 1,
      sinceMs: Math.max(oldestMs, this.#lastMsByProcess.get(process) ?? 0),
      prefixes,
    });
    const [asked, cluster, ingest] = await Promise.all([
      this.#ask(questionOf, numbersMax.now, null),
      this.#cluster(),
      this.#ingest(),
    ]);
    for (const { process, frames } of asked.processes) {
      const last = frames.at(-1);
      if (last !== undefined) this.#lastMsByProcess.set(process, last.endMs);
    }
    return { atMs: clock.nowMs(), ...asked, cluster, ingest, slowest: slowest().slice(0, slowestShown) };
  }

  async frames({ spanS, sinceMs, prefixes, process }: FramesQuestion): Promise<object> {
    // A page that begins has no slots yet.
    if (sinceMs === 0) this.#slotsDueIn = 0;
    const questionOf = (name: string): Omit<LiveQuestion, 'numbersMax'> => ({
      spanS,
      sinceMs,
      prefixes: process === null || process === name ? prefixes : [],
    });
    return { atMs: this.#options.clock.nowMs(), ...(await this.#ask(questionOf, numbersMax.frames, process)) };
  }

  async #cluster(): Promise<ClusterRows> {
    const { map: mapNow, router, statuses } = this.#options;
    const nodes = await statuses();
    const map = mapNow();
    const slots = nodes.reduce((sum, node) => sum + (node.slots?.length ?? 0), 0);
    const areSlotsDue = --this.#slotsDueIn < 0;
    if (areSlotsDue) this.#slotsDueIn = Math.min(slotsEveryMax, Math.ceil(slots / slotsPerSecond)) - 1;
    const rows = nodes.map((node) => {
      const { name, state, error = '', epoch = null, upMs = null, slotMapBytes = null, freeBytes = null } = node;
      const about = { name, state, error, epoch, upMs, slotMapBytes, freeBytes };
      return { ...about, slots: areSlotsDue ? (node.slots ?? []).map(slotRow) : null };
    });
    // A node by itself does not know how others are.
    const isWhole = router !== null;
    return {
      epoch: map.epoch,
      slots: map.slots,
      nodes: rows,
      shards: isWhole ? shardRows(map, nodes) : [],
      moves: isWhole ? moveRows(map, nodes) : { groups: [], slots: [] },
    };
  }

  /** Returns the state of ingest, or why there is none; null where it is not known where it is. */
  async #ingest(): Promise<IngestAnswer> {
    const { ingest } = this.#options;
    if (ingest === null) return null;
    try {
      return await ingest.status();
    } catch (thrown) {
      return { error: operatingFailure(thrown).message };
    }
  }

  /**
   * Asks this process, the nodes and ingest; those that do not answer in time are left out. The
   * values of one process may be as many as those of all others together.
   */
  async #ask(
    questionOf: (process: string) => Omit<LiveQuestion, 'numbersMax'>,
    max: { readonly own: number; readonly others: number },
    only: string | null,
  ): Promise<Asked> {
    const { router, own, ownNode, ingest, clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + askTimeoutMs;
    const fanOut = router?.fanOut;
    const nodeNames = fanOut?.nodeNames ?? [];
    const share = only === null ? Math.floor(max.others / Math.max(1, nodeNames.length)) : max.others;
    const askOne = async (process: string, ask: () => Promise<Live>): Promise<(Live & { process: string })[]> => {
      try {
        return [{ process, ...(await ask()) }];
      } catch (thrown) {
        operatingFailure(thrown);
        return [];
      }
    };
    const name = ownNode ?? 'router';
    const asked = [askOne(name, () => own({ ...questionOf(name), numbersMax: max.own }))];
    nodeNames.forEach((process, node) => {
      if (process === ownNode) return;
      const payload = liveRequest.encode({
        ...questionOf(process),
        prefixes: [...questionOf(process).prefixes],
        numbersMax: share,
      });
      asked.push(
        askOne(process, async () => liveAnswer.decode(await fanOut!.ask(node, nodeCalls.live, payload, deadlineMs))),
      );
    });
    if (ingest !== null) {
      asked.push(askOne(ingestName, () => ingest.live({ ...questionOf(ingestName), numbersMax: 0 })));
    }
    const lives = (await Promise.all(asked)).flat();
    const names = new Set(lives.flatMap((live) => live.names));
    return {
      names: [...names].slice(0, namesMax),
      processes: lives.map(({ process, frames, bits }) => ({ process, frames, bits })),
    };
  }
}
