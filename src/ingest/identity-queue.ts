/**
 * Resolves DIDs in the background and appends the identities to the log.
 *
 * Owns: one resolution at a time per DID, the concurrency, and retries. A resolution that the
 * source asked for and that keeps failing is postponed durably, so that no cursor waits for a
 * directory that is down.
 */

import pLimit from 'p-limit';
import { backoffMs } from '../base/backoff.ts';
import type { Clock } from '../base/clock.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { InvariantError } from '../base/invariant.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { IdentityEntry } from '../entry/entry.ts';
import { type IdentityResolver, isTransientReason } from '../identity/identity-resolver.ts';
import type { LogAppender } from '../log/log-appender.ts';
import { IdentitySchedule } from './identity-schedule.ts';
import type { IngestCounters } from './ingest-counters.ts';
import { orAborted } from './or-aborted.ts';
import type { IdentityCheck } from './state/identity-times.ts';
import type { IngestState } from './state/ingest-state.ts';

export type IdentityQueueOptions = {
  readonly resolver: IdentityResolver;
  readonly appender: LogAppender;
  readonly state: IngestState;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly counters: IngestCounters;
};

/** Resolutions at once. */
const concurrencyMax = 32;
/** Jobs waiting or running. At this limit due DIDs are skipped, and `waitForCapacity` waits. */
const jobsMax = 10_000;
const attemptsMax = 3;
const attemptPolicy = { firstMs: 250, maxMs: 2000 };
const postponedScanMs = 30_000;
const postponedAttemptsMax = 24;
const postponedPolicy = { firstMs: 60_000, maxMs: 21_600_000 };

type Job = {
  /** The source reported a change. */
  isForced: boolean;
  /** Requested again while running: the document being read may predate the change. */
  isRequestedAgain: boolean;
  readonly postponedAttempts: number;
  readonly waiters: Waiter[];
};

type Found = { readonly entry: IdentityEntry; readonly check: IdentityCheck };
/** An identity to store; none, which is already stored; or no outcome after an abort. */
type AttemptOutcome = Found | 'nothing-found' | 'stopped';

type Waiter = { readonly resolve: () => void; readonly reject: (error: unknown) => void };

export class IdentityQueue {
  readonly #options: IdentityQueueOptions;
  readonly #signal: AbortSignal;
  readonly #jobByDid = new Map<string, Job>();
  readonly #limit = pLimit(concurrencyMax);
  readonly #schedule: IdentitySchedule;
  readonly #capacityWaiters: (() => void)[] = [];
  readonly #stopWaiters: (() => void)[] = [];

  /** Runs until the signal aborts. */
  constructor(options: IdentityQueueOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#schedule = new IdentitySchedule(options.state.identities);
  }

  get pendingCount(): number {
    return this.#jobByDid.size;
  }

  #nowSec(): number {
    return Math.floor(this.#options.clock.nowMs() / 1000);
  }

