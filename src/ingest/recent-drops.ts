/** What was dropped last of each account, with the reason, for `skyshard why`. */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';

export type Drop = {
  readonly atMs: number;
  readonly reason: string;
  /** Who sent it: a source or a host; null where that is not known. */
  readonly from: string | null;
  /** The record's `<collection>/<rkey>`; null for a whole event, or a path that is not known. */
  readonly path: string | null;
};

/** With the longest paths, some 20 MB. */
const accountsMax = 5_000;
const dropsOfAccountMax = 4;

export class RecentDrops {
  readonly #clock: Clock;
  readonly #drops = new LRUCache<string, readonly Drop[]>({ max: accountsMax });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The same drop once more only moves its time. */
  note(did: string, reason: string, { from = null, path = null }: Partial<Pick<Drop, 'from' | 'path'>> = {}): void {
    const before = this.#drops.get(did) ?? [];
    const others = before.filter((drop) => drop.reason !== reason || drop.from !== from || drop.path !== path);
    this.#drops.set(did, [...others, { atMs: this.#clock.nowMs(), reason, from, path }].slice(-dropsOfAccountMax));
  }

  /** Returns what was dropped since this process started, the oldest first. */
  of(did: string): readonly Drop[] {
    return this.#drops.peek(did) ?? [];
  }
}
