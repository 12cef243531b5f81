/** Runs steps about one DID one after the other, and those about different DIDs side by side. */
type Tail = { promise: Promise<void>; depth: number };

export class DidSequence {
  readonly #tails = new Map<string, Tail>();

  /** How many steps of a DID wait or run. */
  depth(did: string): number {
    return this.#tails.get(did)?.depth ?? 0;
  }

  /** Runs a step, which never rejects, after those before it. */
  run(did: string, step: () => Promise<void>): void {
    const tail = this.#tails.get(did) ?? { promise: Promise.resolve(), depth: 0 };
    this.#tails.set(did, tail);
    tail.depth++;
    tail.promise = tail.promise.then(step).finally(() => {
      if (--tail.depth === 0) this.#tails.delete(did);
    });
  }
}
