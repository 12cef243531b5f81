/**
 * LogAppender over the nodes of the shard map: what ingest and other writers append with.
 *
 * Owns: order for each slot, batching across slots and nodes, attempts that go on until the entry is durable. One call a node is on its way at
 * a time; what comes meanwhile is the next batch, so batches grow with load. Refuses: nothing; it slows its callers through `ready`.
 */
import type { Entry } from '../atproto/entry.ts';
import { writeEntry } from '../atproto/entry-codec.ts';
import { ByteWriter } from '../base/bytes.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { DataPlaneError, toDataPlaneError } from '../base/data-plane-error.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { type ChunkOutcome, decodeOutcomes, encodeAppend, writeChunk } from './chunk.ts';
import type { LogAppender } from './log-appender.ts';

/** What a RemoteLog reaches the nodes with. `map` is asked for every entry, so that a new map holds from the next one on. */
export type RemoteLogOptions = {
  readonly caller: NodeCaller;
  readonly map: () => ShardMap;
  readonly clock?: Clock;
  /** Past this many bytes that are not yet durable, `ready` waits. */
  readonly pendingBytesMax?: number;
  /** How long a lone entry waits for company. Units: ms. */
  readonly lingerMs?: number;
  /** Called when a node refuses or fails, once for each attempt. */
  readonly onRetry?: (node: string, error: DataPlaneError) => void;
};

type Waiting = {
  readonly slot: number;
  readonly bytes: Buffer;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
};
type Lane = { readonly node: string; waiting: Waiting[]; isSending: boolean };

const pendingBytesDefault = 64 * 2 ** 20;
const callBytesMax = 4 * 2 ** 20;
const callTimeoutMs = 60_000;
const retryDelayMsMin = 20;
const retryDelayMsMax = 2_000;

export class RemoteLog implements LogAppender, AsyncDisposable {
  readonly #options: RemoteLogOptions;
  readonly #clock: Clock;
  readonly #pendingBytesMax: number;
  readonly #laneByNode = new Map<string, Lane>();
  readonly #writer = new ByteWriter(64 * 1024);
  readonly #stop = new AbortController();
  #pendingBytes = 0;
  #roomWaiters: (() => void)[] = [];

  constructor(options: RemoteLogOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#pendingBytesMax = options.pendingBytesMax ?? pendingBytesDefault;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  append(key: string, entry: Entry): Promise<void> {
    const map = this.#options.map();
    writeEntry(this.#writer, entry);
    const bytes = this.#writer.finish();
    const slot = slotOf(key, map.slots);
    const lane = this.#lane(map.primaryBySlot[slot]!);
    this.#pendingBytes += bytes.length;
    return new Promise((resolve, reject) => {
      if (this.#stop.signal.aborted) return reject(closedError());
      lane.waiting.push({ slot, bytes, resolve, reject });
      void this.#pump(lane);
    });
  }

  ready(): Promise<void> {
    if (this.#pendingBytes < this.#pendingBytesMax || this.#stop.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.#roomWaiters.push(resolve));
  }

  #lane(node: string): Lane {
    let lane = this.#laneByNode.get(node);
    if (lane === undefined) {
      lane = { node, waiting: [], isSending: false };
      this.#laneByNode.set(node, lane);
    }
    return lane;
  }

  async #pump(lane: Lane): Promise<void> {
    if (lane.isSending) return;
    lane.isSending = true;
    await this.#clock.sleep(this.#options.lingerMs ?? 0, this.#stop.signal);
    while (lane.waiting.length > 0 && !this.#stop.signal.aborted) {
      let bytes = 0;
      let count = 0;
      while (count < lane.waiting.length && (count === 0 || bytes < callBytesMax))
        bytes += lane.waiting[count++]!.bytes.length;
      await this.#deliver(lane.node, lane.waiting.splice(0, count));
    }
    lane.isSending = false;
    if (this.#stop.signal.aborted) for (const { reject } of lane.waiting.splice(0)) reject(closedError());
  }

  /** Sends one batch until all of it is durable. Chunks that a node refused are tried again; those that it took are done. */
  async #deliver(node: string, batch: readonly Waiting[]): Promise<void> {
    const bySlot = Map.groupBy(batch, (waiting) => waiting.slot);
    for (let attempt = 0; bySlot.size > 0; attempt++) {
      if (this.#stop.signal.aborted) {
        for (const group of bySlot.values()) for (const { reject } of group) reject(closedError());
        return;
      }
      const slots = [...bySlot.keys()];
      const outcomes = await this.#call(
        node,
        slots.map((slot) => this.#chunkOf(slot, bySlot.get(slot)!)),
      );
      slots.forEach((slot, index) => {
        const outcome = outcomes[index];
        if (outcome?.status !== 'durable') return;
        this.#settle(bySlot.get(slot)!);
        bySlot.delete(slot);
      });
      if (bySlot.size > 0)
        await this.#clock.sleep(
          Math.min(retryDelayMsMax, retryDelayMsMin * 2 ** Math.min(attempt, 10)),
          this.#stop.signal,
        );
    }
  }

  #chunkOf(slot: number, group: readonly Waiting[]): Buffer {
    writeChunk(this.#writer, { slot, origin: null, items: group.map(({ bytes }) => bytes), marks: [] });
    return this.#writer.finish();
  }

  #settle(group: readonly Waiting[]): void {
    for (const { bytes, resolve } of group) {
      this.#pendingBytes -= bytes.length;
      resolve();
    }
    if (this.#pendingBytes < this.#pendingBytesMax) for (const resume of this.#roomWaiters.splice(0)) resume();
  }

  async #call(node: string, chunks: readonly Buffer[]): Promise<(ChunkOutcome | undefined)[]> {
    try {
      const payload = encodeAppend(chunks);
      const outcomes = decodeOutcomes(
        await this.#options.caller.call({ node, method: 'slot.append', payload, timeoutMs: callTimeoutMs }),
      );
      const refused = outcomes.find((outcome) => outcome.status === 'refused');
      if (refused !== undefined)
        this.#options.onRetry?.(node, new DataPlaneError('Unavailable', `${refused.code}: ${refused.message}`));
      return outcomes;
    } catch (thrown) {
      this.#options.onRetry?.(node, toDataPlaneError(thrown));
      return [];
    }
  }

  /** Gives up on what is not yet durable; its sources will send it again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const resume of this.#roomWaiters.splice(0)) resume();
    for (const lane of this.#laneByNode.values())
      for (const { reject } of lane.waiting.splice(0)) reject(closedError());
  }
}

function closedError(): DataPlaneError {
  return new DataPlaneError('Unavailable', 'the log appender is closed');
}
