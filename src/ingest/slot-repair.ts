/**
 * Brings back what a slot has lost and others still have: the repos and identities of its DIDs, the
 * private writes that bsync has, and what labelers say.
 *
 * Once each repo has an outcome and all else was read again, an entry makes the slot complete,
 * which has it send all that it owes. Refuses: to make it complete while a labeler is unread, whose
 * labels would then read as if there were none, unless the operator gives that labeler up. A repair
 * goes on after a restart, and from where it was when it is asked for again after a failure.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { LogAppender } from '../log/log-appender.ts';
import { keysBySlot, slotOf } from '../shardmap/slot-of.ts';
import type { Backfill } from './backfill.ts';
import type { Bsync } from './bsync.ts';
import type { IdentityQueue } from './identity-queue.ts';
import type { LabelRescanRequest } from './label-rescan.ts';
import { RescanPositions } from './rescan-positions.ts';
import { type ClusterAccess, SlotDids } from './slot-dids.ts';
import type { IngestState } from './state/ingest-state.ts';
import type { StoredRepair } from './state/stored-repairs.ts';

export type SlotRepairOptions = ClusterAccess & {
  readonly appender: LogAppender;
  readonly state: Pick<IngestState, 'fetches' | 'repairs'>;
  readonly backfill: Pick<Backfill, 'requestRepos'>;
  readonly identities: Pick<IdentityQueue, 'refresh'>;
  /** Null where none is configured: then private data does not come back. */
  readonly bsync: Pick<Bsync, 'rescan'> | null;
  /** Reads labels again. Returns: the labelers that could not be read again. */
  readonly rescanLabels: (request: LabelRescanRequest) => Promise<readonly string[]>;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly signal: AbortSignal;
};

/**
 * `left` counts the repos that have no outcome yet, `failed` those that could not be fetched, whose
 * records do not come back.
 */
export type RepairProgress = {
  readonly slot: number;
  readonly phase: 'listing' | 'fetching' | 'done' | 'failed';
  readonly repos: number;
  readonly left: number;
  readonly failed: number;
  /** Labelers and streams of bsync that are being read again, with how far. */
  readonly waitsFor: readonly string[];
  /** Labelers that the operator gave up, whose labels are lost. */
  readonly withoutLabels: readonly string[];
  readonly problem: string | null;
};

export type RepairRequest = {
  readonly slot: number;
  readonly isDryRun: boolean;
  /** Names of labelers that are gone for good. */
  readonly withoutLabels: readonly string[];
};

const batchDids = 1_000;
const pollMs = 1_000;
/** Until nodes are asked again about a repair that goes on after a restart. */
const resumeRetryMs = 5_000;
/** A labeler that could not be read so long before all else is over is tried once more. */
const labelsAgainMs = 60_000;
/** The streams have passed what the repair was to read of the slot's accounts. */
const stoppedProblem = 'the operator has stopped it; what bsync had of its accounts meanwhile comes when it goes on';

export class SlotRepair {
  readonly #options: SlotRepairOptions;
  readonly #dids: SlotDids;
  /** As stored; null before the first. */
  #repair: StoredRepair | null;
  #positions: RescanPositions | null = null;
  #left = 0;
  #isListing = false;
  /** Resolves when the run that is under way is over. */
  #running: Promise<void> | null = null;
  /** Ends the repair that runs. */
  #stop = new AbortController();

  constructor(options: SlotRepairOptions) {
    this.#options = options;
    this.#dids = new SlotDids({ ...options, fetches: options.state.fetches });
    this.#repair = options.state.repairs.get();
  }

