/**
 * A circuit breaker for a node that accepts calls but does not answer them.
 *
 * Owns: the count of consecutive timeouts and the pause. Ignores connection failures, since a link
 * that is down fails its calls itself.
 */

/** This many timeouts in a row open the breaker. */
export const timeoutsInRowMax = 32;
export const breakerPauseMs = 1000;

/** An open breaker admits one trial call per pause, and an answer closes it. */
export class Breaker {
  #timeoutsInRow = 0;
  /** The time of the next trial call, 0 while closed. Units: monotonic ms. */
  #pausedUntilMs = 0;
  #openings = 0;
  #trials = 0;

  /** How often it has opened. */
  get openings(): number {
    return this.#openings;
  }

  /** How many trial calls it has admitted. */
  get trials(): number {
    return this.#trials;
  }

  get isOpen(): boolean {
    return this.#pausedUntilMs > 0;
  }

  admits(nowMs: number): boolean {
    if (this.#pausedUntilMs === 0) return true;
    if (nowMs < this.#pausedUntilMs) return false;
    this.#pausedUntilMs = nowMs + breakerPauseMs;
    this.#trials++;
    return true;
  }

  /** Any answer, even an error, shows that the node is alive. */
  answered(): void {
    this.#timeoutsInRow = 0;
    this.#pausedUntilMs = 0;
  }

  timedOut(nowMs: number): void {
    this.#timeoutsInRow++;
    if (this.#timeoutsInRow < timeoutsInRowMax || this.#pausedUntilMs > 0) return;
    this.#pausedUntilMs = nowMs + breakerPauseMs;
    this.#openings++;
  }
}
