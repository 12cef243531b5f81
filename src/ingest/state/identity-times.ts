/** When DIDs were resolved and what their documents said. */
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import type { LookupQueue } from './lookup-queue.ts';
import { beginValue, didKey, readValue } from './state-codec.ts';

/** What a DID's document said when it was last read; nulls when it said nothing, or is gone. */
export type IdentityFacts = {
  /** Origin of the PDS. */
  readonly pds: string | null;
  /** The multikey of `#atproto` in multibase. */
  readonly signingKey: string | null;
  readonly checkedAtSec: number;
};
export type IdentityCheck = IdentityFacts & { readonly hasHandle: boolean };

/** Table `identities`: DID → last check, PDS, signing key. */
export class IdentityTimes {
  readonly #checks: Table;
  readonly #lookups: LookupQueue;
  readonly #commits: CommitQueue;

  constructor(checks: Table, lookups: LookupQueue, commits: CommitQueue) {
    this.#checks = checks;
    this.#lookups = lookups;
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

  /**
   * Stores when a DID was resolved. Unless `isOver`, a look-up of it that waits goes on waiting.
   *
   * Returns: once durable.
   */
  storeCheck(did: string, check: IdentityCheck, isOver = true): Promise<void> {
    const value = beginValue()
      .u32(check.checkedAtSec)
      .u8(check.hasHandle ? 1 : 0)
      .text(check.pds ?? '')
      .text(check.signingKey ?? '')
      .finish();
    const put = (): void => this.#checks.put(didKey(did), value);
    return isOver ? this.#lookups.end(did, put) : this.#commits.write(put);
  }
}
