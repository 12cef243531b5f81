/**
 * Admission by items in flight: of all requests, and of each caller's.
 *
 * A request over a limit is refused at once with `ResourceExhausted`, which the official client
 * does not retry.
 */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { type AnswerMemoryLimits, answerMemoryDefaults } from './answer-memory.ts';
import type { QueueLimits } from './fair-queue.ts';
import { type HedgeLimits, hedgeLimitDefaults } from './hedges.ts';

/** Units: items. A request counts as `weight.ts` says, and each key in it as one more. */
export type AdmissionLimits = {
  readonly itemsInFlightMax: number;
  readonly itemsInFlightOfCallerMax: number;
} & QueueLimits &
  AnswerMemoryLimits &
  HedgeLimits;

/** About 400 requests for 100 records each, of which one caller may have three quarters. */
export const defaultAdmissionLimits: AdmissionLimits = {
  itemsInFlightMax: 40_000,
  itemsInFlightOfCallerMax: 30_000,
  itemsRunningMax: 20_000,
  waitMsMax: 1_000,
  ...answerMemoryDefaults,
  ...hedgeLimitDefaults,
};

type InFlightLimit = 'itemsInFlightMax' | 'itemsInFlightOfCallerMax';

/** Counts the items in flight. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #itemsByCaller = new Map<string, number>();
  readonly #refusals: Record<InFlightLimit, number> = { itemsInFlightMax: 0, itemsInFlightOfCallerMax: 0 };
  #items = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get itemsInFlight(): number {
    return this.#items;
  }

  /** Refused requests. */
  get refusedByLimit(): Readonly<Record<InFlightLimit, number>> {
    return this.#refusals;
  }

  /** Admits all items or, past a limit, none. Errors: `ResourceExhausted` naming the limit. */
  take(caller: string, items: number): void {
    const ofCaller = (this.#itemsByCaller.get(caller) ?? 0) + items;
    if (this.#items + items > this.#limits.itemsInFlightMax) this.#refuse(items, 'itemsInFlightMax');
    if (ofCaller > this.#limits.itemsInFlightOfCallerMax) this.#refuse(items, 'itemsInFlightOfCallerMax');
    this.#items += items;
    this.#itemsByCaller.set(caller, ofCaller);
  }

  #refuse(items: number, limit: InFlightLimit): never {
    this.#refusals[limit]++;
    throw new DataPlaneError('ResourceExhausted', `${items} more items would pass ${limit} = ${this.#limits[limit]}`);
  }

  release(caller: string, items: number): void {
    this.#items -= items;
    const left = (this.#itemsByCaller.get(caller) ?? 0) - items;
    if (left > 0) this.#itemsByCaller.set(caller, left);
    else this.#itemsByCaller.delete(caller);
  }
}
