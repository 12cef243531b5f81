/**
 * How many items nodes answer in a ms, as a router sees it: it tells how long others will wait.
 */

/** What is counted in one go: a node may well stand still for half as long. Units: ms. */
export const rateWindowMs = 250;

export class ServedRate {
  #startMs: number;
  #items = 0;
  /** Half of it is of the last window, a quarter of the one before, and so on. */
  #perMs = 0;

  constructor(nowMs: number) {
    this.#startMs = nowMs;
  }

  add(items: number): void {
    this.#items += items;
  }

  /** Units: items a ms. */
  at(nowMs: number): number {
    const passedMs = nowMs - this.#startMs;
    if (passedMs < rateWindowMs) return this.#perMs;
    this.#perMs = (this.#perMs + this.#items / passedMs) / 2;
    this.#items = 0;
    this.#startMs = nowMs;
    return this.#perMs;
  }
}
