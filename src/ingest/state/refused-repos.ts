/** The repos that the operator had removed; nothing of them is taken until they are allowed. */
import { readDid } from '../../atproto/compact-key.ts';
import { ByteReader } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { beginValue, didKey, everyKey, readValue } from './state-codec.ts';

/** All are held in memory, at about 100 bytes each. */
const refusedReposMax = 100_000;

/** Table `refused-repos`: DID → when it was removed, in seconds. Also held in memory. */
export class RefusedRepos {
  readonly #table: Table;
  readonly #commits: CommitQueue;
  readonly #sinceSecByDid = new Map<string, number>();

  constructor(table: Table, commits: CommitQueue) {
    this.#table = table;
    this.#commits = commits;
    this.reload();
  }

  reload(): void {
    this.#sinceSecByDid.clear();
    for (const { key, value } of this.#table.scan(everyKey)) {
      this.#sinceSecByDid.set(readDid(new ByteReader(key)), readValue(value).u32());
    }
  }

  has(did: string): boolean {
    return this.#sinceSecByDid.has(did);
  }

  list(): { readonly did: string; readonly sinceSec: number }[] {
    return [...this.#sinceSecByDid].map(([did, sinceSec]) => ({ did, sinceSec }));
  }

  /** Returns: once durable and in force. Errors: DataPlaneError `ResourceExhausted`. */
  add(did: string, sinceSec: number): Promise<void> {
    if (this.#sinceSecByDid.size >= refusedReposMax) {
      throw new DataPlaneError('ResourceExhausted', `more than ${refusedReposMax} repos (refusedReposMax)`);
    }
    return this.#commits.write(() => {
      this.#table.put(didKey(did), beginValue().u32(sinceSec).finish());
      this.#sinceSecByDid.set(did, sinceSec);
    });
  }

  /** Returns: once durable and in force. */
  remove(did: string): Promise<void> {
    return this.#commits.write(() => {
      this.#table.remove(didKey(did));
      this.#sinceSecByDid.delete(did);
    });
  }
}
