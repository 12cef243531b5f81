/**
 * Sends effects from the slots of one apply thread to their targets: at least once, and in order
 * for each pair of slots.
 *
 * Owns: effects in flight. The outbox on disk is the source of truth: effects that were lost, or
 * did not fit in memory, are read from there. A target that detects a gap answers with its
 * position, above which the pair goes on; where the position says that one of the two lost the tail
 * of its log, an entry of the source's log says so, and the pair goes on once that is applied.
 */
import { backoffMs, isSaidAgain } from '../base/backoff.ts';
import { ByteWriter } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { type DataPlaneError, errorFromPeer, isTransient, operatingFailure } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { LifecycleEntry } from '../entry/lifecycle-entry.ts';
import {
  type ChunkOutcome,
  decodeOutcomes,
  encodeAppend,
  encodeEntryChunk,
  type KnownMark,
  type KnownPosition,
  writeChunk,
} from '../log/chunk.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { parentOf } from '../shardmap/slot-of.ts';
import { generationAfter } from '../slot/effect-position.ts';
import type { Slot } from '../slot/slot.ts';
import type { OutboxBatch } from '../slot/table/outbox.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { decodeOfPeer } from '../wire/peer-bytes.ts';
import type { ApplyQueue } from './apply-queue.ts';
import { DeliveryAcks } from './delivery-acks.ts';

/** The effects of one source slot for one target slot, in order. */
type EffectStream = {
  readonly source: Slot;
  readonly target: number;
  /** Batches in memory, oldest first. */
  waiting: OutboxBatch[];
  waitingBytes: number;
  /** True when the outbox holds batches above `lastQueuedMark` that are not in memory. */
  hasMoreOnDisk: boolean;
  lastQueuedMark: number;
  isInFlight: boolean;
  /** Position of the target that the source has found in its own past. */
  known: KnownMark;
  /** How often the chain of marks began again; what was sent before is of no use. */
  restarts: number;
  /** How often in a row the target refused, or found a gap. */
  failures: number;
};

/** A chunk in flight: up to which mark, in which chain. */
type SentChunk = { readonly stream: EffectStream; readonly lastMark: number; readonly restarts: number };

/** Streams to one node that have something to send; one call is in flight at a time. */
type NodeQueue = { readonly node: string; readonly ready: Set<EffectStream>; isSending: boolean; failures: number };

