/**
 * Appends chunks to the logs of one apply thread's slots, and runs the slots.
 *
 * Owns: batching and fairness. A slot runs when its oldest chunk has waited for the linger, when it
 * has a full batch, or when a chunk is urgent; under load slots take turns, so that batches grow.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, type ErrorCode } from '../base/data-plane-error.ts';
import type { ChunkOutcome } from '../log/chunk.ts';
import type { AppendedChunk } from '../log/slot-log.ts';
import type { Slot } from '../slot/slot.ts';
import type { OutboxBatch } from '../slot/table/outbox.ts';
import type { SlotStatus } from '../wire/node-status.ts';

export type QueuedChunk = Omit<AppendedChunk, 'withinMs'>;

type SlotQueue = {
  readonly slot: Slot;
  dueMs: number;
  isFull: boolean;
  /** An entry of the slot's own is on its way through a log on a server. */
  isOwnPending: boolean;
  /** The duration of recent transactions. */
  runMs: number;
};

export type ApplyQueueOptions = {
  readonly clock: Clock;
  readonly lingerMs: number;
  /** Called after each commit with the effects that may now be sent; see RunResult. */
  readonly onBatches: (slot: Slot, batches: readonly OutboxBatch[], restarted: readonly number[]) => void;
  /** Called after each commit. */
  readonly onCommit: (slot: Slot) => void;
};

/** A transaction takes a batch from outside and one of effects. */
const transactionBatches = 2;
/** Effects wait for the time of this many transactions, so that a busy slot takes many at once. */
const effectsLingerRuns = 8;
/** The factor by which `runMs` decays with each transaction. */
const runMsDecay = 0.75;

/** Above this many undelivered effects of the thread's slots, entries from outside wait. */
const undeliveredEffectsMax = 400_000;
/** What a slot throws that refuses chunks for a while; anything else ends the process. */
const pausingCodes: ReadonlySet<ErrorCode> = new Set(['StorageFull', 'ApplyStopped']);
/** How long a slot whose storage is full waits before it retries. */
const fullRetryMs = 1_000;

function goneMessage(slotIndex: number): string {
  return `slot ${slotIndex} is not applied here`;
}

export class ApplyQueue {
  readonly #queueBySlot = new Map<number, SlotQueue>();
  readonly #options: ApplyQueueOptions;
  #timer: NodeJS.Timeout | undefined;
  /** When the timer fires; infinite without a timer. An earlier chunk replaces it. */
  #timerDueMs = Number.POSITIVE_INFINITY;
  #isRunning = false;
  #isClosed = false;

  constructor(slots: readonly Slot[], options: ApplyQueueOptions) {
    this.#options = options;
    for (const slot of slots) this.take(slot);
  }

