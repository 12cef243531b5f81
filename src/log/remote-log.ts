/**
 * LogAppender over the nodes of the shard map: what ingest and other writers append with.
 *
 * Owns: order for each slot, batching across slots and nodes, attempts that go on until the entry
 * is durable. What comes while a call is on its way is the next batch, so batches grow with load.
 * Refuses: nothing; it slows its callers through `waitForCapacity`.
 */

import { backoffMs } from '../base/backoff.ts';
import { ByteWriter } from '../base/bytes.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { DataPlaneError, errorFromPeer, operatingFailure } from '../base/data-plane-error.ts';
import { type SeededRandom, seededRandom } from '../base/seeded-random.ts';
import type { Entry } from '../entry/entry.ts';
import { writeEntry } from '../entry/entry-codec.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { decodeOfPeer } from '../wire/peer-bytes.ts';
import { type ChunkOutcome, decodeOutcomes, encodeAppend, writeEntriesChunk } from './chunk.ts';
import type { LogAppender } from './log-appender.ts';

/**
 * What a RemoteLog reaches the nodes with. `map` is asked for every entry, so that a new map holds
 * from the next one on.
 */
export type RemoteLogOptions = {
  readonly caller: NodeCaller;
  readonly map: () => ShardMap;
  readonly clock?: Clock;
  readonly random?: SeededRandom;
  /**
   * From this many bytes on that are not yet durable, `waitForCapacity` waits; by default it grows
   * with the number of slots.
   */
  readonly pendingBytesMax?: number;
  /** How long a lone entry waits for company. Units: ms. */
  readonly lingerMs?: number;
  /** Called when a node refuses or fails, once for each attempt. */
  readonly onRetry?: (node: string, error: DataPlaneError) => void;
};

/**
 * Entries for one slot that go into the log together. Those who wait for any of them wait for all.
 */
type PendingChunk = {
  readonly slot: number;
  itemCount: number;
  /** Of the entries alone. */
  entryBytes: number;
  /** Takes entries until the chunk is sent or full. */
  writer: ByteWriter | null;
  /** Set once it is sent for the first time. */
  bytes: Buffer | null;
  isOnItsWay: boolean;
  readonly durable: PromiseWithResolvers<void>;
};

/**
 * Slots of one node whose chunks share calls, one call on its way at a time. A call is answered
 * when its last slot has committed; a node has two queues, so that one is applied while the other
 * is answered and filled.
 */
type NodeQueue = { readonly node: string; readonly chunksBySlot: Map<number, PendingChunk[]>; isSending: boolean };

const queuesPerNode = 2;
/**
 * Enough that calls overlap, and that large slots get chunks as large as they would take in at
 * once.
 */
const pendingBytesMin = 32 * 2 ** 20;
const pendingBytesOfSlot = 32 * 2 ** 10;
const callBytesMax = 4 * 2 ** 20;
/** Whatever a slot says, a chunk stays below what one call may hold. */
const chunkBytesMax = 2 * 2 ** 20;
/**
 * A chunk of this size is closed, and the slot's next entry begins another, until the slot has said
 * what it would take in at once.
 */
const chunkBytesDefault = 64 * 2 ** 10;
const writerBytes = 32 * 2 ** 10;
const idleWritersMax = 64;
const callTimeoutMs = 60_000;
const retryPolicy = { firstMs: 20, maxMs: 2_000 };

/** The appender of ingest and of whoever else writes from outside the nodes. */
export class RemoteLog implements LogAppender, AsyncDisposable {
  readonly #options: RemoteLogOptions;
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #pendingBytesMax: number;
  readonly #queueByName = new Map<string, NodeQueue>();
  /** Holds one entry while it is written. */
  readonly #entryWriter = new ByteWriter(64 * 1024);
  readonly #callWriter = new ByteWriter(64 * 1024);
  readonly #idleWriters: ByteWriter[] = [];
  /** What slots said that they would take in at once. */
  readonly #batchBytesBySlot = new Map<number, number>();
  readonly #stop = new AbortController();
  #pendingBytes = 0;
  #capacityWaiters: (() => void)[] = [];

  constructor(options: RemoteLogOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#random = options.random ?? seededRandom(this.#clock.nowMs());
    const pendingBytesDefault = Math.max(pendingBytesMin, options.map().slots * pendingBytesOfSlot);
    this.#pendingBytesMax = options.pendingBytesMax ?? pendingBytesDefault;
  }

  get pendingBytes(): number {
    return this.#pendingBytes;
  }

