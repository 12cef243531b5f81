/**
 * The repos that the operator had removed; nothing of them is taken until they are allowed.
 *
 * Table `refused-repos`: DID → since when, and whether it is removed.
 */
import { readDid } from '../../atproto/compact-key.ts';
import { ByteReader } from '../../base/bytes.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { MirroredTable, type RowCodec } from './mirrored-table.ts';
import { beginValue, didKey, readValue } from './state-codec.ts';

/** All are held in memory, at about 100 bytes each. */
const refusedReposMax = 100_000;

/** `isRemoved`: the log has the entry that removes it. */
export type RefusedRepo = { readonly sinceMs: number; readonly isRemoved: boolean };

export const refusedRepoCodec: RowCodec<RefusedRepo> = {
  keyOf: didKey,
  nameOf: (key) => readDid(new ByteReader(key)),
  encode: ({ sinceMs, isRemoved }) => {
    const value = beginValue().u48(sinceMs);
    return value.u8(isRemoved ? 1 : 0).finish();
  },
  decode: (value) => {
    const reader = readValue(value);
    return { sinceMs: reader.u48(), isRemoved: reader.u8() === 1 };
  },
};

export class RefusedRepos extends MirroredTable<RefusedRepo> {
  list(): (RefusedRepo & { readonly did: string })[] {
    return [...this.entries()].map(([did, repo]) => ({ did, ...repo }));
  }

  /** Errors: DataPlaneError `ResourceExhausted`. */
  override put(did: string, repo: RefusedRepo | null): Promise<void> {
    if (repo !== null && this.size >= refusedReposMax && !this.has(did)) {
      throw new DataPlaneError('ResourceExhausted', `more than ${refusedReposMax} repos (refusedReposMax)`);
    }
    return super.put(did, repo);
  }
}
