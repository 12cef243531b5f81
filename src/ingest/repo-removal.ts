/**
 * Removes all that is stored of a repo when the operator asks, and refuses what comes of it later.
 *
 * Owns: the only way around that refusal, for the entry that removes. It is the one of a deleted
 * account, whose work the slot does in bounded steps; nothing is kept of the account, its takedown
 * included. What others wrote about it stays: their likes, follows and replies are theirs.
 */
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import type { Entry } from '../entry/entry.ts';
import type { LogAppender } from '../log/log-appender.ts';
import type { IdentityQueue } from './identity-queue.ts';
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
  readonly identities: Pick<IdentityQueue, 'refresh'>;
};

export class RepoRemoval {
  readonly #options: RepoRemovalOptions;

  constructor(options: RepoRemovalOptions) {
    this.#options = options;
  }

  /** Returns: once the removal is in the log; the slot's work may take a while longer. */
  async purge(did: string): Promise<void> {
    const { refused, clock } = this.#options;
    const sinceMs = clock.nowMs();
    // First, so that nothing comes into the log after the entry that removes.
    await refused.put(did, { sinceMs, isRemoved: false });
    await this.#remove(did, sinceMs);
  }

  /** Removes what an earlier run refused but could not remove. What fails is left to the next. */
  async run(): Promise<void> {
    const left = this.#options.refused.list().filter(({ isRemoved }) => !isRemoved);
    const removed = await Promise.allSettled(left.map(({ did, sinceMs }) => this.#remove(did, sinceMs)));
    for (const outcome of removed) if (outcome.status === 'rejected') operatingFailure(outcome.reason);
  }

  async #remove(did: string, sinceMs: number): Promise<void> {
    const { refused, appender } = this.#options;
    await appender.append(did, { kind: 'account', did, active: false, status: 'deleted', eventMs: sinceMs });
    // The operator may have allowed it meanwhile.
    if (refused.has(did)) await refused.put(did, { sinceMs, isRemoved: true });
  }

  /**
   * Takes what comes of a repo again, and has it fetched and its handle looked up, which went with
   * the purge. Returns: whether it was refused.
   */
  async allow(did: string): Promise<boolean> {
    const { refused, requestRepo, identities } = this.#options;
    const wasRefused = refused.has(did);
    await refused.put(did, null);
    if (wasRefused) await Promise.all([requestRepo(did), identities.refresh(did)]);
    return wasRefused;
  }
}
