/**
 * Admission by items in flight: of all requests, and of each caller's.
 *
 * A request over a limit is refused at once with `ResourceExhausted`, which the official client
 * does not retry.
 */
import { DataPlaneError } from '../../base/data-plane-error.ts';

/** Units: items. A request counts as `weight.ts` says, and each key in it as one more. */
export type AdmissionLimits = {
  readonly itemsInFlightMax: number;
  readonly itemsInFlightOfCallerMax: number;
};

/** About 400 requests for 100 records each, of which one caller may have three quarters. */
export const defaultAdmissionLimits: AdmissionLimits = { itemsInFlightMax: 40_000, itemsInFlightOfCallerMax: 30_000 };

/** Counts the items in flight. */
export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #itemsByCaller = new Map<string, number>();
  #items = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
  }

  get itemsInFlight(): number {
    return this.#items;
  }

  /** Admits all items or, past a limit, none. Errors: `ResourceExhausted` naming the limit. */
  take(caller: string, items: number): void {
    if (this.#items + items > this.#limits.itemsInFlightMax) {
      throw new DataPlaneError(
        'ResourceExhausted',
        `${items} more items would pass itemsInFlightMax = ${this.#limits.itemsInFlightMax}`,
      );
    }
    const ofCaller = (this.#itemsByCaller.get(caller) ?? 0) + items;
    const max = this.#limits.itemsInFlightOfCallerMax;
    if (ofCaller > max) {
      throw new DataPlaneError('ResourceExhausted', `${items} more items would pass itemsInFlightOfCallerMax = ${max}`);
    }
    this.#items += items;
    this.#itemsByCaller.set(caller, ofCaller);
  }

  release(caller: string, items: number): void {
    this.#items -= items;
    const left = (this.#itemsByCaller.get(caller) ?? 0) - items;
    if (left > 0) this.#itemsByCaller.set(caller, left);
    else this.#itemsByCaller.delete(caller);
  }
}
