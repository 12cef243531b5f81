/**
 * Brings copies of slots from their nodes into a folder of backups.
 *
 * Owns: whom to ask for which slot, and what to do about a node that does not answer. Each copy is
 * of one moment and checked down to the digest of its state; those of different slots are of
 * different moments, so that nothing waits for a backup. What slots owe each other is put right
 * when they are restored (`slot-restore.ts`).
 */
import { backoffMs } from '../base/backoff.ts';
import { BytePace } from '../base/byte-pace.ts';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { type SeededRandom, seededRandom } from '../base/seeded-random.ts';
import { type BackupFolder, copyNameOf, type SlotCopy, type UnfinishedBackup } from '../migrate/backup-folder.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { type NodeStatus, nodeStatusMessage, type SlotStatus } from '../wire/node-status.ts';
import { decodeOfPeer } from '../wire/peer-bytes.ts';
import { CopyThreads } from './copy-task.ts';
import { SnapshotFetch } from './snapshot-fetch.ts';

/** By node: what it says of itself, or why it says nothing. */
export type NodeAnswers = ReadonlyMap<string, NodeStatus | DataPlaneError>;

export type PlannedSlot = {
  readonly slot: number;
  /** Who can give a copy, the best first. */
  readonly nodes: readonly string[];
  /** What the slot takes now; a copy has no free pages, and takes less. */
  readonly bytes: number;
  /** A copy that is there, of a slot in which nothing has changed since; else null. */
  readonly known: SlotCopy | null;
};

const askMsMax = 10_000;
const retryPolicy = { firstMs: 250, maxMs: 10_000 };
const tryMsMaxDefault = 120_000;

/** Asks all nodes what they hold. */
export async function askNodes({ nodes }: ShardMap, caller: NodeCaller): Promise<NodeAnswers> {
  const one = async (node: string): Promise<[string, NodeStatus | DataPlaneError]> => {
    try {
      const call = { node, method: nodeCalls.status, payload: Buffer.alloc(0), timeoutMs: askMsMax };
      const answer = await caller.call(call);
      return [node, decodeOfPeer(nodeCalls.status, () => nodeStatusMessage.decode(answer), 'Internal')];
    } catch (thrown) {
      return [node, operatingFailure(thrown)];
    }
  };
  return new Map(await Promise.all([...nodes.keys()].map(one)));
}

/**
 * Returns what is to be copied from where.
 *
 * Errors: DataPlaneError `Unavailable` naming slots of which no node that answers has a copy.
 */
export function planBackup(
  map: ShardMap,
  slots: readonly number[],
  answers: NodeAnswers,
  known: readonly SlotCopy[],
): PlannedSlot[] {
  const statusOf = (node: string, slot: number): SlotStatus | undefined => {
    const answer = answers.get(node);
    return answer instanceof DataPlaneError ? undefined : answer?.slots.find((each) => each.slot === slot);
  };
  const missing: number[] = [];
  const planned = slots.flatMap((slot): PlannedSlot[] => {
    const { primary, replicas } = map.shards.find((shard) => shard.slots.includes(slot))!;
    // Replicas first, to spare the primary.
    const nodes = [...replicas, primary].filter((node) => statusOf(node, slot) !== undefined);
    const newest = statusOf(primary, slot) ?? nodes.map((node) => statusOf(node, slot)!).at(-1);
    if (newest === undefined) {
      missing.push(slot);
      return [];
    }
    const { cursor, generation, bytes } = newest;
    const same = known.find((copy) => copy.slot === slot && copy.generation === generation && copy.seq === cursor);
    return [{ slot, nodes, bytes, known: same ?? null }];
  });
  if (missing.length === 0) return planned;
  const problems = [...answers].flatMap(([node, answer]) =>
    answer instanceof DataPlaneError ? [`node ${node}: ${answer.message}`] : [],
  );
  const why = problems.length === 0 ? '' : ` (${problems.join('; ')})`;
  throw new DataPlaneError('Unavailable', `no node that answers has slots ${missing.join(',')}${why}`, {
    hint: 'Start what is down, as `skyshard status` says it; or back up the others by --slots or --node.',
  });
}

export type BackupProgress = {
  readonly slots: number;
  readonly slotsDone: number;
  /** Of the copies that arrive: those that are whole, and what is there of the others. */
  readonly bytesDone: number;
  /** Copies that were there and are named again. */
  readonly slotsKnown: number;
};

export type BackupRunOptions = {
  readonly folder: BackupFolder;
  readonly map: () => ShardMap;
  readonly caller: NodeCaller;
  readonly slotMapBytes: number;
  /** Units: bytes per second; null for no limit. */
  readonly throttle: number | null;
  /** How long a slot may be given by no node before the backup ends; by default two minutes. */
  readonly tryMsMax?: number;
  readonly clock: Clock;
  readonly onProgress: (progress: BackupProgress) => void;
  /** Called when a node gives no copy, which is asked for again. */
  readonly onProblem: (slot: number, problem: string) => void;
};

