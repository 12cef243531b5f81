/** Stops resources in reverse order of their start; Node 22 has no `AsyncDisposableStack`. */
export class ResourceStack implements AsyncDisposable {
  readonly #stops: (() => unknown)[] = [];

  /** Takes ownership of a resource. Returns: the same resource. */
  use<T extends AsyncDisposable>(resource: T): T {
    this.#stops.push(() => resource[Symbol.asyncDispose]());
    return resource;
  }

  /** Adds a function that stops something. */
  defer(stop: () => unknown): void {
    this.#stops.push(stop);
  }

  /**
   * Stops everything, the last started first.
   *
   * Errors: throws all errors, after all have been stopped.
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
