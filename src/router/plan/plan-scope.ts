/**
 * One run of a plan: what it may take, and what it has taken until it ends.
 *
 * Owns: that items and memory which a run took are given back, once.
 */
import type { Clock } from '../../base/clock.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { Admission } from './admission.ts';
import type { AnswerMemory } from './answer-memory.ts';
import type { FairQueue } from './fair-queue.ts';
import type { FanOut } from './fan-out.ts';
import type { IdentitySource } from './identity-source.ts';
import type { PlanContext } from './plan.ts';

/** What all runs of a router share. */
export type ScopeParts = {
  readonly admission: Admission;
  readonly queue: FairQueue;
  readonly memory: AnswerMemory;
  readonly identity: IdentitySource;
  readonly clock: Clock;
  readonly wrote: () => void;
};

/** Hot: one is made for each request. */
export class PlanScope implements PlanContext {
  /** Whom to ask; another one when the plan runs again. */
  fanOut: FanOut;
  readonly deadlineMs: number;
  /** Items that were admitted, and those of them that stand for parts of an answer. */
  #items = 0;
  #itemsOfParts = 0;
  readonly caller: string;
  readonly #of: ScopeParts;
  /** Items that did not wait for their turn, and are not answered. */
  #itemsBegun = 0;
  #bytes = 0;
  #isEnded = false;

  constructor(of: ScopeParts, caller: string, fanOut: FanOut, deadlineMs: number) {
    this.#of = of;
    this.caller = caller;
    this.fanOut = fanOut;
    this.deadlineMs = deadlineMs;
  }

  get identity(): IdentitySource {
    return this.#of.identity;
  }

  nowMs(): number {
    return this.#of.clock.nowMs();
  }

  remainingMs(): number {
    return Math.max(1, this.deadlineMs - this.#of.clock.monotonicMs());
  }

  admitForTurns(items: number): void {
    this.#requireNotEnded();
    this.#of.admission.take(this.caller, items);
    this.#items += items;
  }

  admit(items: number): void {
    this.admitForTurns(items);
    this.#of.queue.began(items);
    this.#itemsBegun += items;
  }

  admitParts(items: number): void {
    this.admitForTurns(items);
    this.#itemsOfParts += items;
  }

  /** Items that the request asked for. */
  get itemsAsked(): number {
    return this.#items - this.#itemsOfParts;
  }

  hold(bytes: number): void {
    this.#requireNotEnded();
    this.#of.memory.take(this.caller, bytes);
    this.#bytes += bytes;
  }

  inTurn<Answer>(items: number, ask: () => Promise<Answer> | Answer): Promise<Answer> {
    // What began is answered. Still counted, it would have requests wait for one another.
    this.#endBegun();
    return this.#of.queue.runPart(this.caller, items, this.deadlineMs, ask);
  }

  wrote(): void {
    this.#of.wrote();
  }

  /** Gives back what was taken. Must be called once. */
  end(): void {
    const { admission, memory } = this.#of;
    this.#isEnded = true;
    admission.release(this.caller, this.#items);
    this.#endBegun();
    if (this.#bytes > 0) memory.release(this.caller, this.#bytes);
  }

  /** A plan that asks for two things ends when one fails, and the other one goes on. */
  #requireNotEnded(): void {
    if (this.#isEnded) throw new DataPlaneError('Aborted', 'the request has ended');
  }

  #endBegun(): void {
    if (this.#itemsBegun > 0) this.#of.queue.ended(this.#itemsBegun);
    this.#itemsBegun = 0;
  }
}
