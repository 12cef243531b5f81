/** When DIDs were resolved, and which resolutions are to be tried again. */
import { readDid } from '../../atproto/compact-key.ts';
import { ByteReader } from '../../base/bytes.ts';
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { beginValue, didKey, everyKey, readValue } from './state-codec.ts';

/** When a DID was last resolved, and whether a handle proved it. */
export type IdentityCheck = { readonly checkedAtSec: number; readonly hasHandle: boolean };

/** A DID whose resolution was asked for and has failed so far. */
export type PostponedIdentity = { readonly did: string; readonly attempts: number; readonly dueSec: number };

/**
 * Tables `identities`: DID → last check, and `postponed`: DID → when it is due, attempts so far.
 */
export class IdentityTimes {
  readonly #checks: Table;
  readonly #postponed: Table;
  readonly #commits: CommitQueue;

  constructor(checks: Table, postponed: Table, commits: CommitQueue) {
    this.#checks = checks;
    this.#postponed = postponed;
    this.#commits = commits;
  }

  check(did: string): IdentityCheck | undefined {
    const value = this.#checks.get(didKey(did));
    if (value === undefined) return undefined;
    const reader = readValue(value);
    return { checkedAtSec: reader.u32(), hasHandle: reader.u8() === 1 };
  }

  /** Stores when a DID was resolved, which ends its being postponed. Returns: once on disk. */
  storeCheck(did: string, check: IdentityCheck): Promise<void> {
    const key = didKey(did);
    const value = beginValue()
      .u32(check.checkedAtSec)
      .u8(check.hasHandle ? 1 : 0)
      .finish();
    return this.#commits.write(() => {
      this.#postponed.remove(key);
      this.#checks.put(key, value);
    });
  }

  /** Puts a resolution off to a later time. Returns: once on disk. */
  postpone({ did, dueSec, attempts }: PostponedIdentity): Promise<void> {
    const value = beginValue().u32(dueSec).u8(Math.min(attempts, 255)).finish();
    return this.#commits.write(() => this.#postponed.put(didKey(did), value));
  }

  /** Gives a resolution up. Returns: once on disk. */
  dropPostponed(did: string): Promise<void> {
    return this.#commits.write(() => this.#postponed.remove(didKey(did)));
  }

  /** Returns at most `limit` resolutions that are due. */
  postponed(nowSec: number, limit: number): PostponedIdentity[] {
    const found: PostponedIdentity[] = [];
    if (limit <= 0) return found;
    for (const { key, value } of this.#postponed.scan(everyKey)) {
      const reader = readValue(value);
      const dueSec = reader.u32();
      if (dueSec > nowSec) continue;
      found.push({ did: readDid(new ByteReader(key)), dueSec, attempts: reader.u8() });
      if (found.length >= limit) break;
    }
    return found;
  }
}
