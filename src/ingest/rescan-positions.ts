/**
 * How far the sources that a repair reads again have been read: durable, so that neither a failure
 * nor a restart begins at the beginning.
 */
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';

export type StoredPositions = {
  /** By source: everything up to it (inclusive) is durable in the log. */
  readonly positions: Readonly<Record<string, number>>;
  /** Sources of which nothing is left. */
  readonly done: readonly string[];
};

const storeEveryMs = 2_000;

export class RescanPositions {
  readonly #positions: Map<string, number>;
  readonly #done: Set<string>;
  /** Up to where sources are read that are being read. */
  readonly #untilBySource = new Map<string, number>();
  readonly #store: (stored: StoredPositions) => Promise<void>;
  readonly #clock: Clock;
  #storedMs = Number.NEGATIVE_INFINITY;

  constructor(stored: StoredPositions, store: (stored: StoredPositions) => Promise<void>, clock: Clock) {
    this.#positions = new Map(Object.entries(stored.positions));
    this.#done = new Set(stored.done);
    this.#store = store;
    this.#clock = clock;
  }

  /** Returns where to go on with a source, 0 for its beginning. */
  of(source: string): number {
    return this.#positions.get(source) ?? 0;
  }

  isDone(source: string): boolean {
    return this.#done.has(source);
  }

  /** What is not over yet, in words. */
  get waitsFor(): string[] {
    return [...this.#untilBySource].map(([source, until]) => `${source}, read to ${this.of(source)} of ${until}`);
  }

  /** Notes up to where a source is read. */
  expect(source: string, until: number): void {
    this.#untilBySource.set(source, until);
  }

  /** Notes that a source is durable up to `position`, of what is read up to `until`. */
  async reach(source: string, position: number, until: number): Promise<void> {
    this.#positions.set(source, position);
    this.expect(source, until);
    if (this.#clock.monotonicMs() - this.#storedMs < storeEveryMs) return;
    // An older position does no harm.
    await this.#write().catch(operatingFailure);
  }

  /** Notes that a source is over. Returns: once durable. */
  async finish(source: string): Promise<void> {
    this.#done.add(source);
    this.stopWaiting(source);
    await this.#write();
  }

  /** Waits for a source no longer; what was reached of it stays. */
  stopWaiting(source: string): void {
    this.#untilBySource.delete(source);
  }

  async #write(): Promise<void> {
    this.#storedMs = this.#clock.monotonicMs();
    await this.#store({ positions: Object.fromEntries(this.#positions), done: [...this.#done] });
  }
}
