/**
 * Replicas that cannot go on from what they have: each gets a copy from another node of its shard.
 *
 * Owns: which slots wait, and the way from a copy to a slot: it is fetched and checked while the
 * node serves all others, and takes the place of the slot's folder when the node starts again,
 * which it does once all are there that others can give. No read asks the replica before it has
 * read its log then.
 */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { backoffMs } from '../base/backoff.ts';
import { BytePace } from '../base/byte-pace.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { type SeededRandom, seededRandom } from '../base/seeded-random.ts';
import type { StreamPosition } from '../log/log-trimmer.ts';
import type { ShardMap, ShardMove } from '../shardmap/shard-map.ts';
import { syncFolder, writeDurably } from '../storage/durable-file.ts';
import type { SlotFetch } from '../wire/node-status.ts';
import { slotPath } from './data-folder.ts';
import { positionsAt } from './replica-log-positions.ts';
import { type FetchProgress, fetchingPath, SnapshotFetch, type SnapshotFetchOptions } from './snapshot-fetch.ts';

export type ReplicaRebuildsOptions = Omit<SnapshotFetchOptions, 'signal'> & {
  readonly name: string;
  readonly map: () => ShardMap;
  /** Ends the node, which its supervisor starts again. */
  readonly startAgain: (error: Error) => void;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

/** Written once a copy is whole: only then does it take the place of a slot. */
const manifestName = 'manifest.json';
const retryPolicy = { firstMs: 500, maxMs: 30_000 };
/** How often a move that is paused is looked at. */
const pausedLookMs = 250;

/**
 * Puts copies that were fetched in the place of their slots; nothing of these is open yet. Those of
 * slots that the node has no more are removed.
 */
export function installFetched(dataDir: string, held: ReadonlySet<number>, note: ReplicaRebuildsOptions['note']): void {
  const folder = dirname(fetchingPath(dataDir, 0));
  if (!existsSync(folder)) return;
  const installed: number[] = [];
  for (const name of readdirSync(folder)) {
    const [from, slot] = [join(folder, name), Number(name)];
    if (held.has(slot) && existsSync(join(from, manifestName))) {
      const path = slotPath(dataDir, slot);
      rmSync(path, { recursive: true, force: true });
      renameSync(from, path);
      rmSync(join(path, manifestName));
      installed.push(slot);
    } else rmSync(from, { recursive: true, force: true });
  }
  if (installed.length === 0) return;
  syncFolder(dirname(slotPath(dataDir, 0)));
  note('slots begin again from copies of other nodes', { slots: installed });
}

export class ReplicaRebuilds implements AsyncDisposable {
  readonly #options: ReplicaRebuildsOptions;
  readonly #fetch: SnapshotFetch;
  readonly #stop = new AbortController();
  readonly #random: SeededRandom;
  readonly #waiting = new Map<number, SlotFetch>();
  readonly #done = new Set<number>();
  /** Slots that an operator named. They have all that they need next, and would not ask again. */
  readonly #ordered = new Set<number>();
  /** Where the log goes on after the copies; not later. */
  readonly #positions = new Map<number, StreamPosition>();
  #running: Promise<void> | null = null;
  readonly #pace: BytePace;
  /** The slot that is fetched now. */
  #fetched = -1;
  #receivedBytes = 0;

  constructor(options: ReplicaRebuildsOptions) {
    this.#options = options;
    this.#random = seededRandom(options.clock.nowMs());
    this.#pace = new BytePace(null, options.clock);
    const rebuilds = this;
    const pace = {
      get partBytesMax(): number {
        return rebuilds.#pace.partBytesMax;
      },
      pass: (bytes: number) => this.#pass(bytes),
    };
    this.#fetch = new SnapshotFetch({ ...options, signal: this.#stop.signal, pace });
  }

  /** What is fetched, and how far it is. */
  get progress(): SlotFetch[] {
    return [...this.#waiting.values()];
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
    this.#ordered.add(slot);
    this.add(slot);
  }

  /** Fetches a slot, unless that is under way. */
  add(slot: number): void {
    if (this.#waiting.has(slot) || this.#done.has(slot) || this.#stop.signal.aborted) return;
    this.#waiting.set(slot, { slot, from: '', bytes: 0, bytesDone: 0, problem: '' });
    this.#running ??= this.#run().finally(() => {
      this.#running = null;
    });
  }

  async #run(): Promise<void> {
    const { clock, note, startAgain } = this.#options;
    const { signal } = this.#stop;
    for (let failures = 0; this.#waiting.size > 0 && !signal.aborted; ) {
      const slot = [...this.#waiting.keys()].find((each) => this.#moveOf(each)?.isPaused !== true);
      if (slot === undefined) {
        await clock.sleep(pausedLookMs, signal);
        continue;
      }
      this.#fetched = slot;
      this.#pace.setLimit(this.#moveOf(slot)?.bytesPerSecond ?? null);
      const isFetched = await this.#fetchOne(slot);
      failures = isFetched ? 0 : failures + 1;
      if (isFetched) continue;
      // Others may have a copy to give.
      const last = this.#waiting.get(slot)!;
      this.#waiting.delete(slot);
      this.#waiting.set(slot, last);
      if (this.#isHeldUp()) break;
      await clock.sleep(backoffMs(retryPolicy, failures, this.#random), signal);
    }
    if (signal.aborted) return;
    const slots = [...this.#done];
    note('copies of slots are there, and the node starts again with them', { slots });
    startAgain(
      new DataPlaneError('WrongEpoch', `copies of slots ${slots.join(',')} are there, to start again with`, {
        hint: 'Start the node again.',
      }),
    );
  }

  /** Whether copies that are there wait only for others that nobody has to give. */
  #isHeldUp(): boolean {
    if (this.#done.size === 0) return false;
    return [...this.#waiting.values()].every(({ slot, problem }) => problem !== '' && !this.#ordered.has(slot));
  }

  /** Returns the move by which this node gets a slot, if it does. */
  #moveOf(slot: number): ShardMove | null {
    const { map, name } = this.#options;
    const move = map().shards.find(({ slots }) => slots.includes(slot))?.move ?? null;
    return move?.to === name ? move : null;
  }

  /** Resolves once bytes of the slot that is fetched may arrive, as its move says. */
  async #pass(bytes: number): Promise<void> {
    this.#receivedBytes += bytes;
    await this.#untilResumed(this.#fetched);
    this.#pace.setLimit(this.#moveOf(this.#fetched)?.bytesPerSecond ?? null);
    await this.#pace.pass(bytes, this.#stop.signal);
  }

  /** Waits while the move of a slot is paused. */
  async #untilResumed(slot: number): Promise<void> {
    while (this.#moveOf(slot)?.isPaused === true && !this.#stop.signal.aborted)
      await this.#options.clock.sleep(pausedLookMs, this.#stop.signal);
  }

  /** Returns whether a copy of the slot is there now. */
  async #fetchOne(slot: number): Promise<boolean> {
    const { map, note, dataDir, caller } = this.#options;
    let problem = 'no other node has the slot';
    for (const node of this.#sources(map(), slot)) {
      const onProgress = (progress: FetchProgress): void =>
        void this.#waiting.set(slot, { slot, from: node, ...progress, problem: '' });
      try {
        // The log must retain what comes after the copy, which is made later than this.
        const position = (await positionsAt(node, [slot], caller)).get(slot);
        if (position !== undefined) this.#positions.set(slot, position);
        const manifest = await this.#fetch.fetch({ node, slot, map: map() }, onProgress);
        const text = `${JSON.stringify(manifest)}\n`;
        writeDurably(join(fetchingPath(dataDir, slot), manifestName), text);
        this.#waiting.delete(slot);
        this.#done.add(slot);
        note(`a copy of slot ${slot} from node ${node} is whole`, { ...manifest });
        return true;
      } catch (thrown) {
        problem = operatingFailure(thrown).message;
      }
    }
    if (this.#stop.signal.aborted) return false;
    if (this.#waiting.get(slot)?.problem !== problem) note(`no copy of slot ${slot} yet: ${problem}`, { slot });
    this.#waiting.set(slot, { slot, from: '', bytes: 0, bytesDone: 0, problem });
    return false;
  }

  /** Returns whom to ask: other replicas first, to spare the primary. */
  #sources({ shards }: ShardMap, slot: number): string[] {
    const shard = shards.find(({ slots }) => slots.includes(slot));
    if (shard === undefined) return [];
    return [...shard.replicas, shard.primary].filter((node) => node !== this.#options.name);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }
}
