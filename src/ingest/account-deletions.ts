/**
 * Deletes accounts once their hosts confirm it: an account that moved is deleted at its old host
 * and lives at its new one.
 *
 * Owns: the deletions that wait, durably, and when a host that says nothing counts as gone: then
 * the account was its only one, and was switched off with it.
 */
import { LRUCache } from 'lru-cache';
import type { Clock } from '../base/clock.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { IdentityResolver } from '../identity/identity-resolver.ts';
import { siteOfHost } from '../identity/lookup-site.ts';
import { type SiteBounds, SiteLimits } from '../identity/site-limits.ts';
import { DueLookups, retryDelaySec } from './due-lookups.ts';
import type { IngestCounters } from './ingest-counters.ts';
import type { RepoGate } from './repo-gate.ts';
import type { RepoHost, RepoPresence } from './repo-host.ts';
import type { LookupQueue, QueuedLookup } from './state/lookup-queue.ts';

export type AccountDeletionsOptions = {
  readonly queue: LookupQueue;
  readonly gate: RepoGate;
  readonly resolver: IdentityResolver;
  readonly host: RepoHost;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly counters: IngestCounters;
};

/** Deletions checked at once in each lane; `hostBounds` are those of the accounts' hosts. */
const runningMax = 256;
const hostBounds: SiteBounds = { siteRunningMax: 4, runningMax: 32, siteWaitingMax: 8, waitingMax: 32 };
const firstTimeoutMs = 2000;
const laterTimeoutMs = 8000;
/** A host without any answer is gone after so many attempts, the last so long after the event. */
const silentAttemptsMin = 8;
const silentSecMin = 86_400;
/** One that answers, but never to the question (429, 5xx), is gone after this time. */
const busySecMin = 30 * 86_400;
/** A silent host is not asked about its other accounts for this time. */
const silenceMs = 60_000;
const silentHostsMax = 10_000;

type Presence = RepoPresence | 'directory-unreachable' | 'crowded';

const isSilent = (presence: RepoPresence): boolean => presence === 'silent';

export class AccountDeletions {
  readonly #options: AccountDeletionsOptions;
  readonly #due: DueLookups;
  readonly #hostLimits: SiteLimits;
  readonly #silentHosts: LRUCache<string, true>;

  /** Runs once `run` is called, until the signal aborts. */
  constructor(options: AccountDeletionsOptions, signal: AbortSignal) {
    const { queue, clock, random, resolver, counters } = options;
    this.#options = options;
    this.#hostLimits = new SiteLimits(hostBounds, clock);
    const perf = { now: () => clock.monotonicMs() };
    this.#silentHosts = new LRUCache({ max: silentHostsMax, ttl: silenceMs, ttlResolution: 0, perf });
    this.#due = new DueLookups(
      {
        queue,
        clock,
        random,
        runningMax,
        hasCapacity: (did) => resolver.hasCapacity(did),
        attempt: (row) => this.#attempt(row, signal),
        onFailure: () => counters.deletionsChecked.with('not-stored').add(),
      },
      signal,
    );
  }

  /** Checks that run. */
  get runningCount(): number {
    return this.#due.runningCount;
  }

  /** See `DueLookups.wake`. */
  wake(): void {
    this.#due.wake();
  }

  #nowSec(): number {
    return Math.floor(this.#options.clock.nowMs() / 1000);
  }

  /**
   * Requests the deletion of an account as of `eventMs`.
   *
   * Returns: once the request is durable, or counted because too many wait. Errors: the state's.
   */
  async request(did: string, eventMs: number): Promise<void> {
    const { queue, counters } = this.#options;
    const latestMs = Math.max(eventMs, queue.get(did)?.eventMs ?? 0);
    const isQueued = await queue.request(did, { dueSec: this.#nowSec(), attempts: 0, eventMs: latestMs });
    if (isQueued) this.#due.wake();
    else counters.deletionsChecked.with('queue-full').add();
  }

  /** The account exists as of `eventMs`, which cancels an older deletion. Returns: once durable. */
  async cancel(did: string, eventMs: number): Promise<void> {
    const { queue, counters } = this.#options;
    // Which one is waiting is known only after the writes that are on their way.
    if (!queue.isUsed) return;
    const isCanceled = await queue.endIf(did, (row) => row.eventMs <= eventMs);
    if (isCanceled) counters.deletionsChecked.with('canceled').add();
  }

  async #attempt(row: QueuedLookup, signal: AbortSignal): Promise<void> {
    const { queue, gate, counters } = this.#options;
    const { did, eventMs } = row;
    const presence = await this.#presenceOf(row);
    // Canceled or requested anew meanwhile: what was found is about another account.
    if (signal.aborted || queue.get(did)?.eventMs !== eventMs) return;
    const silentAttempts = row.silentAttempts + (presence === 'silent' ? 1 : 0);
    const outcome = this.#outcomeOf(presence, { ...row, silentAttempts });
    counters.deletionsChecked.with(outcome).add();
    if (outcome === 'deleted' || outcome === 'deleted-host-gone') {
      await gate.append({ kind: 'account', did, active: false, status: 'deleted', eventMs });
    }
    if (outcome === 'deleted' || outcome === 'deleted-host-gone' || outcome === 'still-hosted') {
      return void (await queue.endIf(did, (now) => now.eventMs === eventMs));
    }
    const attempts = row.attempts + (presence === 'crowded' ? 0 : 1);
    const dueSec = this.#nowSec() + retryDelaySec(Math.max(1, attempts), this.#options.random);
    await queue.change(did, (now) => ({ ...now, attempts, silentAttempts, dueSec }));
  }

  #outcomeOf(presence: Presence, { silentAttempts, sinceSec }: QueuedLookup): string {
    const waitedSec = this.#nowSec() - sinceSec;
    if (presence === 'there') return 'still-hosted';
    if (presence === 'gone') return 'deleted';
    if (presence === 'silent' && silentAttempts >= silentAttemptsMin && waitedSec >= silentSecMin) {
      return 'deleted-host-gone';
    }
    if (presence === 'busy' && waitedSec >= busySecMin) return 'deleted-host-gone';
    return `postponed-${presence}`;
  }

  /** Without a document, or a host in it, nobody hosts the account. */
  async #presenceOf({ did, attempts }: QueuedLookup): Promise<Presence> {
    const { resolver, host } = this.#options;
    const timeoutMs = attempts === 0 ? firstTimeoutMs : laterTimeoutMs;
    const resolution = await resolver.resolveDid(did, { fresh: true, timeoutMs });
    if (!resolution.ok) {
      if (resolution.reason === 'crowded') return 'crowded';
      if (resolution.reason !== 'unreachable') return 'gone';
      return did.startsWith('did:web:') ? 'silent' : 'directory-unreachable';
    }
    const { pds } = resolution.document;
    if (pds === null) return 'gone';
    if (this.#silentHosts.has(pds)) return 'silent';
    const site = siteOfHost(new URL(pds).host);
    const ask = (): Promise<RepoPresence> => host.hasRepo(pds, did, timeoutMs);
    const presence = (await this.#hostLimits.run(site, ask, isSilent)) ?? 'crowded';
    if (presence === 'silent') this.#silentHosts.set(pds, true);
    return presence;
  }

  /** Checks deletions as they become due, until the signal aborts. */
  run(): Promise<void> {
    return this.#due.run();
  }

  /** Waits for the first check of all that is queued now. Returns: false after the signal. */
  drained(signal: AbortSignal): Promise<boolean> {
    return this.#due.firstAttempts(signal);
  }
}