export class BackupRun {
  readonly #options: BackupRunOptions;
  readonly #stop = new AbortController();
  readonly #fetch: SnapshotFetch;
  readonly #copyThreads = new CopyThreads();
  readonly #random: SeededRandom;
  readonly #bytesBySlot = new Map<number, number>();
  /** A slot that splits meanwhile is refused: its copy would lack what its child has. */
  readonly #slots: number;
  #backup: UnfinishedBackup;
  #slotsKnown = 0;

  constructor(options: BackupRunOptions, begun: UnfinishedBackup) {
    const { folder, caller, slotMapBytes, throttle, clock } = options;
    this.#options = options;
    this.#backup = begun;
    this.#slots = options.map().slots;
    this.#random = seededRandom(clock.nowMs());
    const pace = new BytePace(throttle, clock);
    const { signal } = this.#stop;
    const copyThreads = this.#copyThreads;
    this.#fetch = new SnapshotFetch({ dataDir: folder.path, slotMapBytes, caller, copyThreads, clock, signal, pace });
    for (const { slot, bytes } of begun.copies) this.#bytesBySlot.set(slot, bytes);
  }

  /**
   * Brings all that is planned and not there, the slots of different nodes side by side.
   *
   * Returns: the backup with all of it. Errors: DataPlaneError, after which the next run goes on.
   */
  async run(planned: readonly PlannedSlot[]): Promise<UnfinishedBackup> {
    const there = new Set(this.#backup.copies.map(({ slot }) => slot));
    const left = planned.filter(({ slot }) => !there.has(slot));
    for (const { known } of left) {
      if (known === null) continue;
      this.#slotsKnown++;
      this.#add(known);
    }
    const byNode = Map.groupBy(
      left.filter(({ known }) => known === null),
      ({ nodes }) => nodes[0]!,
    );
    const one = async (slots: readonly PlannedSlot[]): Promise<void> => {
      for (const each of slots) await this.#copy(each);
    };
    const failures: unknown[] = [];
    const ends = [...byNode.values()].map((slots) =>
      one(slots).catch((thrown: unknown) => {
        failures.push(thrown);
        this.#stop.abort();
      }),
    );
    await Promise.all(ends);
    await this.#copyThreads[Symbol.asyncDispose]();
    // Those after the first are of copies that were given up because of it.
    if (failures.length > 0) throw failures[0];
    return this.#backup;
  }

  #add(copy: SlotCopy): void {
    const { folder, onProgress } = this.#options;
    const copies = [...this.#backup.copies, copy].sort((one, other) => one.slot - other.slot);
    this.#backup = { ...this.#backup, copies };
    folder.note(this.#backup);
    this.#bytesBySlot.set(copy.slot, copy.bytes);
    onProgress(this.#progress());
  }

  #progress(): BackupProgress {
    const bytesDone = [...this.#bytesBySlot.values()].reduce((sum, bytes) => sum + bytes, 0);
    const { slots, copies } = this.#backup;
    return { slots: slots.length, slotsDone: copies.length, bytesDone, slotsKnown: this.#slotsKnown };
  }

  /** Asks one node after the other until one has given a copy. */
  async #copy({ slot, nodes }: PlannedSlot): Promise<void> {
    const { clock, onProblem, tryMsMax = tryMsMaxDefault } = this.#options;
    const endMs = clock.monotonicMs() + tryMsMax;
    for (let failures = 1; ; failures++) {
      let last: DataPlaneError | null = null;
      for (const node of nodes) {
        try {
          return await this.#copyFrom(node, slot);
        } catch (thrown) {
          last = operatingFailure(thrown);
          this.#bytesBySlot.delete(slot);
          if (this.#stop.signal.aborted) throw last;
          onProblem(slot, `node ${node}: ${last.message}`);
        }
      }
      // Waiting makes no room, and no other copy of one that is refused.
      const isFinal = last!.code === 'StorageFull' || last!.code === 'ConfigInvalid';
      if (isFinal || clock.monotonicMs() > endMs)
        throw new DataPlaneError(last!.code, `slot ${slot}: ${last!.message}`, { hint: last!.ownHint });
      await clock.sleep(backoffMs(retryPolicy, failures, this.#random), this.#stop.signal);
    }
  }

  async #copyFrom(node: string, slot: number): Promise<void> {
    const { folder, map, onProgress } = this.#options;
    const what = `slot-${slot}`;
    const incoming = folder.incomingPath(what);
    const manifest = await this.#fetch.fetch(
      { node, slot, map: { ...map(), slots: this.#slots } },
      ({ bytesDone }) => {
        this.#bytesBySlot.set(slot, bytesDone);
        onProgress(this.#progress());
      },
      incoming,
    );
    const copy = { name: copyNameOf(manifest), ...manifest };
    folder.keep(what, copy.name);
    this.#add(copy);
  }
}
