/**
 * Brings back what a slot has lost and others still have: the repos and identities of its DIDs, the
 * private writes that bsync has, and what labelers say.
 *
 * Which DIDs these are, the rows of all slots say, and what ingest has fetched before. Once each
 * repo has an outcome, an entry makes the slot complete, which has it send all that it owes. A
 * repair that this process does not end must be asked for again.
 */
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { LogAppender } from '../log/log-appender.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import { type DidsPosition, didsOfSlotAnswer, didsOfSlotRequest } from '../wire/dids-of-slot.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { nodeStatusMessage } from '../wire/node-status.ts';
import type { Backfill } from './backfill.ts';
import type { Bsync } from './bsync.ts';
import type { IdentityQueue } from './identity-queue.ts';
import type { IngestState } from './state/ingest-state.ts';

/** The nodes of the map, as ingest asks them. */
export type ClusterAccess = { readonly caller: NodeCaller; readonly map: () => ShardMap };

export type SlotRepairOptions = ClusterAccess & {
  readonly appender: LogAppender;
  readonly state: IngestState;
  readonly backfill: Pick<Backfill, 'requestRepos'>;
  readonly identities: Pick<IdentityQueue, 'refresh'>;
  /** Null where none is configured: then private data does not come back. */
  readonly bsync: Pick<Bsync, 'rescan'> | null;
  /** Reads labels about wanted DIDs again. Returns: the labelers that could not be read again. */
  readonly rescanLabels: (isWanted: (did: string) => boolean) => Promise<readonly string[]>;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly signal: AbortSignal;
};

/** `left` repos have no outcome yet; `failed` have none of theirs, and are not brought back. */
export type RepairProgress = {
  readonly slot: number;
  readonly phase: 'listing' | 'fetching' | 'done' | 'failed';
  readonly repos: number;
  readonly left: number;
  readonly failed: number;
  readonly problem: string | null;
};

/** More DIDs than a slot of a sensible size has. */
const didsMax = 5_000_000;
const batchDids = 1_000;
const pollMs = 1_000;
const callTimeoutMs = 10_000;
const attemptsMax = 20;
const retryPolicy = { firstMs: 100, maxMs: 5_000 };

export class SlotRepair {
  readonly #options: SlotRepairOptions;
  #progress: RepairProgress | null = null;

  constructor(options: SlotRepairOptions) {
    this.#options = options;
  }

  /** Of the last repair; null before the first. */
  get progress(): RepairProgress | null {
    return this.#progress;
  }

  /**
   * Begins a repair, or only counts the repos of one.
   *
   * Errors: DataPlaneError `InvalidArgument` for a slot that is not incomplete, `Aborted` while
   * another repair runs, those of nodes that do not answer.
   */
  async request(slot: number, isDryRun: boolean): Promise<RepairProgress> {
    await this.#requireIncomplete(slot);
    if (isDryRun) {
      const dids = await this.#collect(slot);
      return { slot, phase: 'listing', repos: dids.size, left: dids.size, failed: 0, problem: null };
    }
    const phase = this.#progress?.phase;
    if (phase === 'listing' || phase === 'fetching') {
      if (this.#progress?.slot === slot) return this.#progress;
      throw new DataPlaneError('Aborted', `slot ${this.#progress?.slot} is being repaired`);
    }
    this.#progress = { slot, phase: 'listing', repos: 0, left: 0, failed: 0, problem: null };
    void this.#run(slot).catch((thrown: unknown) => {
      this.#progress = { ...this.#progress!, phase: 'failed', problem: operatingFailure(thrown).message };
    });
    return this.#progress;
  }

  async #requireIncomplete(slot: number): Promise<void> {
    const { map } = this.#options;
    const node = map().primaryBySlot[slot];
    if (node === undefined) throw new DataPlaneError('InvalidArgument', `the map has no slot ${slot}`);
    const { slots } = nodeStatusMessage.decode(await this.#ask(node, nodeCalls.status, Buffer.alloc(0)));
    if (slots.find((status) => status.slot === slot)?.condition === 'incomplete') return;
    throw new DataPlaneError('InvalidArgument', `slot ${slot} is not incomplete`, {
      hint: '`skyshard status --json` shows the condition of each slot.',
    });
  }

  async #run(slot: number): Promise<void> {
    const { backfill, identities, bsync, rescanLabels, clock, signal, appender, map } = this.#options;
    const dids = [...(await this.#collect(slot))];
    this.#progress = { slot, phase: 'fetching', repos: dids.length, left: dids.length, failed: 0, problem: null };
    for (let at = 0; at < dids.length && !signal.aborted; at += batchDids) {
      const batch = dids.slice(at, at + batchDids);
      await backfill.requestRepos(batch);
      for (const did of batch) await identities.refresh(did);
    }
    const isOfSlot = (did: string): boolean => slotOf(did, map().slots) === slot;
    await bsync?.rescan(isOfSlot);
    const labelersLeft = await rescanLabels(isOfSlot);
    while (this.#count(dids) > 0 && !signal.aborted) await clock.sleep(pollMs, signal);
    if (signal.aborted) return;
    await appender.append(this.#keyOf(slot, dids), { kind: 'completed' });
    const problem = labelersLeft.length === 0 ? null : `labels were not all read again of ${labelersLeft.join(', ')}`;
    this.#progress = { ...this.#progress, phase: 'done', problem };
  }

  /** Counts the repos without an outcome, and those without a good one. */
  #count(dids: readonly string[]): number {
    const states = dids.map((did) => this.#options.state.fetches.get(did)?.state);
    const left = states.filter((state) => state === 'queued').length;
    this.#progress = { ...this.#progress!, left, failed: states.filter((state) => state === 'failed').length };
    return left;
  }

  /** Returns a key whose slot it is. */
  #keyOf(slot: number, dids: readonly string[]): string {
    const { slots } = this.#options.map();
    let key = dids[0] ?? '0';
    for (let number = 0; slotOf(key, slots) !== slot; number++) key = String(number);
    return key;
  }

  async #collect(slot: number): Promise<Set<string>> {
    const { map, state } = this.#options;
    const { slots, primaryBySlot } = map();
    const dids = new Set<string>();
    const add = (did: string): void => {
      if (dids.size >= didsMax) throw new DataPlaneError('ResourceExhausted', `slot ${slot} has over ${didsMax} DIDs`);
      dids.add(did);
    };
    for (const did of state.fetches.dids()) if (slotOf(did, slots) === slot) add(did);
    for (const node of new Set(primaryBySlot)) {
      for (let from: DidsPosition | null = { slot: 0, after: '' }; from !== null; ) {
        const payload = didsOfSlotRequest.encode({ of: slot, from });
        const page: ReturnType<typeof didsOfSlotAnswer.decode> = didsOfSlotAnswer.decode(
          await this.#ask(node, nodeCalls.didsOf, payload),
        );
        for (const did of page.dids) add(did);
        from = page.next;
      }
    }
    return dids;
  }

  async #ask(node: string, method: string, payload: Uint8Array): Promise<Uint8Array> {
    const { caller, clock, random, signal } = this.#options;
    for (let failures = 1; ; failures++) {
      try {
        return await caller.call({ node, method, payload, timeoutMs: callTimeoutMs });
      } catch (thrown) {
        const failure = operatingFailure(thrown);
        if (failures === attemptsMax || !failure.isRetryable || signal.aborted) throw failure;
        await clock.sleep(backoffMs(retryPolicy, failures, random), signal);
      }
    }
  }
}
