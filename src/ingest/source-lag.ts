/** How late a source's events are. */
export class SourceLag {
  #eventMs = 0;
  #arrivalLagMs = 0;

  /** The time of the newest event, never ahead of our clock; 0 before the first. */
  get eventMs(): number {
    return this.#eventMs;
  }

  /** Notes the time of an event on arrival. Returns its lag. Units: ms. */
  note(eventMs: number, nowMs: number): number {
    this.#eventMs = Math.max(0, Math.min(eventMs, nowMs));
    this.#arrivalLagMs = nowMs - this.#eventMs;
    return this.#arrivalLagMs;
  }

  /** Age of the newest event on arrival; while events are unfinished, its age now. */
  lagMs(pendingEvents: number, nowMs: number): number | null {
    if (this.#eventMs === 0) return null;
    return pendingEvents === 0 ? this.#arrivalLagMs : Math.max(0, nowMs - this.#eventMs);
  }
}
