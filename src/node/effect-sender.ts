/**
 * Carries effects from the slots of one apply thread to their targets, each pair of slots in order, again and again until they are there.
 *
 * Owns: what is on its way. The outbox on disk is the truth: whatever was lost on the way, or did not fit in memory, is read from there
 * again. A target that misses something names its last mark, and the pair is sent again from there. Refuses: nothing; effects are always
 * taken.
 */

import { backoffMs } from '../base/backoff.ts';
import { ByteWriter } from '../base/bytes.ts';
import type { Clock } from '../base/clock.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { toDataPlaneError } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import { encodeEntry } from '../entry/entry-codec.ts';
import { type ChunkOutcome, decodeOutcomes, encodeAppend, writeChunk } from '../log/chunk.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { Slot } from '../slot/slot.ts';
import type { OutboxBatch } from '../slot/table/outbox.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import type { ApplyQueue } from './apply-queue.ts';

/** One ordered line of effects: from a source slot to a target slot. */
type Line = {
  readonly source: Slot;
  readonly target: number;
  /** Batches that wait in memory, oldest first. */
  waiting: OutboxBatch[];
  waitingBytes: number;
  /** True when the outbox holds batches above `lastQueuedMark` that are not in memory. */
  hasMoreOnDisk: boolean;
  lastQueuedMark: number;
  isInFlight: boolean;
  /** Times in a row that a target of this thread refused. */
  failures: number;
};

type Lane = { readonly node: string; readonly ready: Set<Line>; isSending: boolean; failures: number };

/** What an EffectSender works with. `signal` ends its attempts; what is not delivered by then is still in the outbox. */
export type EffectSenderOptions = {
  readonly caller: NodeCaller;
  readonly map: () => ShardMap;
  readonly queue: () => ApplyQueue;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly signal: AbortSignal;
};

/** Bytes of one append call, and of one line in memory; what is above stays on disk. */
const callBytesMax = 1024 * 1024;
const lineBytesMax = 512 * 1024;
const callTimeoutMs = 30_000;
const retryPolicy = { firstMs: 40, maxMs: 2_000 };
/**
 * Notes of delivery are gathered, and then wait for a commit to go with, longer than entries do: all that hangs on them is disk
 * space. Units: ms.
 */
const notesGatherMs = 50;
const notesLingerMs = 50;

/** Marks that targets have reached, and how often in a row the source's log has refused to take them. */
type Notes = { readonly markByTarget: Map<number, number>; failures: number };

function nameOf(source: Slot, target: number): string {
  return `${source.index}/${target}`;
}

function bytesOf(batch: OutboxBatch): number {
  let bytes = 32;
  for (const item of batch.items) bytes += item.length + 10;
  return bytes;
}

export class EffectSender {
  readonly #options: EffectSenderOptions;
  readonly #lines = new Map<string, Line>();
  readonly #laneByNode = new Map<string, Lane>();
  /** What goes into the source's log soon. */
  readonly #notesBySource = new Map<Slot, Notes>();
  readonly #writer = new ByteWriter(64 * 1024);

  constructor(options: EffectSenderOptions) {
    this.#options = options;
  }

  /** Takes up what a slot owed before this process began. */
  resume(source: Slot): void {
    const targets = new Set<number>();
    for (const batch of source.outbox.batches()) targets.add(batch.target);
    for (const target of targets) {
      const line = this.#line(source, target);
      line.hasMoreOnDisk = true;
      this.#wake(line);
    }
  }

  /** Takes the effects of a commit that is on disk. */
  send(source: Slot, batches: readonly OutboxBatch[]): void {
    if (batches.length > 0) reachCrashPoint('effects-before-send');
    for (const batch of batches) {
      const line = this.#line(source, batch.target);
      const bytes = bytesOf(batch);
      if (line.hasMoreOnDisk || line.waitingBytes + bytes > lineBytesMax) {
        line.hasMoreOnDisk = true;
      } else {
        line.waiting.push(batch);
        line.waitingBytes += bytes;
        line.lastQueuedMark = batch.lastMark;
      }
      this.#wake(line);
    }
  }

