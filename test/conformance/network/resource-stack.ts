/** Holds what was started, to be stopped in the opposite order; Node 22 has no `AsyncDisposableStack`. */
export class ResourceStack implements AsyncDisposable {
  readonly #stops: (() => PromiseLike<void> | void)[] = [];

  /** Takes over a resource and gives it back. */
  use<T extends AsyncDisposable>(resource: T): T {
    this.#stops.push(() => resource[Symbol.asyncDispose]());
    return resource;
  }

  /** Remembers how to stop something. */
  defer(stop: () => PromiseLike<void> | void): void {
    this.#stops.push(stop);
  }

  /**
   * Stops everything, the last started first.
   *
   * Errors: throws after all have been stopped, with every error that came up.
   */
  async [Symbol.asyncDispose](): Promise<void> {
    const errors: unknown[] = [];
    for (const stop of this.#stops.splice(0).reverse()) {
      try {
        await stop();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'not everything could be stopped');
  }
}
