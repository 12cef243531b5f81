/**
 * When each DID is resolved again: a day after a check that proved a handle, an hour after one that
 * did not, five minutes after a failure, at once when unknown.
 *
 * Owns: an LRU cache of due times over the durable checks, updated after them.
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

  /** See `IdentityTimes.storeCheck`. */
  async storeCheck(did: string, check: IdentityCheck, isOver: boolean): Promise<void> {
    await this.#times.storeCheck(did, check, isOver);
    this.#dueSecByDid.set(did, dueSecOf(check));
  }

  /** A resolution failed for now, which only this process needs to know. */
  noteFailure(did: string, nowSec: number): void {
    this.#dueSecByDid.set(did, nowSec + failureSec);
  }
}
