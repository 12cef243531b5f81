/** When the events happened that a slot applies; those of a transaction until it is on disk. */

/** Of one transaction; the times of more are left out. */
const keptMax = 10_000;

/** Units: ms since 1970. */
export class EventTimes {
  #times: number[] = [];
  /** Of the last entry from outside since opening; 0 before the first. */
  lastMs = 0;

  add(eventMs: number): void {
    this.lastMs = eventMs;
    if (this.#times.length < keptMax) this.#times.push(eventMs);
  }

  /** Drops what an aborted transaction left. */
  reset(): void {
    this.#times = [];
  }

  /** Returns the times since the last call. */
  take(): readonly number[] {
    const times = this.#times;
    this.#times = [];
    return times;
  }
}