  #line(source: Slot, target: number): Line {
    const name = nameOf(source, target);
    let line = this.#lines.get(name);
    if (line === undefined) {
      line = {
        source,
        target,
        waiting: [],
        waitingBytes: 0,
        hasMoreOnDisk: false,
        lastQueuedMark: 0,
        isInFlight: false,
        failures: 0,
      };
      this.#lines.set(name, line);
    }
    return line;
  }

  #wake(line: Line): void {
    if (line.isInFlight) return;
    if (this.#options.queue().has(line.target)) return this.#deliverHere(line);
    const node = this.#options.map().primaryBySlot[line.target]!;
    let lane = this.#laneByNode.get(node);
    if (lane === undefined) {
      lane = { node, ready: new Set(), isSending: false, failures: 0 };
      this.#laneByNode.set(node, lane);
    }
    lane.ready.add(line);
    void this.#pump(lane);
  }

  /** Takes a line's next batches, from memory or from the outbox: as many as one call may hold, at least one. */
  #take(line: Line): OutboxBatch[] {
    if (line.waiting.length === 0 && line.hasMoreOnDisk) this.#refill(line);
    const taken = line.waiting;
    line.waiting = [];
    line.waitingBytes = 0;
    return taken;
  }

  #refill(line: Line): void {
    line.hasMoreOnDisk = false;
    for (const batch of line.source.outbox.batches(line.target, line.lastQueuedMark)) {
      const bytes = bytesOf(batch);
      if (line.waiting.length > 0 && line.waitingBytes + bytes > lineBytesMax) {
        line.hasMoreOnDisk = true;
        return;
      }
      line.waiting.push(batch);
      line.waitingBytes += bytes;
      line.lastQueuedMark = batch.lastMark;
    }
  }

  #chunkOf(line: Line, batches: readonly OutboxBatch[]): Buffer {
    writeChunk(this.#writer, {
      slot: line.target,
      origin: { slot: line.source.index, generation: line.source.generation, previousMark: batches[0]!.previousMark },
      items: batches.flatMap((batch) => batch.items),
      marks: batches.flatMap((batch) => batch.marks),
    });
    return this.#writer.finish();
  }

  /** A target of the same thread needs no call. */
  #deliverHere(line: Line): void {
    const batches = this.#take(line);
    if (batches.length === 0) return;
    line.isInFlight = true;
    const settle = (outcome: ChunkOutcome): void => {
      if (outcome.status === 'refused') this.#retryLater(line);
      else this.#settle(line, batches.at(-1)!.lastMark, outcome);
    };
    const entryCount = batches.reduce((count, batch) => count + batch.items.length, 0);
    this.#options.queue().add(line.target, { bytes: this.#chunkOf(line, batches), entryCount, settle });
  }

  #retryLater(line: Line): void {
    line.failures++;
    void this.#retryDelay(line.failures).then(() => {
      if (!this.#options.signal.aborted) this.#rewind(line, 0);
    });
  }

  /** Forgets what is in memory and goes on from the outbox above `mark`. */
  #rewind(line: Line, mark: number): void {
    line.waiting = [];
    line.waitingBytes = 0;
    line.lastQueuedMark = mark;
    line.hasMoreOnDisk = true;
    line.isInFlight = false;
    this.#wake(line);
  }

  #settle(line: Line, lastMark: number, outcome: ChunkOutcome): void {
    if (outcome.status === 'gap') return this.#rewind(line, outcome.lastMark);
    reachCrashPoint('effects-before-ack');
    line.isInFlight = false;
    line.failures = 0;
    this.#noteDelivered(line.source, line.target, lastMark);
    if (line.waiting.length > 0 || line.hasMoreOnDisk) this.#wake(line);
    else this.#lines.delete(nameOf(line.source, line.target));
  }

  /** Lets the source trim its outbox; notes of all its targets are gathered, and of each target the last one counts. */
  #noteDelivered(source: Slot, target: number, mark: number, failures = 0): void {
    const gathered = this.#notesBySource.get(source);
    if (gathered !== undefined) {
      gathered.failures = Math.max(failures, gathered.failures);
      gathered.markByTarget.set(target, Math.max(mark, gathered.markByTarget.get(target) ?? 0));
      return;
    }
    const notes: Notes = { markByTarget: new Map([[target, mark]]), failures };
    this.#notesBySource.set(source, notes);
    const { clock, signal } = this.#options;
    void clock.sleep(notesGatherMs, signal).then(() => {
      this.#notesBySource.delete(source);
      if (!signal.aborted) this.#appendNotes(source, notes);
    });
  }

  /** Tried until the notes are in the source's log, since nothing else would say so again. */
  #appendNotes(source: Slot, { markByTarget, failures }: Notes): void {
    const items = [...markByTarget].map(([target, mark]) => encodeEntry({ kind: 'delivered', target, mark }));
    writeChunk(this.#writer, { slot: source.index, origin: null, items, marks: [] });
    const { queue, signal } = this.#options;
    const settle = (outcome: ChunkOutcome): void => {
      if (outcome.status !== 'refused') return;
      void this.#retryDelay(failures + 1).then(() => {
        if (signal.aborted) return;
        for (const [target, mark] of markByTarget) this.#noteDelivered(source, target, mark, failures + 1);
      });
    };
    queue().add(source.index, { bytes: this.#writer.finish(), entryCount: items.length, settle }, notesLingerMs);
  }

  async #pump(lane: Lane): Promise<void> {
    if (lane.isSending) return;
    lane.isSending = true;
    while (lane.ready.size > 0 && !this.#options.signal.aborted) {
      // One turn of the event loop, so that slots that commit together share a call.
      await new Promise((resolve) => setImmediate(resolve));
      await this.#sendCall(lane);
    }
    lane.isSending = false;
  }

  async #sendCall(lane: Lane): Promise<void> {
    const lines: { line: Line; lastMark: number }[] = [];
    const chunks: Buffer[] = [];
    let bytes = 0;
    for (const line of lane.ready) {
      if (bytes >= callBytesMax) break;
      lane.ready.delete(line);
      const batches = this.#take(line);
      if (batches.length === 0) continue;
      line.isInFlight = true;
      const chunk = this.#chunkOf(line, batches);
      bytes += chunk.length;
      chunks.push(chunk);
      lines.push({ line, lastMark: batches.at(-1)!.lastMark });
    }
    if (chunks.length === 0) return;
    const outcomes = await this.#call(lane, chunks);
    lines.forEach(({ line, lastMark }, index) => {
      const outcome = outcomes?.[index];
      if (outcome === undefined || outcome.status === 'refused') this.#rewind(line, 0);
      else this.#settle(line, lastMark, outcome);
    });
    const isRefused = outcomes === undefined || outcomes.some((outcome) => outcome.status === 'refused');
    lane.failures = isRefused ? lane.failures + 1 : 0;
    if (isRefused) await this.#retryDelay(lane.failures);
  }

  #retryDelay(failures: number): Promise<void> {
    const { clock, random, signal } = this.#options;
    return clock.sleep(backoffMs(retryPolicy, failures, random), signal);
  }

  /** Returns undefined when the node could not be asked; everything is then sent again from the outbox. */
  async #call(lane: Lane, chunks: readonly Buffer[]): Promise<ChunkOutcome[] | undefined> {
    try {
      const call = {
        node: lane.node,
        method: nodeCalls.append,
        payload: encodeAppend(chunks),
        timeoutMs: callTimeoutMs,
      };
      return decodeOutcomes(await this.#options.caller.call(call));
    } catch (thrown) {
      const { code } = toDataPlaneError(thrown);
      if (code === 'Internal') throw thrown;
      return undefined;
    }
  }
}
