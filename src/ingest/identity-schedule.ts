/**
 * When each DID is resolved again: a day after a check that proved a handle, an hour after one that
 * did not, five minutes after a failure, at once when unknown.
 *
 * Owns: an LRU cache of due times over the durable checks, updated after them.
 */
import { LRUCache } from 'lru-cache';
import type { IdentityCheck, IdentityTable } from './state/identity-table.ts';

const cachedDidsMax = 200_000;
const daySec = 86_400;
const hourSec = 3600;
const failureSec = 300;

function dueSecOf(check: IdentityCheck): number {
  return check.checkedAtSec + (check.hasHandle ? daySec : hourSec);
}

export class IdentitySchedule {
  readonly #identities: IdentityTable;
  readonly #dueSecByDid = new LRUCache<string, number>({ max: cachedDidsMax });

  constructor(identities: IdentityTable) {
    this.#identities = identities;
  }

  isDue(did: string, nowSec: number): boolean {
    let dueSec = this.#dueSecByDid.get(did);
    if (dueSec === undefined) {
      const check = this.#identities.check(did);
      dueSec = check === undefined ? 0 : dueSecOf(check);
      this.#dueSecByDid.set(did, dueSec);
    }
    return nowSec >= dueSec;
  }

  /** See `IdentityTable.storeCheck`. */
  async storeCheck(did: string, check: IdentityCheck, isOver: boolean): Promise<void> {
    await this.#identities.storeCheck(did, check, isOver);
    this.#dueSecByDid.set(did, dueSecOf(check));
  }

  /** A resolution failed for now, which only this process needs to know. */
  noteFailure(did: string, nowSec: number): void {
    this.#dueSecByDid.set(did, nowSec + failureSec);
  }
}
