/**
 * A circuit breaker for a node that accepts calls but does not answer them.
 *
 * It opens for one of two reasons. The node is silent: it sends nothing, not even the answer to a
 * ping, while calls wait; then any sign of life closes it, and no call is spent on trying. Or its
 * calls time out although it is alive; then one trial call is admitted each pause, and an answer
 * closes it.
 *
 * Owns: the count of consecutive timeouts and the pause. Ignores connection failures, since a link
 * that is down fails its calls itself.
 */

/** This many timeouts in a row open the breaker. */
export const timeoutsInRowMax = 32;
export const breakerPauseMs = 1000;

export class Breaker {
  #isSilent = false;
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
    return this.#isSilent || this.#pausedUntilMs > 0;
  }

  admits(nowMs: number): boolean {
    if (this.#isSilent) return false;
    if (this.#pausedUntilMs === 0) return true;
    if (nowMs < this.#pausedUntilMs) return false;
    this.#pausedUntilMs = nowMs + breakerPauseMs;
    this.#trials++;
    return true;
  }

  /** A call was answered, by an error or not. */
  answered(): void {
    this.#isSilent = false;
    this.#timeoutsInRow = 0;
    this.#pausedUntilMs = 0;
  }

  /** The node answered a ping. */
  ponged(): void {
    this.#isSilent = false;
  }

  /** The node did not answer a ping while calls wait. */
  fellSilent(): void {
    if (!this.isOpen) this.#openings++;
    this.#isSilent = true;
  }

  timedOut(nowMs: number): void {
    this.#timeoutsInRow++;
    if (this.#timeoutsInRow < timeoutsInRowMax || this.#pausedUntilMs > 0) return;
    if (!this.isOpen) this.#openings++;
    this.#pausedUntilMs = nowMs + breakerPauseMs;
  }
}
