/**
 * Fetches repos: single ones on request, those that slots found incomplete, and all of a host.
 *
 * Owns: the pace of the durable queue (concurrency, retries, when to give up) and the progress
 * figures. Requests survive a restart.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import { isRevAhead } from './ahead-watch.ts';
import { type BackfillProgress, ProgressMeter } from './backfill-progress.ts';
import type { HostLimits } from './host-limits.ts';
import { HostLister } from './host-lister.ts';
import type { IdentityQueue } from './identity-queue.ts';
import type { IngestCounters } from './ingest-counters.ts';
import type { FetchFailureReason, RepoFetch } from './repo-fetch.ts';
import type { RepoGate } from './repo-gate.ts';
import type { RepoHost } from './repo-host.ts';
import type { ListSpeaker } from './speaker.ts';
import type { FetchRequest, QueuedRepo, RepoRow } from './state/fetch-queue.ts';
import type { IngestState } from './state/ingest-state.ts';

export type BackfillOptions = {
  readonly state: IngestState;
  readonly gate: RepoGate;
  readonly fetch: RepoFetch;
  readonly host: RepoHost;
  readonly limits: HostLimits;
  readonly identities: IdentityQueue;
  readonly maySpeak: ListSpeaker;
  readonly counters: IngestCounters;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  /** Repos fetched at once, over all hosts. */
  readonly concurrencyMax: number;
};

/** Why the last attempt failed, as a code and in words. */
export type AttemptFailure = { readonly reason: string; readonly message: string };

export type RepoStatus = RepoRow & {
  readonly isRunning: boolean;
  /** Null before the first failure since the request; lost when this process restarts. */
  readonly lastFailure: AttemptFailure | null;
};

/** A queued repo that an attempt failed to fetch, and when the next attempt is due. */
export type WaitingRepo = {
  readonly did: string;
  readonly attempts: number;
  readonly dueSec: number;
  readonly lastFailure: AttemptFailure | null;
};

/** A repo counts as failed after this many attempts; their delays add up to about a day. */
const attemptsMax = 14;
/** The next attempt would end alike, at the same cost. */
const finalReasons: ReadonlySet<FetchFailureReason> = new Set(['too-large', 'records-too-large', 'entry-refused']);
const repoRetryPolicy = { firstMs: 1000, maxMs: 21_600_000 };
const idlePollMs = 1000;
/** Pause after a repo that must wait, so a long queue of them is not rewritten at full speed. */
const parkPauseMs = 50;
const failurePauseMs = 5000;
/** Delay of a large repo while others wait for memory. */
const crowdedSec = 30;
/** Failures are kept for status requests; beyond these limits the oldest are evicted. */
const failuresKept = { ttl: 86_400_000, ttlResolution: 0, max: 10_000 };

export class Backfill {
  readonly #options: BackfillOptions;
  readonly #signal: AbortSignal;
  readonly #running = new Map<string, Promise<void>>();
  readonly #lister: HostLister;
  readonly #meter: ProgressMeter;
  readonly #failures: LRUCache<string, AttemptFailure>;
  #wake = new AbortController();

