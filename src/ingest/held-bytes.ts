/**
 * Counts the bytes that wait in memory, and lets a sender wait while they are too many.
 */
export class HeldBytes {
  readonly #bytesMax: number;
  #bytes = 0;
  #waiters: (() => void)[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  hold(bytes: number): void {
    this.#bytes += bytes;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
    if (this.#bytes < this.#bytesMax) for (const resume of this.#waiters.splice(0)) resume();
  }

  /** Null while there is room; else resolves when there is. */
  waitForRoom(): Promise<void> | null {
    return this.#bytes < this.#bytesMax ? null : new Promise((resolve) => this.#waiters.push(resolve));
  }
}