  /** Those that are open, while slots come and go. */
  get slots(): Slot[] {
    return Array.from(this.#queueBySlot.values(), ({ slot }) => slot);
  }

  /** Runs a slot from now on. */
  take(slot: Slot): void {
    const dueMs = slot.canRun ? 0 : Number.POSITIVE_INFINITY;
    const queue = { slot, dueMs, isFull: false, isOwnPending: false, runMs: 0 };
    this.#queueBySlot.set(slot.index, queue);
    slot.log.wait((withinMs) => this.#onReadable(queue, withinMs));
    this.#schedule();
  }

  /** Runs a slot no more, and closes it. What its log has not applied stays there. */
  async leave(slotIndex: number): Promise<void> {
    const queue = this.#queueBySlot.get(slotIndex);
    if (queue === undefined) return;
    this.#queueBySlot.delete(slotIndex);
    queue.slot.log.close({ status: 'refused', code: 'WrongEpoch', message: goneMessage(slotIndex) });
    await queue.slot[Symbol.asyncDispose]();
  }

  /** Has a slot without room for its child refuse what comes, until it is woken and has run. */
  refuseUntilWoken(slotIndex: number): void {
    const queue = this.#queueBySlot.get(slotIndex);
    if (queue === undefined) return;
    queue.isFull = true;
    queue.dueMs = 0;
    this.#schedule();
  }

  /** Has a slot go on that could not run, and has something to run by now. */
  wake(slotIndex: number): void {
    const queue = this.#queueBySlot.get(slotIndex);
    if (queue === undefined || !(queue.slot.canRun || queue.slot.log.readableBytes > 0)) return;
    queue.dueMs = 0;
    this.#schedule();
  }

  /** Appends a chunk to the log of a slot of this thread, which runs within `withinMs`. */
  add(slotIndex: number, chunk: QueuedChunk, withinMs = this.#options.lingerMs): void {
    const queue = this.#queueBySlot.get(slotIndex);
    if (queue === undefined || this.#isClosed) {
      return chunk.onOutcome({ status: 'refused', code: 'WrongEpoch', message: goneMessage(slotIndex) });
    }
    const { bytes, entryCount, onOutcome } = chunk;
    queue.slot.log.append({ bytes, entryCount, onOutcome, withinMs });
  }

  #onReadable(queue: SlotQueue, withinMs = this.#options.lingerMs): void {
    const { log, batchBytes } = queue.slot;
    const dueMs = log.readableBytes >= batchBytes ? 0 : this.#options.clock.monotonicMs() + withinMs;
    if (dueMs >= queue.dueMs || queue.isFull) return;
    queue.dueMs = dueMs;
    if (dueMs < this.#timerDueMs) this.#schedule();
  }

  /** Returns how long effects for a slot of this thread may wait. Units: ms. */
  effectsLingerMs(slotIndex: number): number {
    const runMs = this.#queueBySlot.get(slotIndex)?.runMs ?? 0;
    return Math.max(this.#options.lingerMs, effectsLingerRuns * runMs);
  }

  has(slotIndex: number): boolean {
    return this.#queueBySlot.has(slotIndex);
  }

  /** True while entries from outside must wait for effects to be delivered. */
  get isBackpressured(): boolean {
    let undelivered = 0;
    for (const { slot } of this.#queueBySlot.values()) undelivered += slot.outbox.owedCount;
    return undelivered > undeliveredEffectsMax;
  }

  #schedule(): void {
    if (this.#isRunning || this.#isClosed) return;
    let nextMs = Number.POSITIVE_INFINITY;
    for (const queue of this.#queueBySlot.values()) nextMs = Math.min(nextMs, queue.dueMs);
    clearTimeout(this.#timer);
    this.#timerDueMs = nextMs;
    if (nextMs === Number.POSITIVE_INFINITY) return;
    const waitMs = nextMs - this.#options.clock.monotonicMs();
    this.#timer = setTimeout(() => void this.#runDue(), Math.max(0, waitMs));
  }

  async #runDue(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#timerDueMs = Number.POSITIVE_INFINITY;
    try {
      const nowMs = this.#options.clock.monotonicMs();
      for (const queue of this.#queueBySlot.values()) {
        if (queue.dueMs > nowMs || this.#isClosed) continue;
        this.#runSlot(queue);
        // Messages are received between slots, so that the next slots fill their batches.
        await new Promise((resolve) => setImmediate(resolve));
      }
    } finally {
      this.#isRunning = false;
    }
    this.#schedule();
  }

  #runSlot(queue: SlotQueue): void {
    const { clock } = this.#options;
    const { slot } = queue;
    if (slot.awaitsChild) return this.#awaitChild(queue);
    const startMs = clock.monotonicMs();
    const nowMs = clock.nowMs();
    const taken = slot.log.read(transactionBatches * slot.batchBytes, nowMs);
    try {
      const result = slot.apply(taken, nowMs);
      slot.log.putBack(taken.slice(result.outcomes.length));
      queue.isFull = false;
      queue.runMs = Math.max(clock.monotonicMs() - startMs, queue.runMs * runMsDecay);
      const hasMore = slot.log.readableBytes > 0 || slot.canRun;
      queue.dueMs = hasMore ? 0 : Number.POSITIVE_INFINITY;
      // Caches are invalidated before anyone hears of the commit.
      this.#options.onCommit(slot);
      this.#options.onBatches(slot, result.batches, result.restarted);
      for (const [index, outcome] of result.outcomes.entries()) taken[index]!.onOutcome(outcome);
      if (!hasMore) this.appendOwn(queue.slot.index);
    } catch (thrown) {
      if (!(thrown instanceof DataPlaneError) || !pausingCodes.has(thrown.code)) throw thrown;
      queue.isFull = thrown.code === 'StorageFull';
      // A slot that has stopped runs again when an operator's entry comes.
      const isRead = slot.log.isEmbedded && slot.log.readableBytes > 0;
      const idleMs = isRead ? 0 : Number.POSITIVE_INFINITY;
      queue.dueMs = queue.isFull ? clock.monotonicMs() + fullRetryMs : idleMs;
      slot.log.takeBack(taken, { status: 'refused', code: thrown.code, message: thrown.message });
    }
  }

  /** What comes meanwhile waits until the slot is woken, or is refused. */
  #awaitChild(queue: SlotQueue): void {
    const { clock } = this.#options;
    const { index, log } = queue.slot;
    queue.dueMs = queue.isFull ? clock.monotonicMs() + fullRetryMs : Number.POSITIVE_INFINITY;
    if (!queue.isFull) return;
    const message = `slot ${index} has split, and its child has no room yet`;
    log.takeBack(log.read(Number.POSITIVE_INFINITY, clock.nowMs()), {
      status: 'refused',
      code: 'StorageFull',
      message,
    });
  }

  /** Appends to a log on a server that this process has opened the slot, until that is there. */
  open(slotIndex: number): void {
    const slot = this.slot(slotIndex);
    const bytes = slot?.own.openedChunk() ?? null;
    if (slot === undefined || bytes === null || this.#isClosed) return;
    const onOutcome = ({ status }: ChunkOutcome): void => {
      if (status === 'refused') void this.#options.clock.sleep(fullRetryMs).then(() => this.open(slotIndex));
    };
    slot.log.append({ bytes, entryCount: 1, withinMs: 0, onOutcome });
  }

  /** Appends to a log on a server what lets a slot that is idle go on by itself. */
  appendOwn(slotIndex: number): void {
    const queue = this.#queueBySlot.get(slotIndex);
    if (queue === undefined) return;
    const { log } = queue.slot;
    if (log.isEmbedded || queue.isOwnPending || this.#isClosed) return;
    const bytes = queue.slot.own.nextChunk();
    if (bytes === null) return;
    queue.isOwnPending = true;
    const onOutcome = ({ status }: ChunkOutcome): void => {
      queue.isOwnPending = false;
      if (status !== 'refused') return this.appendOwn(slotIndex);
      if (!this.#isClosed) void this.#options.clock.sleep(fullRetryMs).then(() => this.appendOwn(slotIndex));
    };
    log.append({ bytes, entryCount: 1, withinMs: 0, onOutcome });
  }

  status(): SlotStatus[] {
    const nowMs = this.#options.clock.nowMs();
    return [...this.#queueBySlot.values()].map(({ slot, isFull }) => ({
      slot: slot.index,
      cursor: slot.cursor,
      head: slot.head,
      waiting: slot.head - slot.cursor + slot.log.readableEntries,
      outbox: slot.outbox.owedCount,
      deliveredMark: slot.outbox.deliveredMark,
      lastMark: slot.lastMark,
      isContinuing: slot.hasUnapplied || slot.log.problem !== null,
      sentEffects: slot.sentCount,
      receivedEffects: slot.receivedCount,
      lagMs: slot.eventTimes.lastMs === 0 ? null : Math.max(0, nowMs - slot.eventTimes.lastMs),
      bytes: slot.environment.usedBytes,
      owners: slot.state.nextOwner - 1,
      quarantined: slot.quarantine.keptCount,
      suspendedDids: slot.quarantine.suspendedCount,
      state: isFull ? 'full' : slot.quarantine.stoppedMs > 0 ? 'stopped' : 'applying',
      generation: slot.generation,
      condition: slot.condition,
      slots: slot.slots,
      knownSlots: slot.routing.base,
      // One without anything, as a replica that waits for a copy, is not through with a split.
      isDividing: slot.isDividing || slot.cursor === 0,
      messages: slot.log.messages,
      log: slot.log.problem,
      role: slot.own.isReplica ? 'replica' : 'primary',
      acts: slot.own.acts,
      behindMs: slot.log.behindMs(nowMs),
    }));
  }

  slot(slotIndex: number): Slot | undefined {
    return this.#queueBySlot.get(slotIndex)?.slot;
  }

  /** Applies queued chunks, then stops. */
  async close(): Promise<void> {
    while (this.#isRunning) await new Promise((resolve) => setImmediate(resolve));
    for (const queue of this.#queueBySlot.values()) {
      for (let turn = 0; queue.slot.log.readableBytes > 0 && turn < 64 && !queue.isFull; turn++) this.#runSlot(queue);
      queue.dueMs = Number.POSITIVE_INFINITY;
    }
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const queue of this.#queueBySlot.values()) {
      queue.slot.log.close({ status: 'refused', code: 'Unavailable', message: 'the node is stopping' });
      await queue.slot[Symbol.asyncDispose]();
    }
  }
}
