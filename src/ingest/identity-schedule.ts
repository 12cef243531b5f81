/**
 * When each DID is to be resolved again: a day after a check that proved a handle, an hour after
 * one that did not, five minutes after a failure, at once when it was never seen.
 *
 * Owns: the cache of due times, an LRU in front of the durable checks. It changes after they do.
 */
import { LRUCache } from 'lru-cache';
import type { IdentityCheck, IdentityTimes } from './state/identity-times.ts';

const cachedDidsMax = 200_000;
const daySec = 86_400;
const hourSec = 3600;
const failureSec = 300;

function dueSecOf(check: IdentityCheck): number {
  return check.checkedAtSec + (check.hasHandle ? daySec : hourSec);
}

export class IdentitySchedule {
  readonly #times: IdentityTimes;
  readonly #dueSecByDid = new LRUCache<string, number>({ max: cachedDidsMax });

  constructor(times: IdentityTimes) {
    this.#times = times;
  }

  isDue(did: string, nowSec: number): boolean {
    let dueSec = this.#dueSecByDid.get(did);
    if (dueSec === undefined) {
      const check = this.#times.check(did);
      dueSec = check === undefined ? 0 : dueSecOf(check);
      this.#dueSecByDid.set(did, dueSec);
    }
    return nowSec >= dueSec;
  }

  /** Stores that a DID was resolved. Returns: once on disk. */
  async storeCheck(did: string, check: IdentityCheck): Promise<void> {
    await this.#times.storeCheck(did, check);
    this.#dueSecByDid.set(did, dueSecOf(check));
  }

  /** A resolution failed for now, which only this process need know. */
  noteFailure(did: string, nowSec: number): void {
    this.#dueSecByDid.set(did, nowSec + failureSec);
  }
}
