/**
 * Bounds the look-ups at strangers' hosts, for each site and for all.
 *
 * Owns: which look-up starts next. Sites take turns, so that one with many look-ups, or one that
 * never answers, delays only its own.
 */

/** Look-ups at once and waiting ones, of each site and of all. */
export type SiteBounds = {
  readonly siteRunningMax: number;
  readonly siteWaitingMax: number;
  readonly runningMax: number;
  readonly waitingMax: number;
};

type Site = { running: number; readonly waiting: (() => void)[] };

export class SiteLimits {
  readonly #bounds: SiteBounds;
  readonly #siteByName = new Map<string, Site>();
  /** Sites that have a look-up waiting and may start it; their order is their turn. */
  readonly #ready = new Set<Site>();
  #running = 0;
  #waiting = 0;

  constructor(bounds: SiteBounds) {
    this.#bounds = bounds;
  }

  get runningCount(): number {
    return this.#running;
  }

  /** Returns whether `run` would take a look-up at this site now. */
  hasCapacity(site: string): boolean {
    const { siteRunningMax, siteWaitingMax, runningMax, waitingMax } = this.#bounds;
    const { running, waiting } = this.#siteByName.get(site) ?? { running: 0, waiting: [] };
    if (running < siteRunningMax && this.#running < runningMax) return true;
    return waiting.length < siteWaitingMax && this.#waiting < waitingMax;
  }

  /** Runs a look-up in its turn. Returns: its result; null at once when too many wait already. */
  run<Result>(site: string, task: () => Promise<Result>): Promise<Result> | null {
    if (!this.hasCapacity(site)) return null;
    const state = this.#siteByName.get(site) ?? { running: 0, waiting: [] };
    this.#siteByName.set(site, state);
    return new Promise((resolve, reject) => {
      state.waiting.push(() => {
        const end = (): void => this.#end(site, state);
        task().then(resolve, reject).finally(end);
      });
      this.#waiting++;
      this.#enqueue(state);
      this.#startReady();
    });
  }

  #enqueue(state: Site): void {
    if (state.waiting.length > 0 && state.running < this.#bounds.siteRunningMax) this.#ready.add(state);
  }

  #startReady(): void {
    for (const state of this.#ready) {
      if (this.#running >= this.#bounds.runningMax) return;
      this.#ready.delete(state);
      const start = state.waiting.shift()!;
      this.#waiting--;
      this.#running++;
      state.running++;
      // At the end of the order again; the loop comes to it after the others.
      this.#enqueue(state);
      start();
    }
  }

  #end(site: string, state: Site): void {
    this.#running--;
    state.running--;
    if (state.running + state.waiting.length === 0) this.#siteByName.delete(site);
    this.#enqueue(state);
    this.#startReady();
  }
}
