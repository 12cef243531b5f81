/** The repos that the operator had removed; nothing of them is taken until they are allowed. */
import { readDid } from '../../atproto/compact-key.ts';
import { ByteReader } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { Table } from '../../storage/environment.ts';
import type { CommitQueue } from './commit-queue.ts';
import { beginValue, didKey, everyKey, readValue } from './state-codec.ts';

/** All are held in memory, at about 100 bytes each. */
const refusedReposMax = 100_000;

/** `isRemoved`: the log has the entry that removes it. */
export type RefusedRepo = { readonly sinceMs: number; readonly isRemoved: boolean };

/** Table `refused-repos`: DID → since when, and whether it is removed. Also held in memory. */
export class RefusedRepos {
  readonly #table: Table;
  readonly #commits: CommitQueue;
  readonly #repoByDid = new Map<string, RefusedRepo>();

  constructor(table: Table, commits: CommitQueue) {
    this.#table = table;
    this.#commits = commits;
    this.reload();
  }

  reload(): void {
    this.#repoByDid.clear();
    for (const { key, value } of this.#table.scan(everyKey)) {
      const reader = readValue(value);
      const repo = { sinceMs: reader.u48(), isRemoved: reader.u8() === 1 };
      this.#repoByDid.set(readDid(new ByteReader(key)), repo);
    }
  }

  has(did: string): boolean {
    return this.#repoByDid.has(did);
  }

  list(): (RefusedRepo & { readonly did: string })[] {
    return [...this.#repoByDid].map(([did, repo]) => ({ did, ...repo }));
  }

  /** Returns: once durable and in force. Errors: DataPlaneError `ResourceExhausted`. */
  put(did: string, repo: RefusedRepo): Promise<void> {
    if (this.#repoByDid.size >= refusedReposMax && !this.has(did)) {
      throw new DataPlaneError('ResourceExhausted', `more than ${refusedReposMax} repos (refusedReposMax)`);
    }
    return this.#commits.write(() => {
      const value = beginValue().u48(repo.sinceMs);
      this.#table.put(didKey(did), value.u8(repo.isRemoved ? 1 : 0).finish());
      this.#repoByDid.set(did, repo);
    });
  }

  /** Returns: once durable and in force. */
  remove(did: string): Promise<void> {
    return this.#commits.write(() => {
      this.#table.remove(didKey(did));
      this.#repoByDid.delete(did);
    });
  }
}
