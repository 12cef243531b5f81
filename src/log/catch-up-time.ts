/**
 * Up to when a reader of a log on a server has all that there was.
 *
 * Owns: what silence means. The server says once a second that there is nothing more; after longer,
 * what it has is not known.
 */

/** Between two signs and three. */
const silentAfterMs = 2_500;

export class CatchUpTime {
  #heardMs = 0;
  #caughtUpMs: number;

  /** Takes when the server took what is applied; 0 for nothing. */
  constructor(appliedMs: number) {
    this.#caughtUpMs = appliedMs;
  }

  /** The server was heard of. */
  heard(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  /**
   * Returns for how long the reader has not had all that there was. `oldestMs`: what waits is no
   * older; null where nothing does. Without a server that is read, nothing new is known. Units: ms.
   */
  behindMs(nowMs: number, isReading: boolean, oldestMs: number | null): number {
    // A clock that was set looks like a silence, until the server is heard of again.
    const isSilent = Math.abs(nowMs - this.#heardMs) > silentAfterMs;
    const silentMs = Math.min(this.#heardMs, nowMs);
    if (isReading && oldestMs !== null) this.#caughtUpMs = Math.max(this.#caughtUpMs, oldestMs - 1);
    else if (isReading) this.#caughtUpMs = isSilent ? Math.max(this.#caughtUpMs, silentMs) : nowMs;
    return Math.max(0, nowMs - this.#caughtUpMs);
  }
}
