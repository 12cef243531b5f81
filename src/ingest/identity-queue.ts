/**
 * Resolves DIDs in the background and appends the identities to the log.
 *
 * Owns: one resolution at a time per DID. What a source reported is recorded durably first and that
 * is all its cursor waits for; activity of a DID that is due is only in memory.
 */
import type { Clock } from '../base/clock.ts';
import { reachCrashPoint } from '../base/crash-point.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { orAborted } from '../base/or-aborted.ts';
import type { SeededRandom } from '../base/seeded-random.ts';
import type { IdentityEntry } from '../entry/entry.ts';
import { type Identity, type IdentityResolver, isTransientReason } from '../identity/identity-resolver.ts';
import { EntriesRefused } from '../log/entries-refused.ts';
import type { LogAppender } from '../log/log-appender.ts';
import { DueLookups, retryDelaySec } from './due-lookups.ts';
import { IdentitySchedule } from './identity-schedule.ts';
import type { IngestCounters } from './ingest-counters.ts';
import type { IngestState } from './state/ingest-state.ts';
import type { QueuedLookup } from './state/lookup-queue.ts';

export type IdentityQueueOptions = {
  readonly resolver: IdentityResolver;
  readonly appender: LogAppender;
  readonly state: IngestState;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly counters: IngestCounters;
};

/** Resolutions in memory; at this limit due DIDs are skipped, and `waitForCapacity` waits. */
const jobsMax = 10_000;
const endedPollMs = 20;
/** Resolutions at once of each lane of those that are queued durably. */
const queuedRunningMax = 1024;
/** Each request of a first attempt; a host that is slower is asked again later, with more time. */
const firstTimeoutMs = 2000;
const laterTimeoutMs = 8000;
/** Attempts for a reported change: about five days. */
const attemptsMax = 24;

type Job = {
  /** Requested again while running: the document being read may predate the change. */
  isRequestedAgain: boolean;
  readonly ended: Promise<void>;
};

export class IdentityQueue {
  readonly #options: IdentityQueueOptions;
  readonly #signal: AbortSignal;
  readonly #jobByDid = new Map<string, Job>();
  readonly #schedule: IdentitySchedule;
  readonly #due: DueLookups;
  readonly #capacityWaiters: (() => void)[] = [];

