/** When DIDs were resolved and what their documents said. */
import { readDid } from '../../atproto/compact-key.ts';
import { ByteReader, type ByteWriter } from '../../base/bytes.ts';
import { keyAfter, type Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import type { LookupQueue } from './lookup-queue.ts';
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

/** A check by a file of operations. Null: its document claims no handle. */
export type ImportedCheck = IdentityFacts & { readonly did: string; readonly claimedHandle: string | null };
export type UnverifiedHandle = { readonly did: string; readonly handle: string };

const handleStates = ['none', 'verified', 'unverified'] as const;
type HandleState = (typeof handleStates)[number];

function beginCheck({ checkedAtSec, pds, signingKey }: IdentityFacts, handle: HandleState): ByteWriter {
  const writer = beginValue().u32(checkedAtSec).u8(handleStates.indexOf(handle));
  return writer.text(pds ?? '').text(signingKey ?? '');
}

/**
 * Table `identities`: DID → last check, PDS, signing key, and the claimed handle while nobody has
 * verified it.
 */
export class IdentityTable {
  readonly #checks: Table;
  readonly #lookups: LookupQueue;
  readonly #commits: CommitQueue;

  constructor(checks: Table, lookups: LookupQueue, commits: CommitQueue) {
    this.#checks = checks;
    this.#lookups = lookups;
    this.#commits = commits;
  }

  /** Returns what the last check found; undefined for a DID that was never resolved. */
  check(did: string): IdentityCheck | undefined {
    const value = this.#checks.get(didKey(did));
    if (value === undefined) return undefined;
    const reader = readValue(value);
    const [checkedAtSec, handle] = [reader.u32(), handleStates[reader.u8()]];
    const [pds, signingKey] = [reader.text() || null, reader.text() || null];
    return { checkedAtSec, hasHandle: handle === 'verified', pds, signingKey };
  }

  /**
   * Stores when a DID was resolved. Unless `isOver`, a look-up of it that waits goes on waiting.
   *
   * Returns: once durable.
   */
  storeCheck(did: string, check: IdentityCheck, isOver = true): Promise<void> {
    const value = beginCheck(check, check.hasHandle ? 'verified' : 'none').finish();
    const put = (): void => this.#checks.put(didKey(did), value);
    return isOver ? this.#lookups.end(did, put) : this.#commits.write(put);
  }

  /** Stores what a file says, with how far it was read. Returns: once durable. */
  storeImported(checks: readonly ImportedCheck[], storePosition: () => void): Promise<void> {
    return this.#commits.write(() => {
      for (const check of checks) {
        // Resolved while the file's operation was on its way to the log.
        if ((this.check(check.did)?.checkedAtSec ?? 0) > check.checkedAtSec) continue;
        const writer = beginCheck(check, check.claimedHandle === null ? 'none' : 'unverified');
        if (check.claimedHandle !== null) writer.text(check.claimedHandle);
        this.#checks.put(didKey(check.did), writer.finish());
      }
      storePosition();
    });
  }

  /**
   * Returns the unverified handles among the next rows after a key, and the last key read; null for
   * the key when there are no more rows.
   */
  unverifiedAfter(after: Buffer | null, rowsMax: number): { found: UnverifiedHandle[]; last: Buffer | null } {
    const found: UnverifiedHandle[] = [];
    let rows = 0;
    let last: Buffer | null = null;
    const start = after === null ? everyKey.start : keyAfter(after);
    for (const { key, value } of this.#checks.scan({ ...everyKey, start, limit: rowsMax })) {
      rows++;
      last = key;
      const handle = unverifiedHandleOf(value);
      if (handle !== null) found.push({ did: readDid(new ByteReader(key)), handle });
    }
    return { found, last: rows < rowsMax ? null : last };
  }

  /** Stores that a handle was checked, unless the DID was resolved since. Returns: once durable. */
  storeHandleCheck({ did, handle }: UnverifiedHandle, isProven: boolean): Promise<void> {
    return this.#commits.write(() => {
      const value = this.#checks.get(didKey(did));
      if (value === undefined || unverifiedHandleOf(value) !== handle) return;
      this.#checks.put(didKey(did), beginCheck(this.check(did)!, isProven ? 'verified' : 'none').finish());
    });
  }
}

function unverifiedHandleOf(value: Buffer): string | null {
  const reader = readValue(value);
  reader.u32();
  if (handleStates[reader.u8()] !== 'unverified') return null;
  reader.text();
  reader.text();
  return reader.text();
}
