/**
 * The main thread's end of one apply thread: requests by id over the message port.
 *
 * Owns: the worker. When it dies, all pending requests fail and `onDeath` is called, since a node
 * without its writer must stop.
 */
import { Worker } from 'node:worker_threads';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { invariant } from '../base/invariant.ts';
import type { Interval } from '../metrics/recording.ts';
import type { SlotProgress } from '../search/index-writer.ts';
import type { SlotChanges } from '../slot/table/slot-state.ts';
import type { SlotCompaction } from '../wire/slot-compaction.ts';
import type {
  ApplyStatus,
  ApplyThreadOptions,
  FromApplyThread,
  QuarantineNotice,
  ToApplyThread,
} from './apply-messages.ts';
import { errorOfThread } from './thread-error.ts';

/** `onDeath` is not called for an end that was requested. */
export type ApplyLinkOptions = ApplyThreadOptions & {
  readonly onChange: (slot: number, changes: SlotChanges) => void;
  readonly onQuarantine: (slot: number, failure: QuarantineNotice) => void;
  readonly onDeath: (error: Error) => void;
  readonly onNewerEpoch: (epoch: number) => void;
  readonly onActing: (slot: number, acts: boolean) => void;
  /** Called once a slot has applied a split, which any process may have appended. */
  readonly onAwaitsChild: (slot: number) => void;
  /** Called for a replica whose log has lost what it needs next. */
  readonly onGone: (slot: number) => void;
  readonly onBehind: (slots: ReadonlySet<number>, behindMsBySlot: ReadonlyMap<number, number>) => void;
  /** Called when another process has opened a slot that is this node's by its map. */
  readonly onReplaced: (slot: number) => void;
  readonly onInterval: (interval: Interval) => void;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
};

type Waiting = { readonly resolve: (message: FromApplyThread) => void; readonly reject: (error: Error) => void };

export class ApplyLink implements AsyncDisposable {
  readonly #slots: Set<number>;
  readonly #worker: Worker;
  readonly #waitingById = new Map<number, Waiting>();
  readonly #ready: Promise<void>;
  readonly #ended: Promise<void>;
  #nextId = 1;
  #isClosing = false;

