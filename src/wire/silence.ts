/**
 * How long a node has said nothing while calls wait for it.
 *
 * Owns: when it is pinged, and when it counts as silent: a node may be slow with its calls, but it
 * answers a ping in any turn of its event loop. Time that this process itself stood still does not
 * count, since answers may wait unread.
 */

export type SilenceLimits = {
  /** A node that has been quiet for so long is pinged. Units: ms. */
  readonly quietMsMax: number;
  /** And may take so long to answer that. Units: ms. */
  readonly pongMsMax: number;
};

/** Of the time between two looks, which come more often, what is no pause of this process. */
const lookMsMax = 20;

export class Silence {
  readonly #limits: SilenceLimits;
  #quietMs = 0;
  #lookedMs = 0;

  constructor(limits: SilenceLimits) {
    this.#limits = limits;
  }

  /** The node sent something. */
  broken(): void {
    this.#quietMs = 0;
  }

  /** Looks at the time, while calls wait. Returns what is due. Units: monotonic ms. */
  look(nowMs: number): 'ping' | 'silent' | null {
    const { quietMsMax, pongMsMax } = this.#limits;
    const beforeMs = this.#quietMs;
    this.#quietMs += Math.min(nowMs - this.#lookedMs, lookMsMax);
    this.#lookedMs = nowMs;
    if (this.#quietMs >= quietMsMax + pongMsMax) return 'silent';
    return beforeMs < quietMsMax && this.#quietMs >= quietMsMax ? 'ping' : null;
  }
}
