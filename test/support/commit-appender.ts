/** Appends commits to a log for tests, each a second after the last, with revs that ascend. */
import type { RepoOp } from '../../src/atproto/repo-op.ts';
import { TidClock } from '../../src/demo/model/tid-clock.ts';
import type { RemoteLog } from '../../src/log/remote-log.ts';

export class CommitAppender {
  timeMs = Date.UTC(2025, 2, 1);
  readonly #revs = new TidClock(2);
  readonly #revByDid = new Map<string, string>();

  /** Commits ops. Returns: once that is acknowledged. */
  async commit(log: RemoteLog, did: string, ops: readonly RepoOp[]): Promise<void> {
    this.timeMs += 1_000;
    const rev = this.#revs.next(this.timeMs);
    const since = this.#revByDid.get(did) ?? null;
    this.#revByDid.set(did, rev);
    await log.append(did, { kind: 'commit', did, rev, since, eventMs: this.timeMs, ops });
  }
}
