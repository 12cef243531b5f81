/**
 * Removes all that is stored of a repo at the operator's word, and refuses what comes of it later.
 *
 * Owns: the only way around that refusal, for the entry that removes. It is the one of a deleted
 * account, whose work the slot does in bounded steps; nothing is kept of the account, its takedown
 * included. What others wrote about it stays: their likes, follows and replies are theirs.
 */
import type { Clock } from '../base/clock.ts';
import type { Entry } from '../entry/entry.ts';
import type { LogAppender } from '../log/log-appender.ts';
import type { RefusedRepos } from './state/refused-repos.ts';

/** The log without the entries of refused repos, whichever part of ingest appends them. */
export class RefusingAppender implements LogAppender {
  readonly #appender: LogAppender;
  readonly #refused: Pick<RefusedRepos, 'has'>;

  constructor(appender: LogAppender, refused: Pick<RefusedRepos, 'has'>) {
    this.#appender = appender;
    this.#refused = refused;
  }

  append(key: string, entry: Entry): Promise<void> {
    return this.#refused.has(key) ? Promise.resolve() : this.#appender.append(key, entry);
  }

  get hasCapacity(): boolean {
    return this.#appender.hasCapacity;
  }

  waitForCapacity(): Promise<void> {
    return this.#appender.waitForCapacity();
  }

  get pendingBytes(): number {
    return this.#appender.pendingBytes;
  }
}

export type RepoRemovalOptions = {
  readonly refused: RefusedRepos;
  /** The log itself. */
  readonly appender: LogAppender;
  readonly clock: Clock;
  /** Requests a fetch of a repo. Returns: once the request is durable. */
  readonly requestRepo: (did: string) => Promise<void>;
};

export class RepoRemoval {
  readonly #options: RepoRemovalOptions;

  constructor(options: RepoRemovalOptions) {
    this.#options = options;
  }

  /** Returns: once the removal is in the log; the slot's work may take a while longer. */
  async purge(did: string): Promise<void> {
    const { refused, appender, clock } = this.#options;
    const eventMs = clock.nowMs();
    // First, so that nothing comes into the log after the entry that removes.
    await refused.add(did, Math.floor(eventMs / 1000));
    await appender.append(did, { kind: 'account', did, active: false, status: 'deleted', eventMs });
  }

  /** Takes what comes of a repo again, and has it fetched. Returns: whether it was refused. */
  async allow(did: string): Promise<boolean> {
    const { refused, requestRepo } = this.#options;
    const wasRefused = refused.has(did);
    await refused.remove(did);
    if (wasRefused) await requestRepo(did);
    return wasRefused;
  }
}
