/**
 * Identities resolved on request, in the form of GetIdentityByDid and GetIdentityByHandle.
 *
 * Owns: what counts as a request for a fresh answer. The AppView checks a signature by the key of
 * GetIdentityByDid, and after a failure sends the same request once more; the message cannot say
 * why. So a repeat soon after an answer gets a new look-up: bounded for each DID, and in all.
 */
import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { orAborted } from '../base/or-aborted.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import { isTransientHandleReason } from './handle-resolver.ts';
import { type DidResolution, type IdentityResolver, isTransientReason } from './identity-resolver.ts';

export type LiveIdentity = {
  readonly did: string;
  /** The handle that the DID document claims, as written, or ''. */
  readonly handle: string;
  readonly keysJson: string;
  readonly servicesJson: string;
  readonly updatedMs: number;
};

type Asked = {
  /** Monotonic, as the next. */
  answeredMs: number;
  /** No fresh look-up before this time. */
  notBeforeMs: number;
  intervalMs: number;
  /** The newest that a look-up found. */
  found: LiveIdentity | null;
};

/** A request this soon after an answer is a repeat of it. */
const repeatMsMax = 1000;
/** What was resolved so recently is fresh. */
const freshMs = 5000;
/** Between fresh look-ups of one DID; doubles while they find nothing new, for busy callers. */
const intervalMsMin = 10_000;
const intervalMsMax = 600_000;
/** Fresh look-ups of all DIDs. */
const freshPerSecondMax = 50;
const freshTimeoutMs = 2000;
const askedDidsMax = 20_000;

/** Answers identity requests from a resolver and its caches. */
export class LiveIdentitySource {
  readonly #resolver: IdentityResolver;
  readonly #clock: Clock;
  readonly #askedByDid = new LRUCache<string, Asked>({ max: askedDidsMax });
  readonly #lookupByDid = new Map<string, Promise<DidResolution>>();
  readonly #freshTokens: TokenBucket;

  constructor(resolver: IdentityResolver, clock: Clock = systemClock) {
    this.#resolver = resolver;
    this.#clock = clock;
    this.#freshTokens = new TokenBucket(freshPerSecondMax, clock);
  }

  /**
   * Returns the identity of a DID, or null when there is none.
   *
   * Errors: DataPlaneError `Unavailable` when it cannot be resolved now, or not before the signal.
   */
  async byDid(did: string, signal?: AbortSignal): Promise<LiveIdentity | null> {
    // A fresh look-up is in the resolver's cache then.
    await this.fresher(did, 0, signal);
    const resolution = await this.#waitFor(did, this.#resolver.resolveDid(did), signal);
    return this.#answerOf(did, resolution);
  }

  /** Like `byDid`, for the DID that a handle points to. */
  async byHandle(handle: string, signal?: AbortSignal): Promise<LiveIdentity | null> {
    const found = await this.#waitFor(handle, this.#resolver.resolveHandle(handle), signal);
    if (found.ok) return this.byDid(found.did, signal);
    if (!isTransientHandleReason(found.reason)) return null;
    throw new DataPlaneError('Unavailable', `the handle ${handle} cannot be resolved now`);
  }

  /**
   * Returns an identity newer than one of `updatedMs` that is about to be answered: from a fresh
   * look-up, if the caller repeats a request, or from an earlier one.
   *
   * Returns: null when there is none, or it cannot be had in time; the older one answers then.
   */
  async fresher(did: string, updatedMs: number, signal?: AbortSignal): Promise<LiveIdentity | null> {
    const asked = this.#askedByDid.get(did) ?? { answeredMs: -repeatMsMax, notBeforeMs: 0, intervalMs: 0, found: null };
    if (this.#isDue(asked, updatedMs)) await this.#lookUpAfresh(did, asked, signal);
    asked.answeredMs = this.#clock.monotonicMs();
    this.#askedByDid.set(did, asked);
    return asked.found !== null && asked.found.updatedMs > updatedMs ? asked.found : null;
  }

  #isDue(asked: Asked, updatedMs: number): boolean {
    const nowMs = this.#clock.monotonicMs();
    const isRepeat = nowMs - asked.answeredMs < repeatMsMax;
    if (!isRepeat || nowMs < asked.notBeforeMs || this.#clock.nowMs() - updatedMs < freshMs) return false;
    return this.#freshTokens.tryTake();
  }

  async #lookUpAfresh(did: string, asked: Asked, signal: AbortSignal | undefined): Promise<void> {
    const isUnchanged = asked.intervalMs > 0;
    asked.intervalMs = isUnchanged ? Math.min(2 * asked.intervalMs, intervalMsMax) : intervalMsMin;
    asked.notBeforeMs = this.#clock.monotonicMs() + asked.intervalMs;
    const running = this.#lookupByDid.get(did) ?? this.#startLookup(did);
    const resolution = signal === undefined ? await running : await orAborted(running, signal);
    if (resolution?.ok !== true) return;
    const found = this.#answerOf(did, resolution);
    if (found?.keysJson !== asked.found?.keysJson) asked.intervalMs = 0;
    asked.found = found;
  }

  #startLookup(did: string): Promise<DidResolution> {
    const options = { fresh: true, timeoutMs: freshTimeoutMs };
    const lookup = this.#resolver.resolveDid(did, options).finally(() => this.#lookupByDid.delete(did));
    this.#lookupByDid.set(did, lookup);
    return lookup;
  }

  /** A look-up has a deadline of its own; callers leave it at theirs. */
  async #waitFor<Value>(name: string, lookup: Promise<Value>, signal: AbortSignal | undefined): Promise<Value> {
    const found = signal === undefined ? await lookup : await orAborted(lookup, signal);
    if (found !== undefined) return found;
    throw new DataPlaneError('Unavailable', `${name} could not be resolved in time`);
  }

  #answerOf(did: string, resolution: DidResolution): LiveIdentity | null {
    if (resolution.ok) {
      const { claimedHandle, keysJson, servicesJson } = resolution.document;
      return { did, handle: claimedHandle ?? '', keysJson, servicesJson, updatedMs: this.#clock.nowMs() };
    }
    if (!isTransientReason(resolution.reason)) return null;
    throw new DataPlaneError('Unavailable', `the document of ${did} cannot be had now`);
  }
}
