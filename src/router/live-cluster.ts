/**
 * What a router's page shows: what the router and its nodes recorded lately, the state of nodes and
 * slots, and the slowest requests.
 *
 * Nodes are asked only while somebody watches; one that does not answer is shown as down.
 */
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import type { LiveHost } from '../dashboard/live-socket.ts';
import type { Live, LiveQuestion, LiveSource } from '../metrics/process-histograms.ts';
import { liveAnswer, liveRequest } from '../wire/live-messages.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import type { SlotStatus } from '../wire/node-status.ts';
import type { ServiceRouter } from './plan/service-router.ts';
import type { KeptRequest } from './slow-log.ts';

/** Less than watchers wait between two messages, so that one node that hangs holds up few. */
const askTimeoutMs = 900;
/** How often nodes are asked for the status of their slots. */
const statusEveryMs = 1_000;
const slowestShown = 30;

/** What the page needs of a node's status. */
export type NodeState = {
  readonly name: string;
  readonly state: string;
  readonly error?: string | undefined;
  readonly slots?: readonly SlotStatus[] | undefined;
  readonly slotMapBytes?: number | undefined;
};

export type LiveClusterOptions = {
  /** Null on a node without an edge, whose page shows the node alone. */
  readonly router: ServiceRouter | null;
  readonly map: () => { readonly epoch: number; readonly slots: number };
  /** What the process of the router recorded, which is also the node's of an edge. */
  readonly own: LiveSource;
  /** The node in this process; null for a router. */
  readonly ownNode: string | null;
  readonly statuses: () => Promise<readonly NodeState[]>;
  readonly slowest: () => readonly KeptRequest[];
  readonly clock: Clock;
};

type ProcessLive = Live & { readonly process: string };

/** A slot for the page, in the order of its columns. */
function slotRow(slot: SlotStatus): (number | string | boolean | null)[] {
  const { role, state, condition, lagMs, behindMs, waiting, outbox, bytes, quarantined } = slot;
  const health = state !== 'applying' ? state : condition;
  return [slot.slot, role, health, lagMs, behindMs, waiting, outbox, bytes, quarantined];
}

export class LiveCluster implements LiveHost {
  readonly #options: LiveClusterOptions;
  readonly #sinceMsByProcess = new Map<string, number>();
  #statusMs = Number.NEGATIVE_INFINITY;

  constructor(options: LiveClusterOptions) {
    this.#options = options;
  }

  async next(): Promise<object> {
    const { clock, slowest, map } = this.#options;
    const startMs = clock.nowMs() - 2 * 1_000;
    const processes = await this.#ask((process) => ({
      stepsSinceMs: Number.MAX_SAFE_INTEGER,
      secondsSinceMs: this.#sinceMsByProcess.get(process) ?? startMs,
      prefix: '',
    }));
    for (const { process, seconds } of processes) {
      const last = seconds.at(-1);
      if (last !== undefined) this.#sinceMsByProcess.set(process, last.endMs);
    }
    const isDue = clock.monotonicMs() - this.#statusMs >= statusEveryMs;
    if (!isDue) return { atMs: clock.nowMs(), processes };
    this.#statusMs = clock.monotonicMs();
    const { epoch, slots } = map();
    const cluster = { epoch, slots, nodes: await this.#nodes() };
    return { atMs: clock.nowMs(), processes, cluster, slowest: slowest().slice(0, slowestShown) };
  }

  async history(prefix: string, minutes: number): Promise<object> {
    const { clock } = this.#options;
    const stepsSinceMs = clock.nowMs() - minutes * 60_000;
    const processes = await this.#ask(() => ({ stepsSinceMs, secondsSinceMs: Number.MAX_SAFE_INTEGER, prefix }));
    return { atMs: clock.nowMs(), processes };
  }

  async #nodes(): Promise<object[]> {
    const nodes = await this.#options.statuses();
    return nodes.map(({ name, state, error = '', slots = [], slotMapBytes = null }) => ({
      name,
      state,
      error,
      slotMapBytes,
      slots: slots.map(slotRow),
    }));
  }

  /** Asks this process and the nodes; those that do not answer in time are left out. */
  async #ask(questionOf: (process: string) => LiveQuestion): Promise<ProcessLive[]> {
    const { router, own, ownNode, clock } = this.#options;
    const deadlineMs = clock.monotonicMs() + askTimeoutMs;
    const fanOut = router?.fanOut;
    const askNode = async (process: string, node: number): Promise<ProcessLive[]> => {
      if (fanOut === undefined || process === ownNode) return [];
      try {
        const payload = liveRequest.encode(questionOf(process));
        const answer = await fanOut.ask(node, nodeCalls.live, payload, deadlineMs);
        return [{ process, ...liveAnswer.decode(answer) }];
      } catch (thrown) {
        operatingFailure(thrown);
        return [];
      }
    };
    const name = ownNode ?? 'router';
    const ownLive = own(questionOf(name)).then((live) => [{ process: name, ...live }]);
    return (await Promise.all([ownLive, ...(fanOut?.nodeNames ?? []).map(askNode)])).flat();
  }
}
