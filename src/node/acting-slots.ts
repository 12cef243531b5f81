/** For which slots this node acts, as their primary whose session the log has. */
export class ActingSlots {
  readonly #acting = new Set<number>();
  #waiters: (() => void)[] = [];

  has(slot: number): boolean {
    return this.#acting.has(slot);
  }

  set(slot: number, acts: boolean): void {
    if (acts) this.#acting.add(slot);
    else this.#acting.delete(slot);
    for (const resume of this.#waiters.splice(0)) resume();
  }

  /** Resolves once this node acts for all of these slots, or when `signal` aborts. */
  async until(slots: () => readonly number[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !slots().every((slot) => this.#acting.has(slot))) {
      await new Promise<void>((resolve) => {
        this.#waiters.push(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  }
}
