/**
 * A LogAppender over the nodes of the shard map, for writers outside the nodes.
 *
 * Owns: order for each slot, batching across slots and nodes, and retries until entries are
 * durable. Entries that arrive while a call is in flight are the next batch, so batches grow with
 * load.
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

export type RemoteLogOptions = {
  readonly caller: NodeCaller;
  /** Called for every entry, so that a new map applies from the next one. */
  readonly map: () => ShardMap;
  readonly clock?: Clock;
  readonly random?: SeededRandom;
  /** The capacity in bytes that are not durable; by default it grows with the number of slots. */
  readonly pendingBytesMax?: number;
  /** How long a lone entry waits to be batched with others. Units: ms. */
  readonly lingerMs?: number;
  /** Called after each attempt that a node refuses or fails. */
  readonly onRetry?: (node: string, error: DataPlaneError) => void;
};

/** Entries for one slot that are appended together, and acknowledged together. */
type PendingChunk = {
  readonly slot: number;
  itemCount: number;
  entryBytes: number;
  /** Null once the chunk is sealed. */
  writer: ByteWriter | null;
  /** The encoded chunk; null until it is sealed. */
  bytes: Buffer | null;
  isInFlight: boolean;
  readonly durable: PromiseWithResolvers<void>;
};

/**
 * Slots of one node whose chunks share calls, one call in flight at a time. A call is answered once
 * its last slot has committed; a node has two queues, so that one is applied while the other is
 * answered and filled.
 */
type NodeQueue = { readonly node: string; readonly chunksBySlot: Map<number, PendingChunk[]>; isSending: boolean };

const queuesPerNode = 2;
/** Enough that calls overlap, and that large slots get chunks as large as their batches. */
const pendingBytesMin = 32 * 2 ** 20;
const pendingBytesOfSlot = 32 * 2 ** 10;
const callBytesMax = 4 * 2 ** 20;
/** Keeps a chunk below the size of a call, whatever its slot's batch size. */
const chunkBytesMax = 2 * 2 ** 20;
/** A chunk of this size takes no more entries, unless its slot has reported a batch size. */
const chunkBytesDefault = 64 * 2 ** 10;
const writerBytes = 32 * 2 ** 10;
const idleWritersMax = 64;
const callTimeoutMs = 60_000;
const retryPolicy = { firstMs: 20, maxMs: 2_000 };

/** Appends entries to the logs of slots on any node. */
export class RemoteLog implements LogAppender, AsyncDisposable {
  readonly #options: RemoteLogOptions;
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #pendingBytesMax: number;
  readonly #queueByName = new Map<string, NodeQueue>();
  /** Encodes one entry at a time. */
  readonly #entryWriter = new ByteWriter(64 * 1024);
  readonly #callWriter = new ByteWriter(64 * 1024);
  readonly #idleWriters: ByteWriter[] = [];
  /** As reported by the slots. */
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

  /** Returns the chunk for the slot's next entry. */
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
    const chunk = { slot, itemCount: 0, entryBytes: 0, writer, bytes: null, isInFlight: false, durable };
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

  /** Sends the first chunks of slots, up to the size of a call. Refused ones stay first. */
  async #deliver(queue: NodeQueue): Promise<boolean> {
    const sent: PendingChunk[] = [];
    let bytes = 0;
    for (const [chunk] of queue.chunksBySlot.values()) {
      if (chunk === undefined || bytes >= callBytesMax) break;
      this.#seal(chunk);
      bytes += chunk.bytes!.length;
      chunk.isInFlight = true;
      sent.push(chunk);
    }
    const outcomes = await this.#call(
      queue.node,
      sent.map((chunk) => chunk.bytes!),
    );
    let durableCount = 0;
    sent.forEach((chunk, index) => {
      const { slot } = chunk;
      chunk.isInFlight = false;
      const chunks = queue.chunksBySlot.get(slot)!;
      // Moves the slot to the end, so that slots for which a call is too small come next.
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

  /** Encodes a chunk, which takes no more entries. */
  #seal(chunk: PendingChunk): void {
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

  /** Rejects entries that are not durable, which their sources will send again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const resume of this.#capacityWaiters.splice(0)) resume();
    for (const queue of this.#queueByName.values()) rejectWaiting(queue);
  }
}

/** Rejects chunks that are not in flight; the others may still be acknowledged. */
function rejectWaiting(queue: NodeQueue): void {
  for (const [slot, chunks] of queue.chunksBySlot) {
    const inFlight = chunks.filter(({ isInFlight }) => isInFlight);
    for (const { durable, isInFlight } of chunks) if (!isInFlight) durable.reject(closedError());
    if (inFlight.length > 0) queue.chunksBySlot.set(slot, inFlight);
    else queue.chunksBySlot.delete(slot);
  }
}

function closedError(): DataPlaneError {
  return new DataPlaneError('Unavailable', 'the log appender is closed');
}
