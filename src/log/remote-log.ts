/**
 * A LogAppender over the nodes of the shard map, for writers outside the nodes.
 *
 * Owns: order for each slot, batching across slots and nodes, and retries until entries are
 * durable. Entries that arrive while a call is in flight are the next batch, so batches grow with
 * load. Refuses: entries that fit no call, or that a node alone calls malformed; both would be
 * tried for ever, and hold up all that come after them.
 */
import { backoffMs } from '../base/backoff.ts';
import { ByteWriter } from '../base/bytes.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { type DataPlaneError, errorFromPeer, operatingFailure } from '../base/data-plane-error.ts';
import { invariant } from '../base/invariant.ts';
import { type SeededRandom, seededRandom } from '../base/seeded-random.ts';
import type { Entry } from '../entry/entry.ts';
import { decodeEntry, writeEntry } from '../entry/entry-codec.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { slotOf } from '../shardmap/slot-of.ts';
import { payloadBytesMax } from '../wire/frame.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import type { LogServerStatus } from '../wire/node-status.ts';
import { decodeOfPeer } from '../wire/peer-bytes.ts';
import { type ChunkOutcome, decodeOutcomes, encodeAppend, readChunk, writeEntriesChunk } from './chunk.ts';
import { EntriesRefused, type RefusalReason } from './entries-refused.ts';
import { entryBytesMax } from './entry-limit.ts';
import type { LogAppender } from './log-appender.ts';
import { closedError, divideChunk, entryChunks, type PendingChunk, rejectWaiting } from './pending-chunks.ts';

export type RemoteLogOptions = {
  readonly caller: NodeCaller;
  /** The server that has the log; absent where nodes have it, to which chunks then go. */
  readonly server?: ChunkSender;
  /** Called for every entry, so that a new map applies from the next one. */
  readonly map: () => ShardMap;
  readonly clock?: Clock;
  readonly random?: SeededRandom;
  /** The capacity in bytes that are not durable; by default it grows with the number of slots. */
  readonly pendingBytesMax?: number;
  /** How long a lone entry waits to be batched with others. Units: ms. */
  readonly lingerMs?: number;
  /** Called before each call: while it fails, nothing is sent, and the attempt counts as failed. */
  readonly beforeCall?: (node: string) => Promise<void>;
  /** Called after each attempt that a node refuses or fails, with the number of those in a row. */
  readonly onRetry?: (node: string, error: DataPlaneError, failures: number) => void;
  /** Called for each entry that is refused for good. */
  readonly onRefused?: (node: string, error: EntriesRefused) => void;
};

/**
 * Takes chunks for a log on a server, cut by `slots` slots. A missing outcome is a failure.
 */
export type ChunkSender = {
  send(chunks: readonly Buffer[], slots: number): Promise<(ChunkOutcome | undefined)[]>;
  readonly status: LogServerStatus;
};

/**
 * Slots of one node whose chunks share calls, one call in flight at a time. A call is answered once
 * its last slot has committed; a node has two queues, so that one is applied while the other is
 * answered and filled.
 */
type NodeQueue = {
  readonly node: string;
  readonly chunksBySlot: Map<number, PendingChunk[]>;
  isSending: boolean;
  /** Calls in a row that a node refused or failed. */
  failures: number;
  /** True after a node refused a whole call: chunks go one at a time until one is durable. */
  isProbing: boolean;
  /** Entries refused since the last one that was durable. */
  refusedInRow: number;
};