/** `signal` ends all attempts; undelivered effects stay in the outbox. */
export type EffectSenderOptions = {
  readonly caller: NodeCaller;
  readonly map: () => ShardMap;
  readonly queue: () => ApplyQueue;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly signal: AbortSignal;
  /** Called for each call that a node answers with a defect of its own. */
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

const callBytesMax = 1024 * 1024;
/** Of a stream in memory; further batches stay on disk. */
const streamBytesMax = 512 * 1024;
const callTimeoutMs = 30_000;
const retryPolicy = { firstMs: 40, maxMs: 2_000 };
const unknownMark: KnownMark = { session: 0, mark: 0 };

function nameOf(source: Slot, target: number): string {
  return `${source.index}/${target}`;
}

function lostNote(source: number, target: number, verdict: 'source-lost' | 'target-lost'): string {
  return verdict === 'target-lost'
    ? `slot ${target} has lost effects of slot ${source}, which are sent again`
    : `slot ${source} has lost the tail of its log: slot ${target} holds effects that it does not know; run skyshard repair slot ${source}`;
}

function bytesOf(batch: OutboxBatch): number {
  let bytes = 32;
  for (const item of batch.items) bytes += item.length + 10;
  return bytes;
}

export class EffectSender {
  readonly #options: EffectSenderOptions;
  readonly #streams = new Map<string, EffectStream>();
  readonly #queueByNode = new Map<string, NodeQueue>();
  readonly #acks: DeliveryAcks;
  readonly #writer = new ByteWriter(64 * 1024);

  constructor(options: EffectSenderOptions) {
    this.#options = options;
    this.#acks = new DeliveryAcks({ ...options, retryDelay: (failures) => this.#retryDelay(failures) });
  }

  /** Sends what a slot's outbox holds from before this process began. */
  resume(source: Slot): void {
    const targets = new Set<number>();
    for (const batch of source.outbox.batches()) targets.add(batch.target);
    for (const target of targets) {
      const stream = this.#stream(source, target);
      stream.hasMoreOnDisk = true;
      this.#wake(stream);
    }
  }

  /** Sends the effects of a durable commit, and from the start what is owed to some targets. */
  send(source: Slot, batches: readonly OutboxBatch[], restarted: readonly number[] = []): void {
    for (const target of restarted) this.#restart(this.#stream(source, target));
    if (batches.length > 0) reachCrashPoint('effects-before-send');
    for (const batch of batches) {
      const stream = this.#stream(source, batch.target);
      const bytes = bytesOf(batch);
      if (stream.hasMoreOnDisk || stream.waitingBytes + bytes > streamBytesMax) {
        stream.hasMoreOnDisk = true;
      } else {
        stream.waiting.push(batch);
        stream.waitingBytes += bytes;
        stream.lastQueuedMark = batch.lastMark;
      }
      this.#wake(stream);
    }
  }

  /** Sends no more of a slot for which another process acts. */
  drop(source: Slot): void {
    for (const [name, stream] of this.#streams) if (stream.source === source) this.#streams.delete(name);
  }

  #isDropped(stream: EffectStream): boolean {
    return this.#streams.get(nameOf(stream.source, stream.target)) !== stream;
  }

  #stream(source: Slot, target: number): EffectStream {
    const name = nameOf(source, target);
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = {
        source,
        target,
        waiting: [],
        waitingBytes: 0,
        hasMoreOnDisk: false,
        lastQueuedMark: 0,
        isInFlight: false,
        known: unknownMark,
        restarts: 0,
        failures: 0,
      };
      this.#streams.set(name, stream);
    }
    return stream;
  }

  #wake(stream: EffectStream): void {
    if (stream.isInFlight || this.#isDropped(stream)) return;
    if (this.#options.queue().has(stream.target)) return this.#deliverLocally(stream);
    // One that has split is known to before its map is; its child is with it then.
    const { primaryBySlot } = this.#options.map();
    const node = primaryBySlot[stream.target] ?? primaryBySlot[parentOf(stream.target)]!;
    let nodeQueue = this.#queueByNode.get(node);
    if (nodeQueue === undefined) {
      nodeQueue = { node, ready: new Set(), isSending: false, failures: 0 };
      this.#queueByNode.set(node, nodeQueue);
    }
    nodeQueue.ready.add(stream);
    void this.#pump(nodeQueue);
  }

  /** Removes and returns a stream's next batches, read from the outbox if none are in memory. */
  #take(stream: EffectStream): OutboxBatch[] {
    if (stream.waiting.length === 0 && stream.hasMoreOnDisk) this.#refill(stream);
    const taken = stream.waiting;
    stream.waiting = [];
    stream.waitingBytes = 0;
    return taken;
  }

  #refill(stream: EffectStream): void {
    stream.hasMoreOnDisk = false;
    for (const batch of stream.source.outbox.batches(stream.target, stream.lastQueuedMark)) {
      const bytes = bytesOf(batch);
      if (stream.waiting.length > 0 && stream.waitingBytes + bytes > streamBytesMax) {
        stream.hasMoreOnDisk = true;
        return;
      }
      stream.waiting.push(batch);
      stream.waitingBytes += bytes;
      stream.lastQueuedMark = batch.lastMark;
    }
  }

  #chunkOf(stream: EffectStream, batches: readonly OutboxBatch[]): Buffer {
    const { index, generation, session, routing } = stream.source;
    const { previousMark } = batches[0]!;
    const targetSlots = routing.slotsOfTarget(stream.target);
    writeChunk(this.#writer, {
      slot: stream.target,
      origin: { slot: index, generation, session, previousMark, known: stream.known, targetSlots },
      items: batches.flatMap((batch) => batch.items),
      marks: batches.flatMap((batch) => batch.marks),
    });
    return this.#writer.finish();
  }

  /** Delivers to a target of this thread, which needs no call. */
  #deliverLocally(stream: EffectStream): void {
    const batches = this.#take(stream);
    if (batches.length === 0) return;
    stream.isInFlight = true;
    const { restarts } = stream;
    const onOutcome = (outcome: ChunkOutcome): void => {
      if (outcome.status === 'refused') this.#rewindLater(stream, 0);
      else this.#onOutcome({ stream, lastMark: batches.at(-1)!.lastMark, restarts }, outcome);
    };
    const entryCount = batches.reduce((count, batch) => count + batch.items.length, 0);
    const queue = this.#options.queue();
    const withinMs = queue.effectsLingerMs(stream.target);
    queue.add(stream.target, { bytes: this.#chunkOf(stream, batches), entryCount, onOutcome }, withinMs);
  }

  /** The first time at once: a gap is usual at the first chunk of a session. */
  #rewindLater(stream: EffectStream, mark: number): void {
    stream.failures++;
    if (stream.failures === 1) return this.#rewind(stream, mark);
    void this.#retryDelay(stream.failures - 1).then(() => {
      if (!this.#options.signal.aborted) this.#rewind(stream, mark);
    });
  }

  /** What is in memory, or in flight, is of a chain that is over. */
  #restart(stream: EffectStream): void {
    stream.restarts++;
    stream.waiting = [];
    stream.waitingBytes = 0;
    stream.lastQueuedMark = 0;
    stream.hasMoreOnDisk = true;
    this.#wake(stream);
  }

  /** Drops the batches in memory, and continues from the outbox above `mark`. */
  #rewind(stream: EffectStream, mark: number): void {
    stream.waiting = [];
    stream.waitingBytes = 0;
    stream.lastQueuedMark = mark;
    stream.hasMoreOnDisk = true;
    stream.isInFlight = false;
    this.#wake(stream);
  }

  #onOutcome({ stream, lastMark, restarts }: SentChunk, outcome: ChunkOutcome): void {
    if (this.#isDropped(stream)) return;
    if (stream.restarts !== restarts) return this.#rewind(stream, 0);
    if (outcome.status === 'gap') return this.#onGap(stream, outcome);
    if (outcome.status === 'split') return this.#onSplit(stream, outcome.slots);
    reachCrashPoint('effects-before-ack');
    stream.isInFlight = false;
    stream.failures = 0;
    this.#acks.add(stream.source, stream.target, lastMark);
    if (stream.waiting.length > 0 || stream.hasMoreOnDisk) this.#wake(stream);
    else this.#streams.delete(nameOf(stream.source, stream.target));
  }

  /** Goes on above a target's position, unless that says that one of the two lost its tail. */
  #onGap(stream: EffectStream, at: KnownPosition, hasRead = false): void {
    const { source, target } = stream;
    const verdict = source.judge(target, at);
    if (verdict === 'follows') {
      const isSameGeneration = at.generation === source.generation && !at.isParents;
      stream.known = isSameGeneration ? { session: at.session, mark: at.lastMark } : unknownMark;
      // The target has all up to there, of which an earlier process may not have heard.
      if (isSameGeneration) this.#acks.add(source, target, at.lastMark);
      return this.#rewindLater(stream, isSameGeneration ? at.lastMark : 0);
    }
    // Of a log on a server, what this process has not read yet is no loss.
    if (verdict === 'source-lost' && !source.log.isEmbedded && !hasRead) {
      return void source.log.refresh().then(() => {
        if (source.log.behindMs(this.#options.clock.nowMs()) > 0) this.#rewindLater(stream, 0);
        else if (!this.#isDropped(stream)) this.#onGap(stream, at, true);
      });
    }
    this.#options.note(lostNote(source.index, target, verdict), { source: source.index, target });
    const generation = generationAfter(at.generation, this.#options.clock);
    const lost: LifecycleEntry = { kind: 'tail-lost', lostIn: source.generation, generation };
    this.#note(stream, verdict === 'target-lost' ? { kind: 'resend', target } : lost);
  }

  /** The target has split, which the source's log then says; or has yet to, and is asked again. */
  #onSplit(stream: EffectStream, slots: number): void {
    const { source, target } = stream;
    if (slots <= source.routing.slotsOfTarget(target)) return this.#rewindLater(stream, 0);
    this.#note(stream, { kind: 'target-split', target, slots });
  }

  /** Appends to a source's log what was found of a stream, which is in flight until then. */
  #note(stream: EffectStream, entry: LifecycleEntry): void {
    const bytes = encodeEntryChunk(stream.source.index, [entry]);
    // The chain that begins again sends on.
    const onOutcome = (): void => this.#rewindLater(stream, 0);
    this.#options.queue().add(stream.source.index, { bytes, entryCount: 1, onOutcome }, 0);
  }

  async #pump(nodeQueue: NodeQueue): Promise<void> {
    if (nodeQueue.isSending) return;
    nodeQueue.isSending = true;
    while (nodeQueue.ready.size > 0 && !this.#options.signal.aborted) {
      // Waits for one turn of the event loop, so that slots that commit together share a call.
      await new Promise((resolve) => setImmediate(resolve));
      await this.#sendCall(nodeQueue);
    }
    nodeQueue.isSending = false;
  }

  async #sendCall(nodeQueue: NodeQueue): Promise<void> {
    const streams: SentChunk[] = [];
    const chunks: Buffer[] = [];
    let bytes = 0;
    for (const stream of nodeQueue.ready) {
      if (bytes >= callBytesMax) break;
      nodeQueue.ready.delete(stream);
      if (this.#isDropped(stream)) continue;
      const batches = this.#take(stream);
      if (batches.length === 0) continue;
      stream.isInFlight = true;
      const chunk = this.#chunkOf(stream, batches);
      bytes += chunk.length;
      chunks.push(chunk);
      streams.push({ stream, lastMark: batches.at(-1)!.lastMark, restarts: stream.restarts });
    }
    if (chunks.length === 0) return;
    const outcomes = await this.#call(nodeQueue, chunks);
    streams.forEach((sent, index) => {
      const outcome = outcomes?.[index];
      if (outcome === undefined || outcome.status === 'refused') this.#rewind(sent.stream, 0);
      else this.#onOutcome(sent, outcome);
    });
    const refused = outcomes?.find((outcome) => outcome.status === 'refused');
    if (refused !== undefined)
      this.#noteFailure(nodeQueue, errorFromPeer(nodeQueue.node, refused.code, refused.message));
    const isRefused = outcomes === undefined || refused !== undefined;
    nodeQueue.failures = isRefused ? nodeQueue.failures + 1 : 0;
    if (isRefused) await this.#retryDelay(nodeQueue.failures);
  }

  #retryDelay(failures: number): Promise<void> {
    const { clock, random, signal } = this.#options;
    return clock.sleep(backoffMs(retryPolicy, failures, random), signal);
  }

  /** Returns undefined for a failed call, after which everything is sent again from the outbox. */
  async #call(nodeQueue: NodeQueue, chunks: readonly Buffer[]): Promise<ChunkOutcome[] | undefined> {
    try {
      const call = {
        node: nodeQueue.node,
        method: nodeCalls.append,
        payload: encodeAppend(chunks),
        timeoutMs: callTimeoutMs,
      };
      const answer = await this.#options.caller.call(call);
      return decodeOfPeer(nodeCalls.append, () => decodeOutcomes(answer, chunks.length), 'Internal');
    } catch (thrown) {
      // A defect of another node must not stop this one; those of ours are broken invariants.
      this.#noteFailure(nodeQueue, operatingFailure(thrown));
      return undefined;
    }
  }

  #noteFailure({ node, failures }: NodeQueue, { code, message }: DataPlaneError): void {
    if (isTransient(code) || !isSaidAgain(failures + 1)) return;
    this.#options.note(`effects are sent again: ${message}`, { node, code });
  }
}
