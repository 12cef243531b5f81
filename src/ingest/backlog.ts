/**
 * Counts what waits in memory, items and their bytes, and lets senders wait for capacity.
 */
export type BacklogLimits = { readonly items: number; readonly bytes: number };

export class Backlog {
  readonly #limits: BacklogLimits;
  #items = 0;
  #bytes = 0;
  #waiters: (() => void)[] = [];

  constructor(limits: BacklogLimits) {
    this.#limits = limits;
  }

  get items(): number {
    return this.#items;
  }

  /** False while senders must pause. */
  get hasCapacity(): boolean {
    return this.#items < this.#limits.items && this.#bytes < this.#limits.bytes;
  }

  /** Null while there is capacity; else resolves when there is. */
  waitForCapacity(): Promise<void> | null {
    return this.hasCapacity ? null : new Promise((resolve) => this.#waiters.push(resolve));
  }

  /** Adds one item. */
  add(bytes: number): void {
    this.#items++;
    this.#bytes += bytes;
  }

  /** Removes one item. */
  remove(bytes: number): void {
    this.#items--;
    this.#bytes -= bytes;
    if (this.hasCapacity) for (const resume of this.#waiters.splice(0)) resume();
  }
}
