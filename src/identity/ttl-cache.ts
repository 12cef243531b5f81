/** A bounded cache whose entries age: past `entriesMax` the longest unused goes first. */
import type { Clock } from '../base/clock.ts';

type Cached<Value> = { readonly value: Value; readonly cachedAtMs: number };

export class TtlCache<Value> {
  readonly #clock: Clock;
  readonly #ttlMs: number;
  readonly #entriesMax: number;
  // Ordered by last use: a hit is taken out and put back at the end.
  readonly #cachedByKey = new Map<string, Cached<Value>>();

  constructor(clock: Clock, options: { readonly ttlMs: number; readonly entriesMax: number }) {
    this.#clock = clock;
    this.#ttlMs = options.ttlMs;
    this.#entriesMax = options.entriesMax;
  }

  get size(): number {
    return this.#cachedByKey.size;
  }

  /** Returns the value unless it is older than the time to live. */
  get(key: string): Value | undefined {
    const cached = this.#cachedByKey.get(key);
    if (cached === undefined) return undefined;
    this.#cachedByKey.delete(key);
    if (this.#clock.monotonicMs() - cached.cachedAtMs > this.#ttlMs) return undefined;
    this.#cachedByKey.set(key, cached);
    return cached.value;
  }

  set(key: string, value: Value): void {
    this.#cachedByKey.delete(key);
    this.#cachedByKey.set(key, { value, cachedAtMs: this.#clock.monotonicMs() });
    if (this.#cachedByKey.size <= this.#entriesMax) return;
    for (const oldest of this.#cachedByKey.keys()) {
      this.#cachedByKey.delete(oldest);
      break;
    }
  }

  delete(key: string): void {
    this.#cachedByKey.delete(key);
  }
}