  /** Runs until the signal aborts. */
  constructor(options: IdentityQueueOptions, signal: AbortSignal) {
    const { state, clock, random, resolver } = options;
    this.#options = options;
    this.#signal = signal;
    this.#schedule = new IdentitySchedule(state.identities);
    this.#due = new DueLookups(
      {
        queue: state.lookups,
        clock,
        random,
        runningMax: queuedRunningMax,
        hasCapacity: (did) => resolver.hasCapacity(did),
        attempt: (row) => this.#attemptQueued(row),
        onFailure: () => this.#countFailure(),
      },
      signal,
    );
  }

  /** Resolutions that run. */
  get pendingCount(): number {
    return this.#jobByDid.size;
  }

  #nowSec(): number {
    return Math.floor(this.#options.clock.nowMs() / 1000);
  }

  #countFailure(): void {
    this.#options.counters.identitiesResolved.with('not-stored').add();
  }

  /**
   * Requests the resolution of a DID because its source reported a change.
   *
   * Returns: once the request is durable, or counted because too many wait for the same site.
   * Errors: the state's.
   */
  async refresh(did: string): Promise<void> {
    const { state, counters, clock } = this.#options;
    const job = this.#jobByDid.get(did);
    if (job !== undefined) job.isRequestedAgain = true;
    const fields = { dueSec: this.#nowSec(), attempts: 0, eventMs: clock.nowMs() };
    const isQueued = await state.lookups.request(did, fields);
    if (isQueued) this.#due.wake();
    else counters.identitiesResolved.with('queue-full').add();
  }

  /** Records activity of a DID, and resolves it in the background when that is due. */
  noteActive(did: string): void {
    if (!this.#schedule.isDue(did, this.#nowSec()) || this.#jobByDid.has(did)) return;
    if (!this.hasCapacity || !this.#options.resolver.hasCapacity(did)) {
      this.#options.counters.identitiesResolved.with('skipped').add();
      return;
    }
    void this.#runJob(did, null);
  }

  /** Waits for a resolution of the same DID that runs already; then it is due, and starts again. */
  #attemptQueued(row: QueuedLookup): Promise<void> {
    return this.#jobByDid.get(row.did)?.ended ?? this.#runJob(row.did, row);
  }

  /** Errors: the log's and the state's for a queued resolution; for others they are counted. */
  #runJob(did: string, row: QueuedLookup | null): Promise<void> {
    const run = async (): Promise<void> => {
      // Not before the job is in the map.
      await Promise.resolve();
      try {
        await this.#attempt(did, row);
      } catch (error) {
        if (row !== null) throw error;
        operatingFailure(error);
        this.#countFailure();
      } finally {
        this.#jobByDid.delete(did);
        if (this.hasCapacity) for (const resolve of this.#capacityWaiters.splice(0)) resolve();
      }
    };
    const ended = run();
    this.#jobByDid.set(did, { isRequestedAgain: false, ended });
    return ended;
  }

  async #attempt(did: string, row: QueuedLookup | null): Promise<void> {
    const { clock, resolver, counters } = this.#options;
    const startedMs = clock.nowMs();
    const timeoutMs = (row?.attempts ?? 0) === 0 ? firstTimeoutMs : laterTimeoutMs;
    const resolution = await resolver.resolveIdentity(did, { fresh: true, timeoutMs });
    // A stopped attempt has no outcome, and what is queued is tried at the next start.
    if (this.#signal.aborted) return;
    if (resolution.ok) {
      const { isHandleCertain, handle } = resolution.identity;
      const outcome = handle === null ? 'without-handle' : 'with-handle';
      counters.identitiesResolved.with(isHandleCertain ? outcome : 'handle-unreachable').add();
      if (isHandleCertain) return this.#store(resolution.identity, startedMs, true);
      if (this.#isChanged(resolution.identity)) await this.#store(resolution.identity, startedMs, false);
      return this.#postpone(did, row);
    }
    counters.identitiesResolved.with(resolution.reason).add();
    if (isTransientReason(resolution.reason)) return this.#postpone(did, row);
    // The identity certainly does not exist now: the log keeps what it has for another hour.
    const nothing = { hasHandle: false, pds: null, signingKey: null };
    await this.#storeCheck(did, { checkedAtSec: this.#nowSec(), ...nothing });
  }

  /** Keys and PDS count at once, even while the handle cannot be checked. */
  #isChanged({ did, pds, signingKey }: Identity): boolean {
    const facts = this.#options.state.identities.check(did);
    return facts === undefined || facts.pds !== pds || facts.signingKey !== signingKey;
  }

  /** Appends an identity; one whose handle is uncertain leaves the slot's handle as it is. */
  async #store(identity: Identity, startedMs: number, isHandleCertain: boolean): Promise<void> {
    const { did, keysJson, servicesJson, pds, signingKey } = identity;
    const handle = isHandleCertain ? identity.handle : null;
    const times = { verifiedAtMs: isHandleCertain ? startedMs : 0, eventMs: startedMs };
    const entry: IdentityEntry = { kind: 'identity', did, handle, keysJson, servicesJson, ...times };
    // One that is refused for good would be refused again: the log keeps what it has.
    await this.#options.appender.append(did, entry).catch((error: unknown) => {
      if (!(error instanceof EntriesRefused)) throw error;
    });
    reachCrashPoint('identity-before-store');
    // The state may be closed by then; losing this check costs one more resolution.
    if (this.#signal.aborted) return;
    const check = { checkedAtSec: Math.floor(startedMs / 1000), hasHandle: handle !== null, pds, signingKey };
    if (isHandleCertain) return this.#storeCheck(did, check);
    await this.#schedule.storeCheck(did, check, false);
  }

  #storeCheck(did: string, check: Parameters<IdentitySchedule['storeCheck']>[1]): Promise<void> {
    return this.#schedule.storeCheck(did, check, this.#jobByDid.get(did)?.isRequestedAgain !== true);
  }

  /** Queues a DID that was never resolved like a reported change; activity brings others again. */
  async #postpone(did: string, row: QueuedLookup | null): Promise<void> {
    const { state, counters, random, clock } = this.#options;
    this.#schedule.noteFailure(did, this.#nowSec());
    if (this.#jobByDid.get(did)?.isRequestedAgain === true) return;
    const attempts = (row?.attempts ?? 0) + 1;
    const dueSec = this.#nowSec() + retryDelaySec(attempts, random);
    if (row === null) {
      if (state.identities.check(did) !== undefined || state.lookups.get(did) !== undefined) return;
      await state.lookups.request(did, { dueSec, attempts, eventMs: clock.nowMs() });
    } else if (attempts <= attemptsMax) {
      await state.lookups.change(did, (now) => ({ ...now, attempts, dueSec }));
    } else {
      counters.identitiesResolved.with('given-up').add();
      await state.lookups.end(did);
    }
  }

  /** Resolves what is queued durably as it becomes due, until the signal aborts. */
  run(): Promise<void> {
    return this.#due.run();
  }

  /** Waits until no job is left. After the signal aborts, jobs end without network requests. */
  async stopped(): Promise<void> {
    await Promise.allSettled([...this.#jobByDid.values()].map(({ ended }) => ended));
  }

  get hasCapacity(): boolean {
    return this.#jobByDid.size < jobsMax;
  }

  /** Resolves when there is capacity for another job. */
  async waitForCapacity(): Promise<void> {
    if (!this.hasCapacity) await new Promise<void>((resolve) => this.#capacityWaiters.push(resolve));
  }

  /** Waits for the first attempt of a look-up that is queued, or the signal. */
  async ended(did: string, signal: AbortSignal): Promise<void> {
    const { state, clock } = this.#options;
    while ((state.lookups.get(did)?.attempts ?? 1) === 0 && !signal.aborted) await clock.sleep(endedPollMs, signal);
  }

  /**
   * Waits for the first attempt of everything that is queued now, or the signal; not for a second
   * one, since whoever answered with an error has answered. Returns: whether they were made.
   */
  async drained(signal: AbortSignal): Promise<boolean> {
    const running = [...this.#jobByDid.values()].map(({ ended }) => ended);
    if ((await orAborted(Promise.allSettled(running), signal)) === undefined) return false;
    return this.#due.firstAttempts(signal);
  }
}