  constructor(options: ApplyLinkOptions) {
    const {
      onChange,
      onQuarantine,
      onDeath,
      onNewerEpoch,
      onActing,
      onAwaitsChild,
      onBehind,
      onGone,
      onReplaced,
      onInterval,
      note,
      ...threadOptions
    } = options;
    this.#slots = new Set(options.slots);
    this.#worker = new Worker(new URL('./apply-thread.ts', import.meta.url), {
      workerData: threadOptions,
      transferList: [...threadOptions.feeds.ports],
      name: 'skyshard-apply',
    });
    const ready = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    this.#ready = ready.promise;
    this.#ended = ended.promise;
    const die = (error: Error): void => {
      for (const { reject } of this.#waitingById.values())
        reject(new DataPlaneError('Unavailable', 'the apply thread has ended', { cause: error }));
      this.#waitingById.clear();
      ready.reject(error);
      ended.resolve();
      if (!this.#isClosing) onDeath(error);
    };
    this.#worker.on('message', (message: FromApplyThread) => {
      if (message.type === 'ready') return ready.resolve();
      if (message.type === 'changed') return onChange(message.slot, message.changes);
      if (message.type === 'quarantined') return onQuarantine(message.slot, message.failure);
      if (message.type === 'interval') return onInterval(message.interval);
      if (message.type === 'note') return note(message.message, message.fields);
      if (message.type === 'epoch') return onNewerEpoch(message.epoch);
      if (message.type === 'acting') return onActing(message.slot, message.acts);
      if (message.type === 'awaits-child') return onAwaitsChild(message.slot);
      if (message.type === 'gone') return onGone(message.slot);
      if (message.type === 'behind') return onBehind(this.#slots, message.behindMsBySlot);
      if (message.type === 'replaced') return onReplaced(message.slot);
      this.#waitingById.get(message.id)?.resolve(message);
      this.#waitingById.delete(message.id);
    });
    this.#worker.on('error', (error) => die(errorOfThread('the apply thread', error)));
    this.#worker.on('exit', (code) => die(new Error(`the apply thread ended with code ${code}`)));
    this.#ready.catch(() => {});
  }

  /** Those whose writer is this thread, and which all threads have open. */
  get slots(): ReadonlySet<number> {
    return this.#slots;
  }

  /** Resolves once the thread has opened its slots. */
  ready(): Promise<void> {
    return this.#ready;
  }

  #send(message: ToApplyThread, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #ask(make: (id: number) => ToApplyThread, transfer: ArrayBuffer[] = []): Promise<FromApplyThread> {
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      if (this.#isClosing) return reject(new DataPlaneError('Unavailable', 'the node is stopping'));
      this.#waitingById.set(id, { resolve, reject });
      this.#send(make(id), transfer);
    });
  }

  /**
   * Appends chunks to slots of this thread. `payload` is the checked one of `slot.append`, and is
   * copied before this returns. `isUrgent` skips the linger.
   *
   * Returns: the answer of `slot.append`, once every chunk is applied and durable, or refused.
   */
  async append(payload: Uint8Array, isUrgent: boolean): Promise<Uint8Array> {
    const copy = new Uint8Array(payload);
    const answer = await this.#ask((id) => ({ type: 'append', id, payload: copy, isUrgent }), [copy.buffer]);
    invariant(answer.type === 'appended', 'an append is answered by its outcomes');
    return answer.answer;
  }

  /** Gives the thread a newer map. */
  useMap(mapJson: unknown): void {
    this.#send({ type: 'map', mapJson });
  }

  async status(): Promise<ApplyStatus> {
    const answer = await this.#ask((id) => ({ type: 'status', id }));
    invariant(answer.type === 'status', 'a status is answered by one');
    return answer.status;
  }

  /** Returns the digest of a slot and the last seq that it covers. */
  async digest(slot: number): Promise<{ seq: number; digest: string }> {
    const answer = await this.#ask((id) => ({ type: 'digest', id, slot }));
    return answer.type === 'digest' ? { seq: answer.seq, digest: answer.digest } : { seq: 0, digest: '' };
  }

  /** Says what of the queues of slots of this thread the search index has durably. */
  searchIndexed(slots: readonly SlotProgress[]): void {
    if (!this.#isClosing) this.#send({ type: 'search-indexed', slots });
  }

  /** Has the thread open more slots. Resolves once they can be read. */
  async open(slots: readonly number[]): Promise<void> {
    await this.#ask((id) => ({ type: 'open-slots', id, slots }));
  }

  /** Has the thread close slots, of which nothing is asked from now on. Resolves once it has. */
  async leave(slots: readonly number[]): Promise<void> {
    for (const slot of slots) this.#slots.delete(slot);
    await this.#ask((id) => ({ type: 'leave-slots', id, slots }));
  }

  /**
   * Has a slot of this thread split, and the files of its child made at `childPath`.
   *
   * Errors: see `splitSlot`.
   */
  async split(slot: number, slots: number, childPath: string): Promise<void> {
    const answer = await this.#ask((id) => ({ type: 'split', id, slot, slots, childPath }));
    invariant(answer.type === 'split-done', 'a split is answered by its end');
    if (answer.failure === null) return;
    const { code, message, hint } = answer.failure;
    throw new DataPlaneError(code, message, { hint });
  }

  /** Lets slots go on that have split, whose children all threads read. */
  childrenAreRead(slots: readonly number[]): void {
    this.#send({ type: 'children-read', slots });
  }

  /** Lets the thread compact its slots, whose readers are all open; `slots` of them are new. */
  readersAreOpen(slots: readonly number[] = []): void {
    for (const slot of slots) this.#slots.add(slot);
    this.#send({ type: 'readers-open' });
  }

  /** Begins the compaction of a slot of this thread, or looks at it. */
  async compact(slot: number, action: 'begin' | 'look'): Promise<SlotCompaction> {
    const answer = await this.#ask((id) => ({ type: 'compact', id, slot, action }));
    invariant(answer.type === 'compaction', 'a compaction is answered by how far it is');
    return answer.compaction;
  }

  /** Applies queued chunks, closes the slots, and ends the thread. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosing = true;
    this.#send({ type: 'close' });
    await this.#ended;
  }
}