  append(key: string, entry: Entry): Promise<void> {
    if (this.#stop.signal.aborted) return Promise.reject(closedError());
    const map = this.#options.map();
    const slot = slotOf(key, map.slots);
    const queue = this.#queue(map.primaryBySlot[slot]!, slot % queuesPerNode);
    const chunk = this.#openChunk(queue, slot);
    const before = chunk.writer.length;
    writeEntry(this.#entryWriter.clear(), entry);
    chunk.writer.lengthDelimited(this.#entryWriter.view());
    const bytes = chunk.writer.length - before;
    chunk.itemCount++;
    chunk.entryBytes += bytes;
    this.#pendingBytes += bytes;
    if (!queue.isSending) void this.#pump(queue);
    return chunk.durable.promise;
  }

  get hasCapacity(): boolean {
    return this.#pendingBytes < this.#pendingBytesMax;
  }

  waitForCapacity(): Promise<void> {
    if (this.hasCapacity || this.#stop.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.#capacityWaiters.push(resolve));
  }

  #queue(node: string, number: number): NodeQueue {
    const name = `${node}/${number}`;
    let queue = this.#queueByName.get(name);
    if (queue === undefined) {
      queue = { node, chunksBySlot: new Map(), isSending: false };
      this.#queueByName.set(name, queue);
    }
    return queue;
  }

  /** Returns the chunk that takes the slot's next entry. */
  #openChunk(queue: NodeQueue, slot: number): PendingChunk & { writer: ByteWriter } {
    let chunks = queue.chunksBySlot.get(slot);
    if (chunks === undefined) {
      chunks = [];
      queue.chunksBySlot.set(slot, chunks);
    }
    const last = chunks.at(-1);
    const fullBytes = this.#batchBytesBySlot.get(slot) ?? chunkBytesDefault;
    if (last !== undefined && last.writer !== null && last.entryBytes < fullBytes) {
      return last as PendingChunk & { writer: ByteWriter };
    }
    const writer = this.#idleWriters.pop() ?? new ByteWriter(writerBytes);
    const durable = Promise.withResolvers<void>();
    const chunk = { slot, itemCount: 0, entryBytes: 0, writer, bytes: null, isOnItsWay: false, durable };
    chunks.push(chunk);
    return chunk;
  }

  async #pump(queue: NodeQueue): Promise<void> {
    queue.isSending = true;
    await this.#clock.sleep(this.#options.lingerMs ?? 0, this.#stop.signal);
    for (let failures = 0; queue.chunksBySlot.size > 0 && !this.#stop.signal.aborted; ) {
      failures = (await this.#deliver(queue)) ? 0 : failures + 1;
      if (failures > 0) await this.#clock.sleep(backoffMs(retryPolicy, failures, this.#random), this.#stop.signal);
    }
    queue.isSending = false;
    if (this.#stop.signal.aborted) rejectWaiting(queue);
  }

  /**
   * Sends the first chunk of each slot, as far as a call reaches. What the node refused stays
   * first, to be tried again; what it took is done.
   */
  async #deliver(queue: NodeQueue): Promise<boolean> {
    const sent: PendingChunk[] = [];
    let bytes = 0;
    for (const [chunk] of queue.chunksBySlot.values()) {
      if (chunk === undefined || bytes >= callBytesMax) break;
      this.#close(chunk);
      bytes += chunk.bytes!.length;
      chunk.isOnItsWay = true;
      sent.push(chunk);
    }
    const outcomes = await this.#call(
      queue.node,
      sent.map((chunk) => chunk.bytes!),
    );
    let durableCount = 0;
    sent.forEach((chunk, index) => {
      const { slot } = chunk;
      chunk.isOnItsWay = false;
      const chunks = queue.chunksBySlot.get(slot)!;
      // Last from now on, so that a call that does not reach all slots reaches the rest the next
      // time.
      queue.chunksBySlot.delete(slot);
      const outcome = outcomes[index];
      if (outcome?.status === 'durable') {
        this.#batchBytesBySlot.set(slot, Math.min(outcome.batchBytes, chunkBytesMax));
        chunks.shift();
        durableCount++;
        this.#acknowledge(chunk);
      }
      if (chunks.length > 0) queue.chunksBySlot.set(slot, chunks);
    });
    return durableCount === sent.length;
  }

  /** Gives a chunk its bytes; it takes no more entries. */
  #close(chunk: PendingChunk): void {
    if (chunk.writer === null) return;
    const { slot, itemCount, writer } = chunk;
    writeEntriesChunk(this.#callWriter.clear(), slot, itemCount, writer.view());
    writer.clear();
    chunk.bytes = this.#callWriter.finish();
    chunk.writer = null;
    if (this.#idleWriters.length < idleWritersMax) this.#idleWriters.push(writer);
  }

  #acknowledge(chunk: PendingChunk): void {
    this.#pendingBytes -= chunk.entryBytes;
    chunk.durable.resolve();
    if (this.hasCapacity) for (const resume of this.#capacityWaiters.splice(0)) resume();
  }

  async #call(node: string, chunks: readonly Buffer[]): Promise<(ChunkOutcome | undefined)[]> {
    try {
      const payload = encodeAppend(chunks);
      const call = { node, method: nodeCalls.append, payload, timeoutMs: callTimeoutMs };
      const answer = await this.#options.caller.call(call);
      const outcomes = decodeOfPeer(nodeCalls.append, () => decodeOutcomes(answer));
      const refused = outcomes.find((outcome) => outcome.status === 'refused');
      if (refused !== undefined)
        this.#options.onRetry?.(node, errorFromPeer(`node ${node}`, refused.code, refused.message));
      return outcomes;
    } catch (thrown) {
      this.#options.onRetry?.(node, operatingFailure(thrown));
      return [];
    }
  }

  /** Gives up on what is not yet durable; its sources will send it again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const resume of this.#capacityWaiters.splice(0)) resume();
    for (const queue of this.#queueByName.values()) rejectWaiting(queue);
  }
}

/**
 * Gives up on what a queue holds. What is on its way may still be acknowledged, and is given up
 * when it is not.
 */
function rejectWaiting(queue: NodeQueue): void {
  for (const [slot, chunks] of queue.chunksBySlot) {
    const onTheirWay = chunks.filter(({ isOnItsWay }) => isOnItsWay);
    for (const { durable, isOnItsWay } of chunks) if (!isOnItsWay) durable.reject(closedError());
    if (onTheirWay.length > 0) queue.chunksBySlot.set(slot, onTheirWay);
    else queue.chunksBySlot.delete(slot);
  }
}

function closedError(): DataPlaneError {
  return new DataPlaneError('Unavailable', 'the log appender is closed');
}