  /**
   * Resolves a DID because its source reported a change.
   *
   * Returns: once the outcome or its postponement is durable; never when the queue stops first.
   * Errors: the log's.
   */
  refresh(did: string, postponedAttempts = 0): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = { resolve, reject };
      const job = this.#jobByDid.get(did);
      if (job === undefined) {
        this.#add(did, { isForced: true, postponedAttempts, waiters: [waiter] });
        return;
      }
      job.isForced = true;
      job.isRequestedAgain = true;
      job.waiters.push(waiter);
    });
  }

  /** Records activity of a DID, and resolves it in the background when that is due. */
  noteActive(did: string): void {
    if (!this.#schedule.isDue(did, this.#nowSec()) || this.#jobByDid.has(did) || !this.hasCapacity) return;
    this.#add(did, { isForced: false, postponedAttempts: 0, waiters: [] });
  }

  #add(did: string, job: Omit<Job, 'isRequestedAgain'>): void {
    const added = { ...job, isRequestedAgain: false };
    this.#jobByDid.set(did, added);
    void this.#run(did, added);
  }

  /** Runs a job to its outcome, and again if it was requested meanwhile. */
  async #run(did: string, job: Job): Promise<void> {
    try {
      let outcome: AttemptOutcome;
      do {
        outcome = await this.#limit(() => {
          job.isRequestedAgain = false;
          return this.#attempt(did, job);
        });
        // The log may take a while, which must not block other resolutions.
        if (typeof outcome === 'object') await this.#store(outcome);
      } while (job.isRequestedAgain && outcome !== 'stopped');
      this.#end(did);
      // A stopped job has no outcome, so its waiters must not take it for done.
      if (outcome !== 'stopped') for (const { resolve } of job.waiters) resolve();
    } catch (error) {
      this.#end(did);
      for (const { reject } of job.waiters) reject(error);
      // A job may have no waiters, and nobody awaits this method: the error reaches main.
      if (error instanceof InvariantError) throw error;
    }
  }

  #end(did: string): void {
    this.#jobByDid.delete(did);
    if (this.hasCapacity) for (const resolve of this.#capacityWaiters.splice(0)) resolve();
    if (this.#jobByDid.size === 0) for (const resolve of this.#stopWaiters.splice(0)) resolve();
  }

  /** Waits until no job is left. After the signal aborts, jobs end without network requests. */
  async stopped(): Promise<void> {
    if (this.#jobByDid.size > 0) await new Promise<void>((resolve) => this.#stopWaiters.push(resolve));
  }

  async #attempt(did: string, job: Job): Promise<AttemptOutcome> {
    const { clock, resolver, counters, random } = this.#options;
    for (let attempt = 0; !this.#signal.aborted; attempt++) {
      const startedMs = clock.nowMs();
      const resolution = await resolver.resolveIdentity(did, true);
      if (resolution.ok && resolution.identity.isHandleCertain) {
        const { handle, keysJson, servicesJson, pds, signingKey } = resolution.identity;
        counters.identitiesResolved.with(handle === null ? 'without-handle' : 'with-handle').add();
        const times = { verifiedAtMs: startedMs, eventMs: startedMs };
        const checkedAtSec = Math.floor(startedMs / 1000);
        return {
          entry: { kind: 'identity', did, handle, keysJson, servicesJson, ...times },
          check: { checkedAtSec, hasHandle: handle !== null, pds, signingKey },
        };
      }
      const reason = resolution.ok ? 'handle-unreachable' : resolution.reason;
      counters.identitiesResolved.with(reason).add();
      if (!resolution.ok && !isTransientReason(resolution.reason)) {
        // The identity certainly does not exist now: the log keeps what it has for another hour.
        const nothing = { hasHandle: false, pds: null, signingKey: null };
        await this.#schedule.storeCheck(did, { checkedAtSec: this.#nowSec(), ...nothing });
        return 'nothing-found';
      }
      if (attempt + 1 >= attemptsMax) {
        if (job.isForced) await this.#postpone(did, job);
        else this.#schedule.noteFailure(did, this.#nowSec());
        return 'nothing-found';
      }
      await clock.sleep(backoffMs(attemptPolicy, attempt + 1, random), this.#signal);
    }
    return 'stopped';
  }

  async #store({ entry, check }: Found): Promise<void> {
    await this.#options.appender.append(entry.did, entry);
    reachCrashPoint('identity-before-store');
    // The state may be closed by then; losing this check costs one more resolution.
    if (this.#signal.aborted) return;
    await this.#schedule.storeCheck(entry.did, check);
  }

  async #postpone(did: string, job: Job): Promise<void> {
    const attempts = job.postponedAttempts + 1;
    this.#schedule.noteFailure(did, this.#nowSec());
    if (attempts > postponedAttemptsMax) {
      this.#options.counters.identitiesResolved.with('given-up').add();
      return this.#options.state.identities.dropPostponed(did);
    }
    const delaySec = Math.ceil(backoffMs(postponedPolicy, attempts, this.#options.random) / 1000);
    return this.#options.state.identities.postpone({ did, attempts, dueSec: this.#nowSec() + delaySec });
  }

  /** Retries postponed resolutions as they become due, until the signal aborts. */
  async runPostponed(): Promise<void> {
    while (!this.#signal.aborted) {
      const limit = Math.max(0, jobsMax / 10 - this.#jobByDid.size);
      for (const { did, attempts } of this.#options.state.identities.postponed(this.#nowSec(), limit)) {
        // After a failure it stays postponed and is retried.
        if (!this.#jobByDid.has(did))
          this.refresh(did, attempts).catch((error: unknown) => void operatingFailure(error));
      }
      await this.#options.clock.sleep(postponedScanMs, this.#signal);
    }
  }

  get hasCapacity(): boolean {
    return this.#jobByDid.size < jobsMax;
  }

  /** Resolves when there is capacity for another job. */
  async waitForCapacity(): Promise<void> {
    if (!this.hasCapacity) await new Promise<void>((resolve) => this.#capacityWaiters.push(resolve));
  }

  /** Waits for the jobs that exist now, or the signal. Returns: whether they finished. */
  async drained(signal: AbortSignal): Promise<boolean> {
    if (this.#jobByDid.size === 0) return true;
    const ended = [...this.#jobByDid.values()].map(
      (job) => new Promise<void>((resolve) => job.waiters.push({ resolve, reject: () => resolve() })),
    );
    return (await orAborted(Promise.all(ended), signal)) !== undefined;
  }
}
