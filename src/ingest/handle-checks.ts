/**
 * Verifies the handles of imported identities in the background, at a rate that an operator sets.
 *
 * Owns: which comes next, in the order of the state's keys. What was verified is stored, so a
 * restart passes over it. A handle whose host does not answer is left for the next sweep, or for
 * its account's activity.
 */
import type { Clock } from '../base/clock.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import { isTransientHandleReason } from '../identity/handle-resolver.ts';
import type { IdentityResolver } from '../identity/identity-resolver.ts';
import type { LogAppender } from '../log/log-appender.ts';
import type { IngestCounters } from './ingest-counters.ts';
import type { UnverifiedHandle } from './state/identity-table.ts';
import type { IngestState } from './state/ingest-state.ts';

export type HandleChecksOptions = {
  readonly state: IngestState;
  readonly resolver: IdentityResolver;
  readonly appender: LogAppender;
  readonly clock: Clock;
  readonly counters: IngestCounters;
  /** 0 for none. */
  readonly perSecond: number;
};

const tickMs = 100;
/** Rows of the state that one tick passes over. */
const rowsPerTick = 2000;
/** Checks at once, whatever the rate. */
const runningMax = 128;
/** Between two sweeps, while handles are left that could not be checked. */
const restMs = 3_600_000;
const timeoutMs = 5000;

export class HandleChecks {
  readonly #options: HandleChecksOptions;
  readonly #signal: AbortSignal;
  readonly #running = new Set<Promise<void>>();
  #wake = new AbortController();
  #hasNew = true;

  constructor(options: HandleChecksOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#wake.abort(), { once: true });
  }

  /** There are handles to verify. */
  wake(): void {
    this.#hasNew = true;
    this.#wake.abort();
  }

  /** Works until the signal aborts. */
  async run(): Promise<void> {
    const { perSecond, state, clock } = this.#options;
    if (perSecond === 0) return;
    while (!this.#signal.aborted) {
      this.#hasNew = false;
      if (state.imports.get() !== undefined) await this.#sweep();
      this.#wake = new AbortController();
      if (!this.#hasNew && !this.#signal.aborted) await clock.sleep(restMs, this.#wake.signal);
    }
    await Promise.all(this.#running);
  }

  async #sweep(): Promise<void> {
    const { state, clock, perSecond } = this.#options;
    const bucket = new TokenBucket(perSecond, clock, 0);
    let after: Buffer | null = null;
    do {
      const { found, last } = state.identities.unverifiedAfter(after, rowsPerTick);
      for (const handle of found) {
        while (this.#running.size >= runningMax || !bucket.tryTake()) {
          await clock.sleep(tickMs, this.#signal);
          if (this.#signal.aborted) return;
        }
        this.#start(handle);
      }
      after = last;
      // Passing over what is verified must leave the thread to others.
      await clock.sleep(1, this.#signal);
    } while (after !== null && !this.#signal.aborted);
    await Promise.all(this.#running);
  }

  #start(handle: UnverifiedHandle): void {
    const check = this.#check(handle)
      .catch((thrown: unknown) => {
        operatingFailure(thrown);
        this.#options.counters.identitiesResolved.with('not-stored').add();
      })
      .finally(() => this.#running.delete(check));
    this.#running.add(check);
  }

  async #check(unverified: UnverifiedHandle): Promise<void> {
    const { clock, resolver, appender, state, counters } = this.#options;
    const { did, handle } = unverified;
    const startedMs = clock.nowMs();
    const found = await resolver.resolveHandle(handle, { fresh: true, timeoutMs });
    if (this.#signal.aborted) return;
    if (!found.ok && isTransientHandleReason(found.reason)) {
      return counters.identitiesResolved.with('handle-unreachable').add();
    }
    const isProven = found.ok && found.did === did;
    counters.identitiesResolved.with(isProven ? 'with-handle' : 'without-handle').add();
    // Without keys, the document that the slot has stays.
    const times = { verifiedAtMs: startedMs, eventMs: startedMs };
    const document = { keysJson: '', servicesJson: '' };
    await appender.append(did, { kind: 'identity', did, handle: isProven ? handle : null, ...document, ...times });
    if (!this.#signal.aborted) await state.identities.storeHandleCheck(unverified, isProven);
  }
}