const queuesPerNode = 2;
/** Enough that calls overlap, and that large slots get chunks as large as their batches. */
const pendingBytesMin = 32 * 2 ** 20;
const pendingBytesOfSlot = 32 * 2 ** 10;
const callBytesMax = 4 * 2 ** 20;
/** Keeps a chunk below the size of a call, whatever its slot's batch size. */
const chunkBytesMax = 2 * 2 ** 20;
/** A chunk of this size takes no more entries, unless its slot has reported a batch size. */
const chunkBytesDefault = 64 * 2 ** 10;
invariant(callBytesMax + chunkBytesMax + entryBytesMax < payloadBytesMax, 'every chunk fits a call');
/** A node that takes nothing else is at fault itself, and its entries wait. */
const refusedInRowMax = 8;
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
  readonly #firstMap: ShardMap;
  /** The number of slots by which entries are cut now. */
  #slots: number;
  /** By slot, by how many slots what waits for it was cut, where these are more by now. */
  readonly #slotsWhenCut = new Map<number, number>();
  #pendingBytes = 0;
  #capacityWaiters: (() => void)[] = [];

  constructor(options: RemoteLogOptions) {
    this.#options = options;
    this.#firstMap = options.map();
    this.#slots = this.#firstMap.slots;
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
    const slot = this.#slotFor(key, map);
    const queue = this.#queueOf(slot, map);
    writeEntry(this.#entryWriter.clear(), entry);
    if (this.#entryWriter.length > entryBytesMax) {
      const what = `an entry of ${this.#entryWriter.length} bytes; entryBytesMax is ${entryBytesMax}`;
      return Promise.reject(this.#refuse(queue, 'entry-too-large', this.#entryWriter.finish(), what));
    }
    const chunk = this.#openChunk(queue, slot);
    const before = chunk.writer.length;
    chunk.writer.lengthDelimited(this.#entryWriter.view());
    const bytes = chunk.writer.length - before;
    chunk.itemCount++;
    chunk.entryBytes += bytes;
    this.#pendingBytes += bytes;
    if (!queue.isSending) void this.#pump(queue);
    return chunk.durable.promise;
  }

  get serverStatus(): LogServerStatus | null {
    return this.#options.server?.status ?? null;
  }

  get hasCapacity(): boolean {
    return this.#pendingBytes < this.#pendingBytesMax;
  }

  waitForCapacity(): Promise<void> {
    if (this.hasCapacity || this.#stop.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => this.#capacityWaiters.push(resolve));
  }

  /**
   * Returns the slot for whose log an entry waits. Where there are more slots by now, what still
   * waits for one of before may be of the same account: so it waits behind that.
   */
  #slotFor(key: string, map: ShardMap): number {
    this.#useSlots(map.slots);
    const slot = slotOf(key, map.slots);
    for (const [before, slots] of this.#slotsWhenCut) if ((slot & (slots - 1)) === before) return before;
    return slot;
  }

  /** Takes the number of slots, which may have become more: what waits is cut again then. */
  #useSlots(slots: number): void {
    if (slots === this.#slots) return;
    for (const { chunksBySlot } of this.#queueByName.values())
      for (const slot of chunksBySlot.keys())
        if (!this.#slotsWhenCut.has(slot)) this.#slotsWhenCut.set(slot, this.#slots);
    this.#slots = slots;
  }

  /** Cuts again what waits in a queue, of which no call is in flight. */
  #cutAgain(queue: NodeQueue, map: ShardMap): void {
    this.#useSlots(map.slots);
    if (this.#slotsWhenCut.size === 0) return;
    for (const [slot, chunks] of [...queue.chunksBySlot]) {
      if (!this.#slotsWhenCut.delete(slot)) continue;
      const parts = chunks.flatMap((chunk) => {
        this.#seal(chunk);
        return divideChunk(chunk, map.slots);
      });
      queue.chunksBySlot.delete(slot);
      for (const [own, ofSlot] of Map.groupBy(parts, (part) => part.slot)) queue.chunksBySlot.set(own, ofSlot);
    }
  }

  /** Returns the queue of a slot: one that still holds entries of it keeps their order. */
  #queueOf(slot: number, map: ShardMap): NodeQueue {
    const queue = this.#queue(map, slot);
    if (map === this.#firstMap || queue.chunksBySlot.has(slot)) return queue;
    for (const other of this.#queueByName.values()) if (other.chunksBySlot.has(slot)) return other;
    return queue;
  }

  /** Moves the slots that a newer map gives to other nodes. No call of the queue is in flight. */
  #reroute(queue: NodeQueue, map: ShardMap): void {
    for (const [slot, chunks] of queue.chunksBySlot) {
      const target = this.#queue(map, slot);
      if (target === queue) continue;
      queue.chunksBySlot.delete(slot);
      target.chunksBySlot.set(slot, chunks);
      if (!target.isSending) void this.#pump(target);
    }
  }

  #queue(map: ShardMap, slot: number): NodeQueue {
    const node = map.primaryBySlot[slot]!;
    const name = `${node}/${slot % queuesPerNode}`;
    let queue = this.#queueByName.get(name);
    if (queue === undefined) {
      queue = { node, chunksBySlot: new Map(), isSending: false, failures: 0, isProbing: false, refusedInRow: 0 };
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
    while (queue.chunksBySlot.size > 0 && !this.#stop.signal.aborted) {
      const map = this.#options.map();
      if (map !== this.#firstMap) {
        this.#cutAgain(queue, map);
        this.#reroute(queue, map);
      }
      if (queue.chunksBySlot.size === 0) break;
      queue.failures = (await this.#deliver(queue, map.slots)) ? 0 : queue.failures + 1;
      if (queue.failures === 0) continue;
      await this.#clock.sleep(backoffMs(retryPolicy, queue.failures, this.#random), this.#stop.signal);
    }
    queue.isSending = false;
    if (this.#stop.signal.aborted) rejectWaiting(queue.chunksBySlot);
  }

  /**
   * Sends the first chunks of slots, cut by as many as there are, up to the size of a call. Refused
   * ones stay first.
   */
  async #deliver(queue: NodeQueue, slots: number): Promise<boolean> {
    const sent: PendingChunk[] = [];
    let bytes = 0;
    for (const [chunk] of queue.chunksBySlot.values()) {
      if (chunk === undefined || bytes >= callBytesMax || (queue.isProbing && sent.length > 0)) break;
      this.#seal(chunk);
      bytes += chunk.bytes!.length;
      chunk.isInFlight = true;
      sent.push(chunk);
    }
    const outcomes = await this.#call(
      queue,
      sent.map((chunk) => chunk.bytes!),
      slots,
    );
    let doneCount = 0;
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
        doneCount++;
        queue.isProbing = false;
        queue.refusedInRow = 0;
        this.#release(chunk, () => chunk.durable.resolve());
      } else if (outcome?.status === 'refused' && outcome.code === 'InvalidArgument') {
        if (this.#takeRefusal(queue, chunks, chunk, outcome.message)) doneCount++;
      }
      if (chunks.length > 0) queue.chunksBySlot.set(slot, chunks);
      else this.#slotsWhenCut.delete(slot);
    });
    return doneCount === sent.length;
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

  /** Ends a chunk, whose bytes no longer count. */
  #release(chunk: PendingChunk, settle: () => void): void {
    this.#pendingBytes -= chunk.entryBytes;
    settle();
    if (this.hasCapacity) for (const resume of this.#capacityWaiters.splice(0)) resume();
  }

  /**
   * Handles a refusal of the first of `chunks` as malformed: its entries go alone, and one that is
   * refused alone is dropped. Returns: false while the node refuses everything.
   */
  #takeRefusal(queue: NodeQueue, chunks: PendingChunk[], chunk: PendingChunk, message: string): boolean {
    if (chunk.itemCount > 1) {
      chunks.splice(0, 1, ...entryChunks(chunk));
      return true;
    }
    if (queue.refusedInRow >= refusedInRowMax) return false;
    queue.refusedInRow++;
    chunks.shift();
    const [item] = readChunk(chunk.bytes!).items;
    const refused = this.#refuse(queue, 'entry-malformed', item!, message);
    this.#release(chunk, () => chunk.durable.reject(refused));
    return true;
  }

  #refuse({ node }: NodeQueue, reason: RefusalReason, item: Uint8Array, message: string): EntriesRefused {
    const entry = decodeEntry(item);
    const error = new EntriesRefused(reason, new Set('did' in entry ? [entry.did] : []), `${entry.kind}: ${message}`);
    this.#options.onRefused?.(node, error);
    return error;
  }

  async #call(queue: NodeQueue, chunks: readonly Buffer[], slots: number): Promise<(ChunkOutcome | undefined)[]> {
    const { node, failures } = queue;
    try {
      await this.#options.beforeCall?.(node);
      const { caller, server } = this.#options;
      const outcomes = await (server === undefined ? sendToNode(caller, node, chunks) : server.send(chunks, slots));
      const refused = outcomes.find((outcome) => outcome?.status === 'refused');
      if (refused !== undefined)
        this.#options.onRetry?.(node, errorFromPeer(`node ${node}`, refused.code, refused.message), failures + 1);
      return outcomes;
    } catch (thrown) {
      const error = operatingFailure(thrown);
      this.#options.onRetry?.(node, error, failures + 1);
      if (error.code !== 'InvalidArgument') return [];
      queue.isProbing = true;
      return chunks.length > 1 ? [] : [{ status: 'refused', code: error.code, message: error.message }];
    }
  }

  /** Rejects entries that are not durable, which their sources will send again. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    for (const resume of this.#capacityWaiters.splice(0)) resume();
    for (const queue of this.#queueByName.values()) rejectWaiting(queue.chunksBySlot);
  }
}

async function sendToNode(caller: NodeCaller, node: string, chunks: readonly Buffer[]): Promise<ChunkOutcome[]> {
  const payload = encodeAppend(chunks);
  const answer = await caller.call({ node, method: nodeCalls.append, payload, timeoutMs: callTimeoutMs });
  return decodeOfPeer(nodeCalls.append, () => decodeOutcomes(answer, chunks.length), 'Internal');
}