  /** Of the last repair; null before the first. */
  get progress(): RepairProgress | null {
    if (this.#repair === null) return null;
    const { slot, phase, repos, failed, problem, withoutLabels } = this.#repair;
    const running = this.#isListing ? 'listing' : 'fetching';
    const waitsFor = this.#positions?.waitsFor ?? [];
    const now = { phase: phase === 'running' ? running : phase, left: this.#left, waitsFor } as const;
    return { slot, ...now, repos, failed, withoutLabels, problem };
  }

  /** Goes on with a repair that ran when ingest stopped. */
  async run(): Promise<void> {
    const { signal, clock, note } = this.#options;
    while (this.#repair?.phase === 'running' && this.#running === null && !signal.aborted) {
      const { slot, generation } = this.#repair;
      try {
        const status = await this.#dids.statusOf(slot, signal);
        // The operator may have asked for it, or stopped it, meanwhile.
        if (this.#running !== null || this.#repair.phase !== 'running') return;
        note('a repair goes on', { slot });
        // Ingest ended after the entry that completes the slot, before that was stored.
        if (status.condition === 'complete') return await this.#change({ phase: 'done' });
        if (status.generation !== generation)
          await this.#change(newRepair(slot, status.generation, this.#repair.withoutLabels));
        return await this.#start();
      } catch (thrown) {
        operatingFailure(thrown);
        await clock.sleep(resumeRetryMs, signal);
      }
    }
  }

  /**
   * Begins a repair, goes on with one that failed, or only counts the repos of one. Labelers may be
   * given up while it runs.
   *
   * Errors: DataPlaneError `InvalidArgument` for a slot that is not incomplete, `Aborted` while
   * another repair runs, those of nodes that do not answer.
   */
  async request({ slot, isDryRun, withoutLabels }: RepairRequest): Promise<RepairProgress> {
    const { generation } = await this.#requireIncomplete(slot);
    if (isDryRun) {
      const { size: repos } = await this.#dids.collect(slot, this.#options.signal);
      const none = { left: repos, failed: 0, waitsFor: [], withoutLabels, problem: null };
      return { slot, phase: 'listing', repos, ...none };
    }
    if (this.#repair?.phase === 'running' && this.#repair.slot !== slot) {
      throw new DataPlaneError('Aborted', `slot ${this.#repair.slot} is being repaired`);
    }
    if (this.#repair?.generation !== generation) this.#stop.abort();
    // A run that has just ended stores its outcome first.
    if (this.#stop.signal.aborted || this.#repair?.phase !== 'running') await this.#running;
    const last = this.#repair;
    const isSame = last?.slot === slot && last.generation === generation && last.phase !== 'done';
    const begun = isSame ? last : newRepair(slot, generation, []);
    const all = [...new Set([...begun.withoutLabels, ...withoutLabels])];
    await this.#change({ ...begun, phase: 'running', problem: null, withoutLabels: all });
    void this.#start();
    return this.progress!;
  }

  /**
   * Ends the repair that runs, so that another may: the slot stays incomplete. Asked for again, it
   * goes on where it was.
   *
   * Returns: whether one ran, once the stop is durable. What was under way may take longer.
   */
  async stop(): Promise<boolean> {
    if (this.#repair?.phase !== 'running') return false;
    this.#stop.abort();
    await this.#change({ phase: 'failed', problem: stoppedProblem });
    return true;
  }

  async #requireIncomplete(slot: number): Promise<{ readonly generation: number }> {
    const status = await this.#dids.statusOf(slot, this.#options.signal);
    if (status.condition === 'incomplete') return status;
    throw new DataPlaneError('InvalidArgument', `slot ${slot} is not incomplete`, {
      hint: '`skyshard status --json` shows the condition of each slot.',
    });
  }

  async #change(change: Partial<StoredRepair>): Promise<void> {
    this.#repair = { ...this.#repair!, ...change };
    await this.#options.state.repairs.put(this.#repair);
  }

  #start(): Promise<void> {
    this.#running ??= this.#runToEnd().finally(() => {
      this.#running = null;
    });
    return this.#running;
  }

  /** Never throws for what fails: the repair has failed then. */
  async #runToEnd(): Promise<void> {
    this.#stop = new AbortController();
    const signal = AbortSignal.any([this.#options.signal, this.#stop.signal]);
    try {
      const problem = await this.#runOnce(signal);
      if (signal.aborted) return;
      await this.#change(problem === null ? { phase: 'done' } : { phase: 'failed', problem });
    } catch (thrown) {
      const { message } = operatingFailure(thrown);
      if (!signal.aborted) await this.#change({ phase: 'failed', problem: message }).catch(operatingFailure);
    } finally {
      this.#isListing = false;
      this.#positions = null;
    }
  }

  /** Returns why the slot is not complete, or null when it is. */
  async #runOnce(signal: AbortSignal): Promise<string | null> {
    const { appender, map } = this.#options;
    const { slot } = this.#repair!;
    this.#isListing = true;
    const dids = [...(await this.#dids.collect(slot, signal))];
    this.#isListing = false;
    this.#left = dids.length;
    await this.#change({ repos: dids.length, failed: 0 });
    await this.#requestAll(dids, signal);
    const isWanted = (did: string): boolean => slotOf(did, map().slots) === slot;
    const unread = await this.#readAgain(isWanted, dids, signal);
    if (signal.aborted) return null;
    if (unread.length > 0) return `labels of ${unread.join(', ')} could not be read again`;
    const { generation } = await this.#dids.statusOf(slot, signal);
    if (generation !== this.#repair!.generation) return 'the slot has lost what it had once more';
    await appender.append(keysBySlot(map().slots)[slot]!, { kind: 'completed' });
    return null;
  }

  /** Asks for all repos and identities; of a repair that goes on, for those that failed. */
  async #requestAll(dids: readonly string[], signal: AbortSignal): Promise<void> {
    const { backfill, identities, state } = this.#options;
    const { isRequested } = this.#repair!;
    const isDue = (did: string): boolean => !isRequested || (state.fetches.get(did)?.state ?? 'failed') === 'failed';
    for (let at = 0; at < dids.length && !signal.aborted; at += batchDids) {
      const batch = dids.slice(at, at + batchDids).filter(isDue);
      await backfill.requestRepos(batch);
      for (const did of batch) await identities.refresh(did);
    }
    if (!signal.aborted) await this.#change({ isRequested: true });
  }

  /** Waits until everything was read again. Returns: the labelers that could not be. */
  async #readAgain(
    isWanted: (did: string) => boolean,
    dids: readonly string[],
    signal: AbortSignal,
  ): Promise<readonly string[]> {
    const { bsync, rescanLabels, clock } = this.#options;
    const positions = new RescanPositions(
      this.#repair!,
      (stored) => this.#change({ ...stored, done: [...stored.done] }),
      clock,
    );
    this.#positions = positions;
    const isGivenUp = (labeler: string): boolean => this.#repair!.withoutLabels.includes(labeler);
    const labels = (): Promise<readonly string[]> => rescanLabels({ isWanted, positions, signal, isGivenUp });
    const labelsRead = labels().then((unread) => ({ unread, endMs: clock.monotonicMs() }));
    const rest = [bsync?.rescan({ isWanted, positions, signal }), this.#waitForRepos(dids, signal)];
    // Nothing of this repair goes on once it has failed.
    const [read, ...others] = await Promise.allSettled([labelsRead, ...rest]);
    const failed = [read, ...others].find((outcome) => outcome.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
    const { unread, endMs } = (read as PromiseFulfilledResult<Awaited<typeof labelsRead>>).value;
    const isAgain = unread.length > 0 && clock.monotonicMs() - endMs > labelsAgainMs && !signal.aborted;
    return (isAgain ? await labels() : unread).filter((labeler) => !isGivenUp(labeler));
  }

  async #waitForRepos(dids: readonly string[], signal: AbortSignal): Promise<void> {
    const { clock, state } = this.#options;
    let failed = 0;
    for (let waiting = dids; !signal.aborted; ) {
      const still: string[] = [];
      for (const did of waiting) {
        const outcome = state.fetches.get(did)?.state;
        if (outcome === 'queued') still.push(did);
        else if (outcome === 'failed') failed++;
      }
      waiting = still;
      this.#left = still.length;
      this.#repair = { ...this.#repair!, failed };
      if (still.length === 0) return;
      await clock.sleep(pollMs, signal);
    }
  }
}

/** Returns a repair from its beginning. */
function newRepair(slot: number, generation: number, withoutLabels: readonly string[]): StoredRepair {
  const nothing = { isRequested: false, repos: 0, failed: 0, problem: null, positions: {}, done: [] };
  return { slot, generation, phase: 'running', ...nothing, withoutLabels: [...withoutLabels] };
}
