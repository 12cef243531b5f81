/**
 * Reads hosts' lists of repos and requests every repo that has no outcome yet.
 *
 * Owns: retries of each list and the position in it, stored in one transaction with the requests of
 * its page, so a restart continues there.
 */
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { IngestCounters } from './ingest-counters.ts';
import type { RepoGate } from './repo-gate.ts';
import type { ListedRepo, RepoHost } from './repo-host.ts';
import type { ListSpeaker } from './speaker.ts';
import type { HostListing } from './state/host-listings.ts';
import type { IngestState } from './state/ingest-state.ts';

export type HostListerOptions = {
  readonly state: IngestState;
  readonly gate: RepoGate;
  readonly host: RepoHost;
  readonly maySpeak: ListSpeaker;
  readonly counters: IngestCounters;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly onRequests: () => void;
};

const retryPolicy = { firstMs: 500, maxMs: 60_000, fastFailures: 9 };
/** Consecutive failures after which a list is reported as failing. */
const failuresBeforeReport = 3;

export class HostLister {
  readonly #options: HostListerOptions;
  readonly #signal: AbortSignal;
  readonly #running = new Map<string, Promise<void>>();
  readonly #problems = new Map<string, string>();

  constructor(options: HostListerOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
  }

  get runningCount(): number {
    return this.#running.size;
  }

  /** Hosts whose list cannot be read for now, and why. */
  get problems(): Readonly<Record<string, string>> {
    return Object.fromEntries(this.#problems);
  }

  /** True when a host's list is being read or has been read to its end. */
  isListed(origin: string): boolean {
    const listing = this.#options.state.hosts.get(origin);
    return listing !== undefined && listing.state !== 'unlisted';
  }

  /** Reads a host's list from its start. Returns: once the request is durable. */
  async request(origin: string): Promise<void> {
    if (this.#running.has(origin)) return;
    const state: HostListing = { state: 'listing', pageToken: '', repos: 0 };
    await this.#options.state.fetches.request([], 0, { host: origin, state });
    this.#start(origin);
  }

  /** Continues where the last process stopped. */
  resume(): void {
    for (const origin of this.#options.state.hosts.unfinished()) this.#start(origin);
  }

  /** Waits for running work after the signal has aborted. */
  async stopped(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  #start(origin: string): void {
    if (this.#running.has(origin)) return;
    const reading = this.#read(origin).finally(() => {
      this.#running.delete(origin);
      this.#problems.delete(origin);
    });
    this.#running.set(origin, reading);
  }

  async #read(origin: string): Promise<void> {
    const { state, clock, random, note } = this.#options;
    let failures = 0;
    while (!this.#signal.aborted) {
      const before = state.hosts.get(origin);
      if (before === undefined || before.state !== 'listing') return;
      const problem = await this.#readPage(origin, before);
      if (this.#signal.aborted) return;
      if (problem === null) {
        failures = 0;
        this.#problems.delete(origin);
        continue;
      }
      if (failures++ === 0) note('listing repos fails', { host: origin, problem });
      if (failures >= failuresBeforeReport) this.#problems.set(origin, problem);
      await clock.sleep(backoffMs(retryPolicy, failures, random), this.#signal);
    }
  }

  /** Reads one page and stores its requests. Returns: why it failed, or null. */
  async #readPage(origin: string, before: HostListing): Promise<string | null> {
    const page = await this.#options.host.listRepos(origin, before.pageToken);
    if (!page.ok) return page.message;
    try {
      await this.#appendInactive(origin, page.repos);
      if (this.#signal.aborted) return null;
      // A host that returns the same token again would be listed forever.
      const isLast = page.pageToken === '' || page.pageToken === before.pageToken;
      const repos = before.repos + page.repos.length;
      const listing = { state: isLast ? 'listed' : 'listing', pageToken: page.pageToken, repos } as const;
      reachCrashPoint('listing-before-store');
      await this.#store(origin, page.repos, listing);
    } catch (error) {
      // The log or the state could not be written: the page is read again.
      return operatingFailure(error).message;
    }
    this.#options.onRequests();
    return null;
  }

  #store(origin: string, repos: readonly ListedRepo[], listing: HostListing): Promise<number> {
    const { state, clock } = this.#options;
    const requests = repos.flatMap(({ did, active }) =>
      active ? [{ did, host: origin, revMin: '', urgency: 'missing' as const }] : [],
    );
    const nowSec = Math.floor(clock.nowMs() / 1000);
    return state.fetches.request(requests, nowSec, { host: origin, state: listing });
  }

  /** Inactive accounts have no repo to fetch, but their status must be known. */
  async #appendInactive(origin: string, repos: readonly ListedRepo[]): Promise<void> {
    const { gate, clock, maySpeak, counters } = this.#options;
    const eventMs = clock.nowMs();
    const inactive = repos.filter(
      ({ active, status }) => !active && /^(deactivated|suspended|takendown)$/.test(status),
    );
    const append = async ({ did, status }: ListedRepo): Promise<void> => {
      if (await maySpeak(origin, did)) return gate.append({ kind: 'account', did, active: false, status, eventMs });
      counters.claimsRefused.with(origin, 'listed-status').add();
    };
    await Promise.all(inactive.map(append));
  }
}
