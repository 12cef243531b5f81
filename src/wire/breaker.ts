/**
 * Stops calls to a node that takes them and does not answer, until a single trial call shows that
 * it does again.
 *
 * Owns: the count of consecutive time-outs and the pause. Connection failures are not its matter: a
 * link that is down fails its calls by itself.
 */

/** So many calls in a row that ran into their deadline open the breaker. */
export const timeoutsInRowMax = 32;
/** How long an open breaker refuses before it lets one trial call through. Units: milliseconds. */
export const breakerPauseMs = 1000;

/** Closed until time-outs come in a row; open, it admits one trial a pause. */
export class Breaker {
  #timeoutsInRow = 0;
  /** Monotonic time at which a trial may go; 0 while the breaker is closed. */
  #pausedUntilMs = 0;

  get isOpen(): boolean {
    return this.#pausedUntilMs > 0;
  }

  /** Returns whether a call may go now. An open breaker admits one trial a pause. */
  admits(nowMs: number): boolean {
    if (this.#pausedUntilMs === 0) return true;
    if (nowMs < this.#pausedUntilMs) return false;
    this.#pausedUntilMs = nowMs + breakerPauseMs;
    return true;
  }

  /** Any answer, an error included, shows that the node is alive. */
  answered(): void {
    this.#timeoutsInRow = 0;
    this.#pausedUntilMs = 0;
  }

  timedOut(nowMs: number): void {
    this.#timeoutsInRow++;
    if (this.#timeoutsInRow >= timeoutsInRowMax && this.#pausedUntilMs === 0)
      this.#pausedUntilMs = nowMs + breakerPauseMs;
  }
}
