/**
 * Admission counts what a request asks for, not requests.
 *
 * Owns: how many items are in flight in all and for each caller. Past a limit a request is refused
 * at once with `ResourceExhausted`, which the official client does not repeat.
 */
import { DataPlaneError } from '../../base/data-plane-error.ts';

/**
 * Limits of what a router has in flight at one time. Units: items; a request is one, and each thing
 * it asks for one more.
 */
export type AdmissionLimits = {
  readonly itemsInFlightMax: number;
  readonly itemsInFlightOfCallerMax: number;
};

/**
 * The defaults: about 400 requests for 100 records each, of which one caller may have three
 * quarters.
 */
export const defaultAdmissionLimits: AdmissionLimits = { itemsInFlightMax: 40_000, itemsInFlightOfCallerMax: 30_000 };

/** What is in flight. */
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

  /**
   * Admits `items`. Errors: DataPlaneError `ResourceExhausted` naming the limit; then nothing is
   * admitted.
   */
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

  /** Gives back what was taken. */
  release(caller: string, items: number): void {
    this.#items -= items;
    const left = (this.#itemsByCaller.get(caller) ?? 0) - items;
    if (left > 0) this.#itemsByCaller.set(caller, left);
    else this.#itemsByCaller.delete(caller);
  }
}
