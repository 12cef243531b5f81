/**
 * Reads a slot of this node through, for a comparison with the copies of other nodes.
 *
 * Owns: the reading, one at a time, and its end: when it is said to be needed no more, when nobody
 * has asked for it for a while, when the node stops. Until then it has the rows as they
 * were, so that those that differ from another copy's can be named. Serving and apply go on.
 */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import {
  type CopyReading,
  type GroupsAsked,
  type GroupsRead,
  type VerifyAction,
  verifyAnswer,
  verifyRequest,
} from '../wire/slot-verify.ts';
import { slotPath } from './data-folder.ts';
import { beginAttempt } from './slot-attempts.ts';
import { SpareThreads } from './spare-threads.ts';
import { type FromVerifyThread, type VerifyTask, verifyOrders } from './verify-task.ts';

export type SlotVerifierOptions = {
  readonly dataDir: string;
  readonly slotMapBytes: number;
  readonly hasSlot: (slot: number) => boolean;
  readonly clock: Clock;
};

/** A reading that nobody asks for is given up: it keeps pages from being reused. */
const idleMsMax = 20_000;
const checkMs = 2_000;
/** A comparison asks for sums, and then for rows. */
const questionsMax = 4;

type VerifyThreads = SpareThreads<VerifyTask, FromVerifyThread>;

/** One task, from its first look at a slot to the digest. */
class Reading {
  readonly slot: number;
  readonly #send: (asked: GroupsAsked) => void;
  readonly #order = new Int32Array(new SharedArrayBuffer(4));
  readonly #rowsDone = new BigInt64Array(new SharedArrayBuffer(8));
  #opened = Promise.withResolvers<void>();
  #seen = { generation: 0, seq: 0, rows: 0 };
  #digest: string | null = null;
  /** What was asked of groups, as text, and what that is; null until it is there. */
  readonly #groupsByAsked = new Map<string, GroupsRead | null>();
  #damage = '';
  readonly #endAttempt: () => void;
  #hasEnded = false;
  readonly #exit = Promise.withResolvers<void>();
  askedMs = 0;

  constructor(slot: number, { dataDir, slotMapBytes: mapBytes }: SlotVerifierOptions, threads: VerifyThreads) {
    this.slot = slot;
    this.#endAttempt = beginAttempt(dataDir, slot, 'read');
    const task = { slot, path: slotPath(dataDir, slot), mapBytes, order: this.#order, rowsDone: this.#rowsDone };
    this.#send = threads.begin(task, {
      onMessage: (message) => this.#on(message),
      onEnd: (failure) => {
        if (failure !== null) this.#damage = failure.message;
        this.#endAttempt();
        this.#hasEnded = true;
        this.#opened.resolve();
        this.#exit.resolve();
      },
    });
  }

  #on(message: FromVerifyThread): void {
    if (message.type === 'read') {
      this.#digest = message.digest;
      this.#endAttempt();
    } else if (message.type === 'groups') {
      this.#groupsByAsked.set(JSON.stringify(message.asked), message.groups);
    } else {
      const { type: _type, ...seen } = message;
      this.#seen = seen;
      this.#opened.resolve();
    }
  }

  #tell(order: number): void {
    Atomics.store(this.#order, 0, order);
    Atomics.notify(this.#order, 0);
  }

  /** Errors: DataPlaneError `Aborted` where it was given up. */
  async do(action: VerifyAction, isFirst: boolean): Promise<CopyReading> {
    if (action === 'open' && !isFirst && !this.#hasEnded) {
      this.#opened = Promise.withResolvers();
      this.#tell(verifyOrders.open);
    }
    await this.#opened.promise;
    if (action === 'read') this.#tell(verifyOrders.read);
    if (this.#hasEnded && this.#digest === null && this.#damage === '')
      throw new DataPlaneError('Aborted', `the reading of slot ${this.slot} was given up`);
    const rowsDone = Number(Atomics.load(this.#rowsDone, 0));
    return { ...this.#seen, rowsDone, digest: this.#digest, damage: this.#damage, groups: null };
  }

  /** Returns what is asked of groups, or null until that is there. Errors: DataPlaneError. */
  groups(asked: GroupsAsked): GroupsRead | null {
    if (this.#hasEnded || this.#digest === null)
      throw new DataPlaneError('Aborted', `slot ${this.slot} is not read through, so its rows cannot be named`);
    const text = JSON.stringify(asked);
    const known = this.#groupsByAsked.get(text);
    if (known !== undefined) return known;
    if (this.#groupsByAsked.size >= questionsMax)
      throw new DataPlaneError('ResourceExhausted', `slot ${this.slot}: rows of other groups were asked for before`, {
        hint: 'Compare the copies anew.',
      });
    this.#groupsByAsked.set(text, null);
    this.#send(asked);
    this.#tell(verifyOrders.groups);
    return null;
  }

  async end(): Promise<void> {
    this.#tell(verifyOrders.end);
    await this.#exit.promise;
  }
}

export class SlotVerifier implements AsyncDisposable {
  readonly #options: SlotVerifierOptions;
  readonly #threads: VerifyThreads = new SpareThreads(
    new URL('./verify-thread.ts', import.meta.url),
    'skyshard-verify',
  );
  readonly #timer: NodeJS.Timeout;
  #reading: Reading | null = null;

  constructor(options: SlotVerifierOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#endIdle(), checkMs);
    this.#timer.unref();
  }

  /** Errors: DataPlaneError `WrongEpoch`, `Unavailable`, or those of the reading. */
  readonly handler: CallHandler = async (payload) => {
    const { slot, action, groups } = verifyRequest.decode(payload);
    return verifyAnswer.encode(await this.#do(slot, action, groups));
  };

  async #do(slot: number, action: VerifyAction, asked: GroupsAsked | null): Promise<CopyReading> {
    const { hasSlot, clock } = this.#options;
    if (!hasSlot(slot)) throw new DataPlaneError('WrongEpoch', `slot ${slot} is not served here`);
    const before = this.#reading;
    if (before !== null && before.slot !== slot)
      throw new DataPlaneError('Unavailable', `this node reads slot ${before.slot} through, and one at a time`, {
        hint: `It ends with its comparison, or ${idleMsMax / 1000} s after that was interrupted.`,
      });
    if (before === null && action !== 'open')
      throw new DataPlaneError('NotFound', `the reading of slot ${slot} has ended`, { hint: 'Begin it again.' });
    const reading = before ?? new Reading(slot, this.#options, this.#threads);
    this.#reading = reading;
    reading.askedMs = clock.monotonicMs();
    try {
      const read = await reading.do(action, before === null);
      return asked === null || action !== 'groups' ? read : { ...read, groups: reading.groups(asked) };
    } catch (thrown) {
      await this.#end(reading);
      throw thrown;
    } finally {
      if (action === 'end') await this.#end(reading);
    }
  }

  /** Ends the reading of a slot that this node gives up. */
  async leave(slots: readonly number[]): Promise<void> {
    if (this.#reading !== null && slots.includes(this.#reading.slot)) await this.#end(this.#reading);
  }

  async #endIdle(): Promise<void> {
    const reading = this.#reading;
    if (reading !== null && this.#options.clock.monotonicMs() - reading.askedMs > idleMsMax) await this.#end(reading);
  }

  async #end(reading: Reading): Promise<void> {
    if (this.#reading === reading) this.#reading = null;
    await reading.end();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#timer);
    if (this.#reading !== null) await this.#end(this.#reading);
    await this.#threads[Symbol.asyncDispose]();
  }
}
