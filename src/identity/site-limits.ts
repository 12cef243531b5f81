/**
 * Bounds the look-ups at hosts, for each site and for all.
 *
 * Owns: which look-up starts next. Sites take turns, so that one with many look-ups, or one that
 * never answers, delays only its own; a site that says nothing many times in a row gets a pause.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';

/** Look-ups at once and waiting ones, of each site and of all. */
export type SiteBounds = {
  readonly siteRunningMax: number;
  readonly siteWaitingMax: number;
  readonly runningMax: number;
  readonly waitingMax: number;
};

/** Look-ups of a site without an answer since its last one. No pause yet while `pauseMs` is 0. */
type Silence = { inARow: number; pauseMs: number; pausedUntilMs: number };

const silentInARowMax = 16;
const pauseMsMin = 1000;
const pauseMsMax = 30_000;
const silentSitesMax = 10_000;

type Waiting = { readonly start: () => void; readonly refuse: () => void };
type Site = { running: number; readonly waiting: Waiting[] };

export class SiteLimits {
  readonly #bounds: SiteBounds;
  readonly #siteByName = new Map<string, Site>();
  /** Sites that have a look-up waiting and may start it; their order is their turn. */
  readonly #ready = new Set<Site>();
  readonly #silenceBySite = new LRUCache<string, Silence>({ max: silentSitesMax });
  readonly #clock: Clock;
  #running = 0;
  #waiting = 0;

  constructor(bounds: SiteBounds, clock: Clock) {
    this.#bounds = bounds;
    this.#clock = clock;
  }

  get runningCount(): number {
    return this.#running;
  }

  /** Returns whether `run` would take a look-up at this site now. */
  hasCapacity(site: string): boolean {
    const silence = this.#silenceBySite.get(site);
    if (silence !== undefined && silence.pauseMs > 0) return this.#mayProbe(site, silence);
    const { siteRunningMax, siteWaitingMax, runningMax, waitingMax } = this.#bounds;
    const { running, waiting } = this.#siteByName.get(site) ?? { running: 0, waiting: [] };
    if (running < siteRunningMax && this.#running < runningMax) return true;
    return waiting.length < siteWaitingMax && this.#waiting < waitingMax;
  }

  /** After a pause, one look-up at a time shows whether the site answers again. */
  #mayProbe(site: string, { pausedUntilMs }: Silence): boolean {
    const isFree = !this.#siteByName.has(site) && this.#running < this.#bounds.runningMax;
    return isFree && this.#clock.monotonicMs() >= pausedUntilMs;
  }

  /**
   * Runs a look-up in its turn. `isSilent` says of a result that the site did not answer.
   *
   * Returns: its result; null when too many wait already, or the site is paused before its turn.
   */
  run<Result>(
    site: string,
    task: () => Promise<Result>,
    isSilent: (result: Result) => boolean,
  ): Promise<Result | null> {
    if (!this.hasCapacity(site)) return Promise.resolve(null);
    const state = this.#siteByName.get(site) ?? { running: 0, waiting: [] };
    this.#siteByName.set(site, state);
    const attempt = async (): Promise<Result> => {
      try {
        const result = await task();
        this.#note(site, state, isSilent(result));
        return result;
      } finally {
        this.#end(site, state);
      }
    };
    return new Promise((resolve) => {
      state.waiting.push({ start: () => resolve(attempt()), refuse: () => resolve(null) });
      this.#waiting++;
      this.#enqueue(state);
      this.#startReady();
    });
  }

  #note(site: string, state: Site, isSilent: boolean): void {
    if (!isSilent) return void this.#silenceBySite.delete(site);
    const silence = this.#silenceBySite.get(site) ?? { inARow: 0, pauseMs: 0, pausedUntilMs: 0 };
    this.#silenceBySite.set(site, silence);
    const nowMs = this.#clock.monotonicMs();
    // Those that were running when the pause began say nothing new.
    if (nowMs < silence.pausedUntilMs || (++silence.inARow < silentInARowMax && silence.pauseMs === 0)) return;
    silence.pauseMs = Math.min(silence.pauseMs === 0 ? pauseMsMin : 2 * silence.pauseMs, pauseMsMax);
    silence.pausedUntilMs = nowMs + silence.pauseMs;
    this.#waiting -= state.waiting.length;
    this.#ready.delete(state);
    for (const { refuse } of state.waiting.splice(0)) refuse();
  }

  #enqueue(state: Site): void {
    if (state.waiting.length > 0 && state.running < this.#bounds.siteRunningMax) this.#ready.add(state);
  }

  #startReady(): void {
    for (const state of this.#ready) {
      if (this.#running >= this.#bounds.runningMax) return;
      this.#ready.delete(state);
      const { start } = state.waiting.shift()!;
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
