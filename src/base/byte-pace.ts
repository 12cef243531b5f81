/** How fast bytes may be moved: whoever moves some waits for as long as they may take. */
import type { Clock } from './clock.ts';

/** Whoever gives bytes gives up one who does not ask for a minute. */
const partSecondsMax = 5;
const partBytesMin = 4_096;

export class BytePace {
  #bytesPerSecond: number;
  readonly #clock: Clock;
  /** When what was moved so far may have arrived, monotonic. */
  #freeMs: number;

  /** Units: bytes per second; null for no limit. */
  constructor(bytesPerSecond: number | null, clock: Clock) {
    this.#bytesPerSecond = bytesPerSecond ?? Number.POSITIVE_INFINITY;
    this.#clock = clock;
    this.#freeMs = clock.monotonicMs();
  }

  /** Sets the limit from now on. Units: bytes per second; null for none. */
  setLimit(bytesPerSecond: number | null): void {
    this.#bytesPerSecond = bytesPerSecond ?? Number.POSITIVE_INFINITY;
  }

  /** What may be asked for at once, so that it is there within some seconds. Units: bytes. */
  get partBytesMax(): number {
    return Math.max(partBytesMin, Math.floor(this.#bytesPerSecond * partSecondsMax));
  }

  /** Resolves once so many more bytes fit the limit. What was not used earlier is not saved. */
  async pass(bytes: number, signal: AbortSignal): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    this.#freeMs = Math.max(this.#freeMs, nowMs) + (1000 * bytes) / this.#bytesPerSecond;
    if (this.#freeMs > nowMs) await this.#clock.sleep(this.#freeMs - nowMs, signal);
  }
}