  /** Works, once `run` is called, until the signal aborts. */
  constructor(options: BackfillOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#meter = new ProgressMeter(options.clock, options.state.fetches.totals);
    this.#failures = new LRUCache({ ...failuresKept, perf: { now: () => options.clock.monotonicMs() } });
    this.#lister = new HostLister({ ...options, onRequests: () => this.#wake.abort() }, signal);
    signal.addEventListener('abort', () => this.#wake.abort(), { once: true });
  }

  #nowSec(): number {
    return Math.floor(this.#options.clock.nowMs() / 1000);
  }

  get progress(): BackfillProgress {
    const { state } = this.#options;
    const nextDueSec = state.fetches.nextDueSec((did) => this.#running.has(did));
    return {
      ...this.#meter.progress(state.fetches.totals, this.#running.size, this.#lister.runningCount > 0),
      isWaiting: this.#running.size === 0 && nextDueSec !== undefined && nextDueSec > this.#nowSec(),
      hostsListing: this.#lister.runningCount,
      failingHosts: this.#lister.problems,
    };
  }

  repo(did: string): RepoStatus | undefined {
    const row = this.#options.state.fetches.get(did);
    if (row === undefined) return undefined;
    return { ...row, isRunning: this.#running.has(did), lastFailure: this.#failures.get(did) ?? null };
  }

  /** Returns at most `limit` queued repos that wait for their next attempt, soonest first. */
  waitingRepos(limit: number): WaitingRepo[] {
    return this.#options.state.fetches
      .due(2 ** 32 - 1, limit, (did) => this.#running.has(did))
      .map(({ did, row: { attempts, dueSec } }) => ({
        did,
        attempts,
        dueSec,
        lastFailure: this.#failures.get(did) ?? null,
      }));
  }

  /** Stores requests. Idle time before them does not count as slow work. */
  async #request(requests: readonly FetchRequest[]): Promise<void> {
    this.#restartIdleMeter();
    await this.#options.state.fetches.request(requests, this.#nowSec());
    reachCrashPoint('fetch-after-request');
    this.#wake.abort();
  }

  #restartIdleMeter(): void {
    const { totals } = this.#options.state.fetches;
    if (this.#running.size === 0 && this.#lister.runningCount === 0 && totals.queued === 0) this.#meter.restart(totals);
  }

  /** Requests one repo at any rev, ahead of others. Returns: once the request is durable. */
  requestRepo(did: string, host: string | null): Promise<void> {
    this.#failures.delete(did);
    return this.#request([{ did, host, revMin: '', urgency: 'now' }]);
  }

  /** Requests repos at any rev, whatever became of them before. Returns: once that is durable. */
  requestRepos(dids: readonly string[]): Promise<void> {
    return this.#request(dids.map((did) => ({ did, host: null, revMin: '', urgency: 'now' })));
  }

  /** Requests a repo that is incomplete below `revMin` ('' when unknown). Idempotent. */
  requestResync(did: string, revMin: string): Promise<void> {
    return this.requestResyncs([{ did, revMin }]);
  }

  /** Like `requestResync`, for many repos in one transaction. No snapshot has a rev ahead of us. */
  requestResyncs(repos: readonly { readonly did: string; readonly revMin: string }[]): Promise<void> {
    const nowMs = this.#options.clock.nowMs();
    return this.#request(
      repos.map(({ did, revMin }) => {
        return { did, revMin: isRevAhead(revMin, nowMs) ? '' : revMin, host: null, urgency: 'again' };
      }),
    );
  }

  /** See `HostLister.isListed`. */
  isListed(origin: string): boolean {
    return this.#lister.isListed(origin);
  }

  /** Requests all listed repos of a host without an outcome. Returns: once that is durable. */
  requestHost(origin: string): Promise<void> {
    this.#restartIdleMeter();
    return this.#lister.request(origin);
  }

  /** Works until the signal aborts, then waits for running attempts. */
  async run(): Promise<void> {
    this.#lister.resume();
    while (!this.#signal.aborted) {
      this.#wake = new AbortController();
      if (!this.#startDue()) await this.#options.clock.sleep(idlePollMs, this.#wake.signal);
      // Yields, so that a run of repos that cannot be fetched does not block the event loop.
      else await nextTurn();
    }
    await Promise.all([...this.#running.values(), this.#lister.stopped()]);
  }

  /** Starts due repos up to the concurrency limit. Returns: whether any started. */
  #startDue(): boolean {
    const freeCount = this.#options.concurrencyMax - this.#running.size;
    if (freeCount <= 0) return false;
    const due = this.#options.state.fetches.due(this.#nowSec(), freeCount, (did) => this.#running.has(did));
    for (const repo of due) {
      const running = this.#attempt(repo)
        .catch((error: unknown) => this.#pauseAfter(error, repo.did))
        .finally(() => {
          this.#running.delete(repo.did);
          this.#wake.abort();
        });
      this.#running.set(repo.did, running);
    }
    return due.length > 0;
  }

  /** Writing the log or the state failed: the repo stays queued while disk or nodes recover. */
  #pauseAfter(error: unknown, did: string): Promise<void> {
    const { message } = operatingFailure(error);
    this.#failures.set(did, { reason: 'not-written', message });
    this.#options.note('fetching a repo fails', { did, problem: message });
    return this.#options.clock.sleep(failurePauseMs, this.#signal);
  }

  async #attempt({ did, row }: QueuedRepo): Promise<void> {
    const { state, limits, fetch, identities, counters, clock, gate } = this.#options;
    const pausedMs = row.host === null ? 0 : limits.pausedMs(row.host);
    if (pausedMs > 1000) {
      await state.fetches.storeOutcome(did, (now) => ({ ...now, dueSec: this.#nowSec() + Math.ceil(pausedMs / 1000) }));
      this.#failures.set(did, { reason: 'busy', message: `${row.host} asked for a pause` });
      return clock.sleep(parkPauseMs, this.#signal);
    }
    const outcome = await fetch.fetch(did, row);
    if (this.#signal.aborted) return;
    counters.reposFetched.with(outcome.ok ? 'done' : outcome.reason).add();
    if (outcome.ok) {
      await identities.waitForCapacity();
      identities.noteActive(did);
      this.#meter.add(outcome.records);
      // A request for a later rev in the meantime keeps the repo queued.
      const afterFetch = (now: RepoRow): RepoRow =>
        now.revMin > outcome.rev
          ? { ...now, attempts: now.attempts + 1, rev: outcome.rev, dueSec: this.#nowSec() + 1 }
          : { ...now, state: 'done', rev: outcome.rev, revMin: '', dueSec: this.#nowSec() };
      await state.fetches.storeOutcome(did, afterFetch, outcome.records);
      return;
    }
    this.#failures.set(did, { reason: outcome.reason, message: outcome.message });
    const { reason } = outcome;
    const after = await state.fetches.storeOutcome(did, (now) => this.#afterFailure(reason, now));
    if (reason === 'crowded') return clock.sleep(parkPauseMs, this.#signal);
    if (after.state === 'queued') return;
    // Else its slot would ask for it for ever. A slot that misses this asks again, with this end.
    await gate.appendSnapshot(did, { kind: 'resync-given-up', did, eventMs: clock.nowMs() });
  }

  #afterFailure(reason: FetchFailureReason, now: RepoRow): RepoRow {
    if (reason === 'gone') return { ...now, state: 'gone', dueSec: this.#nowSec() };
    if (reason === 'crowded') return { ...now, dueSec: this.#nowSec() + crowdedSec };
    const attempts = reason === 'busy' ? now.attempts : now.attempts + 1;
    const isFinal = finalReasons.has(reason) || attempts >= attemptsMax;
    if (isFinal) return { ...now, state: 'failed', attempts, dueSec: this.#nowSec() };
    const delaySec = Math.ceil(backoffMs(repoRetryPolicy, attempts, this.#options.random) / 1000);
    return { ...now, attempts, dueSec: this.#nowSec() + delaySec };
  }
}
