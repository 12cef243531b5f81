/**
 * Replicas that cannot go on from what they have: each gets a copy from another node of its shard.
 *
 * Owns: which slots wait, and `fetching` in the data folder. A copy is fetched and checked while
 * the node serves all other slots, and takes the place of the slot's folder once nothing of that is
 * open: at once, or when the node starts. No read asks the replica before it has read its log then.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { backoffMs } from '../base/backoff.ts';
import { BytePace } from '../base/byte-pace.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { orAborted } from '../base/or-aborted.ts';
import { type SeededRandom, seededRandom } from '../base/seeded-random.ts';
import type { StreamPosition } from '../log/log-trimmer.ts';
import { copySources } from '../shardmap/move-plan.ts';
import { replicaSlotsOf, type ShardMap, type ShardMove } from '../shardmap/shard-map.ts';
import { syncFolder, writeDurably } from '../storage/durable-file.ts';
import { removeFolder } from '../storage/remove-folder.ts';
import type { SlotFetch } from '../wire/node-status.ts';
import { slotPath } from './data-folder.ts';
import { positionsAt } from './replica-log-positions.ts';
import {
  type FetchProgress,
  fetchingPath,
  SnapshotFetch,
  type SnapshotFetchOptions,
  type SnapshotPace,
} from './snapshot-fetch.ts';
import { SourcePace } from './source-pace.ts';

export type ReplicaRebuildsOptions = Omit<SnapshotFetchOptions, 'signal' | 'pace'> & {
  readonly name: string;
  readonly map: () => ShardMap;
  /** Called when there is one more in `copied`. */
  readonly onCopied: () => void;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

/** Written once a copy is whole: only then does it take the place of a slot. */
const manifestName = 'manifest.json';
const retryPolicy = { firstMs: 500, maxMs: 30_000 };
/** How often a move that is paused is looked at. */
const pausedLookMs = 250;

/** Puts a copy, if it is whole, in the place of a slot that is not open. Returns whether it did. */
async function install(dataDir: string, slot: number): Promise<boolean> {
  const [from, path] = [fetchingPath(dataDir, slot), slotPath(dataDir, slot)];
  if (!existsSync(join(from, manifestName))) return false;
  await removeFolder(path);
  renameSync(from, path);
  rmSync(join(path, manifestName));
  syncFolder(dirname(path));
  return true;
}

/** Puts copies that were fetched in the places of slots of which nothing is open. */
export async function installCopies(
  dataDir: string,
  slots: readonly number[],
  note: ReplicaRebuildsOptions['note'],
): Promise<void> {
  const installed: number[] = [];
  for (const slot of slots) if (await install(dataDir, slot)) installed.push(slot);
  if (installed.length > 0) note('slots begin again from copies of other nodes', { slots: installed });
}

/**
 * Puts copies that an earlier process has fetched in the places of their slots; nothing is open
 * yet. What is not whole is removed, and what is of slots that the node has no more.
 */
export async function installFetched(
  dataDir: string,
  held: readonly number[],
  note: ReplicaRebuildsOptions['note'],
): Promise<void> {
  await installCopies(dataDir, held, note);
  await removeFolder(dirname(fetchingPath(dataDir, 0)));
}

export class ReplicaRebuilds implements AsyncDisposable {
  readonly #options: ReplicaRebuildsOptions;
  readonly #stop = new AbortController();
  readonly #random: SeededRandom;
  readonly #waiting = new Map<number, SlotFetch>();
  /** Those whose copies are there, and not in their places. */
  readonly #copied = new Map<number, SlotFetch>();
  /** How many copies of a slot did not help for long: the next one has less of a hurry. */
  readonly #copyCounts = new Map<number, number>();
  /** Where the log goes on after the copies; not later. */
  readonly #positions = new Map<number, StreamPosition>();
  #running: Promise<void> | null = null;
  readonly #pace: BytePace;
  /** What is fetched now. */
  #fetching: { readonly slot: number; readonly stop: AbortController; readonly done: Promise<boolean> } | null = null;
  #receivedBytes = 0;

  constructor(options: ReplicaRebuildsOptions) {
    this.#options = options;
    this.#random = seededRandom(options.clock.nowMs());
    this.#pace = new BytePace(null, options.clock);
  }

