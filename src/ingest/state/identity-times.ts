/** When DIDs were resolved and what their documents said, and which resolutions to retry. */
import { readDid } from '../../atproto/compact-key.ts';
import { ByteReader } from '../../base/bytes.ts';
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { beginValue, didKey, everyKey, readValue } from './state-codec.ts';

/** What a DID's document said when it was last read; nulls when it said nothing, or is gone. */
export type IdentityFacts = {
  /** Origin of the PDS. */
  readonly pds: string | null;
  /** The multikey of `#atproto` in multibase. */
  readonly signingKey: string | null;
  readonly checkedAtSec: number;
};
export type IdentityCheck = IdentityFacts & { readonly hasHandle: boolean };

/** A DID whose requested resolution has failed so far. */
export type PostponedIdentity = { readonly did: string; readonly attempts: number; readonly dueSec: number };

/**
 * Tables `identities`: DID → last check, PDS, signing key; `postponed`: DID → due time, attempts so
 * far.
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
    const [checkedAtSec, hasHandle] = [reader.u32(), reader.u8() === 1];
    return { checkedAtSec, hasHandle, pds: reader.text() || null, signingKey: reader.text() || null };
  }

  /** Returns what is known of a DID without a look-up; undefined when it was never resolved. */
  factsOf(did: string): IdentityFacts | undefined {
    return this.check(did);
  }

  /** Stores when a DID was resolved, which cancels a postponement. Returns: once durable. */
  storeCheck(did: string, check: IdentityCheck): Promise<void> {
    const key = didKey(did);
    const value = beginValue()
      .u32(check.checkedAtSec)
      .u8(check.hasHandle ? 1 : 0)
      .text(check.pds ?? '')
      .text(check.signingKey ?? '')
      .finish();
    return this.#commits.write(() => {
      this.#postponed.remove(key);
      this.#checks.put(key, value);
    });
  }

  /** Postpones a resolution. Returns: once durable. */
  postpone({ did, dueSec, attempts }: PostponedIdentity): Promise<void> {
    const value = beginValue().u32(dueSec).u8(Math.min(attempts, 255)).finish();
    return this.#commits.write(() => this.#postponed.put(didKey(did), value));
  }

  /** Gives up a resolution. Returns: once durable. */
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