  /** What is fetched, and how far it is, until it is in its place. */
  get progress(): SlotFetch[] {
    return [...this.#waiting.values(), ...this.#copied.values()];
  }

  /** Slots whose copies are whole, and not in their places. */
  get copied(): number[] {
    return [...this.#copied.keys()];
  }

  /** Of all copies since the node started, whether or not they became whole. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** Returns where this node reads on in the log of a slot that has a copy, or gets one. */
  positionOf(slot: number): StreamPosition | undefined {
    return this.#positions.get(slot);
  }

  /** Begins a slot again for an operator. Errors: DataPlaneError `ConfigInvalid`. */
  order({ slot, isDryRun }: { readonly slot: number; readonly isDryRun: boolean }): void {
    const { map, name } = this.#options;
    const shard = map().shards.find(({ slots }) => slots.includes(slot));
    if (shard?.primary === name)
      throw new DataPlaneError('ConfigInvalid', `node ${name} is the primary of slot ${slot}, not a replica`, {
        hint: 'Make another node its primary by `skyshard promote <node>`, then run this again.',
      });
    if (shard?.replicas.includes(name) !== true)
      throw new DataPlaneError('ConfigInvalid', `node ${name} is no replica of slot ${slot}`, {
        hint: '`skyshard map show` says who is.',
      });
    if (isDryRun) return;
    this.add(slot);
  }

  /** Fetches a slot, unless that is under way, or it is not one of a replica. */
  add(slot: number): void {
    if (this.#waiting.has(slot) || this.#copied.has(slot) || this.#stop.signal.aborted) return;
    if (!replicaSlotsOf(this.#options.map(), this.#options.name).includes(slot)) return;
    this.#waiting.set(slot, { slot, from: '', bytes: 0, bytesDone: 0, problem: '', slowedMs: null });
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
  }

  /** Forgets the copy of a slot, which is in its place now. */
  installed(slot: number): void {
    this.#copied.delete(slot);
    this.#positions.delete(slot);
  }

  /** Ends what is under way for slots that this node gives up, and removes what of it is there. */
  async leave(slots: readonly number[]): Promise<void> {
    for (const slot of slots) {
      this.#waiting.delete(slot);
      this.#copyCounts.delete(slot);
      this.installed(slot);
      if (this.#fetching?.slot === slot) {
        this.#fetching.stop.abort();
        await this.#fetching.done;
      }
      await removeFolder(fetchingPath(this.#options.dataDir, slot));
    }
  }

  async #run(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#stop;
    for (let failures = 0; this.#waiting.size > 0 && !signal.aborted; ) {
      const slot = [...this.#waiting.keys()].find((each) => this.#moveOf(each)?.isPaused !== true);
      if (slot === undefined) {
        await clock.sleep(pausedLookMs, signal);
        continue;
      }
      const copies = this.#copyCounts.get(slot) ?? 0;
      if (copies > 0) await clock.sleep(backoffMs(retryPolicy, copies, this.#random), signal);
      if (!this.#waiting.has(slot)) continue;
      const stop = new AbortController();
      this.#fetching = { slot, stop, done: this.#fetchOne(slot, AbortSignal.any([stop.signal, signal])) };
      const isFetched = await this.#fetching.done;
      this.#fetching = null;
      failures = isFetched || stop.signal.aborted ? 0 : failures + 1;
      // Others may have a copy to give.
      const last = this.#waiting.get(slot);
      if (last === undefined) continue;
      this.#waiting.delete(slot);
      this.#waiting.set(slot, last);
      await clock.sleep(backoffMs(retryPolicy, failures, this.#random), signal);
    }
  }

  /** Returns the move by which this node gets a slot, if it does. */
  #moveOf(slot: number): ShardMove | null {
    const { map, name } = this.#options;
    const move = map().shards.find(({ slots }) => slots.includes(slot))?.move ?? null;
    return move?.to === name ? move : null;
  }

  /** Returns what lets bytes of a slot arrive as fast as its move says. */
  #paceOf(slot: number, node: string): SnapshotPace {
    const pace = this.#pace;
    const source = new SourcePace(node, this.#options.caller, this.#options.clock);
    const slowest = (): number | null => this.#moveOf(slot)?.p99MsMax ?? null;
    const setLimit = async (signal: AbortSignal): Promise<void> => {
      const [max, fixed] = [slowest(), this.#moveOf(slot)?.bytesPerSecond ?? null];
      const byReads = max === null ? null : await source.bytesPerSecond(max, signal);
      pace.setLimit(byReads === null ? fixed : Math.min(byReads, fixed ?? byReads));
    };
    return {
      get partBytesMax(): number {
        return pace.partBytesMax;
      },
      pass: async (bytes, signal) => {
        this.#receivedBytes += bytes;
        await this.#untilResumed(slot, signal);
        await setLimit(signal);
        const [max, p99Ms] = [slowest(), source.p99Ms];
        this.#slowed(slot, node, max !== null && p99Ms !== null && p99Ms > max ? p99Ms : null);
        await pace.pass(bytes, signal);
      },
      begin: async (signal) => {
        await source.untilQuiet(slowest, signal, () => this.#slowed(slot, node, source.p99Ms));
        await setLimit(signal);
        this.#slowed(slot, node, null);
      },
    };
  }

  /** Notes what reads at a source take, for which a copy waits or goes slowly; null for nothing. */
  #slowed(slot: number, from: string, slowedMs: number | null): void {
    const fetch = this.#waiting.get(slot);
    if (fetch !== undefined) this.#waiting.set(slot, { ...fetch, from, slowedMs });
  }

  /** Waits while the move of a slot is paused. */
  async #untilResumed(slot: number, signal: AbortSignal): Promise<void> {
    while (this.#moveOf(slot)?.isPaused === true && !signal.aborted)
      await this.#options.clock.sleep(pausedLookMs, signal);
  }

  /** Returns whether a copy of the slot is there now. */
  async #fetchOne(slot: number, signal: AbortSignal): Promise<boolean> {
    const { map, note, dataDir, caller, onCopied } = this.#options;
    let problem = 'no other node has the slot';
    for (const node of this.#sources(map(), slot)) {
      const fetch = new SnapshotFetch({ ...this.#options, signal, pace: this.#paceOf(slot, node) });
      const onProgress = (progress: FetchProgress): void => {
        const { slowedMs = null } = this.#waiting.get(slot) ?? {};
        if (!signal.aborted) this.#waiting.set(slot, { slot, from: node, ...progress, problem: '', slowedMs });
      };
      if (signal.aborted) return false;
      try {
        // The log must retain what comes after the copy, which is made later than this.
        const positions = await orAborted(positionsAt(node, [slot], caller), signal);
        if (positions === undefined || signal.aborted) return false;
        const position = positions.get(slot);
        if (position !== undefined) this.#positions.set(slot, position);
        const manifest = await fetch.fetch({ node, slot, map: map() }, onProgress);
        if (signal.aborted) return false;
        const text = `${JSON.stringify(manifest)}\n`;
        writeDurably(join(fetchingPath(dataDir, slot), manifestName), text);
        this.#waiting.delete(slot);
        const { bytes } = manifest;
        this.#copyCounts.set(slot, 1 + (this.#copyCounts.get(slot) ?? 0));
        this.#copied.set(slot, { slot, from: node, bytes, bytesDone: bytes, problem: '', slowedMs: null });
        note(`a copy of slot ${slot} from node ${node} is whole`, { ...manifest });
        onCopied();
        return true;
      } catch (thrown) {
        problem = operatingFailure(thrown).message;
      }
    }
    if (signal.aborted) return false;
    if (this.#waiting.get(slot)?.problem !== problem) note(`no copy of slot ${slot} yet: ${problem}`, { slot });
    this.#waiting.set(slot, { slot, from: '', bytes: 0, bytesDone: 0, problem, slowedMs: null });
    return false;
  }

  /** Returns whom to ask: after each copy, the next one first, as the log may refuse another. */
  #sources(map: ShardMap, slot: number): string[] {
    const nodes = copySources(map, slot, this.#options.name);
    const first = (this.#copyCounts.get(slot) ?? 0) % nodes.length;
    return [...nodes.slice(first), ...nodes.slice(0, first)];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
