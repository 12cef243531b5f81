/**
 * Asks hosts for a repo's CAR, for their list of repos, and whether they still have a repo.
 *
 * Owns: the interpretation of their answers, and the host's limits around every request.
 */
import * as v from 'valibot';
import { isKeyableDid, type RecordRef } from '../atproto/compact-key.ts';
import { inputLimits } from '../atproto/input-limits.ts';
import type { Clock } from '../base/clock.ts';
import { openObjectShape, parseShape } from '../config/json-shape.ts';
import type { FetchOutcome, FetchReason, Pace, PublicFetch } from '../identity/public-fetch.ts';
import { type HostLimits, retryAfterMs } from './host-limits.ts';

/** `gone`: the repo is deleted or withheld. `busy`: the host asks for a pause. */
export type HostFailure = {
  readonly ok: false;
  readonly reason: 'gone' | 'busy' | 'unreachable' | 'too-large' | 'answer-bad' | 'refused';
  readonly message: string;
};
export type RepoAnswer = { readonly ok: true; readonly car: Buffer; readonly origin: string } | HostFailure;
export type ListedRepo = Readonly<v.InferOutput<typeof listedRepoShape>>;
export type RepoPage =
  | { readonly ok: true; readonly repos: readonly ListedRepo[]; readonly pageToken: string }
  | HostFailure;

/** `busy`: the host answers, but not to the question. */
export type RepoPresence = 'there' | 'gone' | 'busy' | 'silent';

export type RepoHostOptions = {
  readonly fetch: PublicFetch;
  readonly limits: HostLimits;
  readonly clock: Clock;
  /** Origins that the operator named. */
  readonly isTrusted: (origin: string) => boolean;
  readonly signal: AbortSignal;
  /** Called for each request that a host failed. */
  readonly onFailure?: (origin: string) => void;
};

const listTimeoutMs = 60_000;
const repoTimeoutMs = 900_000;
/** While a repo is fetched, its live commits wait, and few repos are fetched at a time. */
const hostPace: Pace = { waitMs: 30_000, bytesPerSecMin: 65_536 };
/** An operator waits for the answer. */
const questionTimeoutMs = 10_000;
const listBytesMax = 4_194_304;
const errorBytesMax = 65_536;
/** Repos in one page: the most that the protocol allows. */
const listPageRepos = 1000;

const goneErrors: ReadonlySet<string> = new Set([
  'RepoNotFound',
  'RepoTakendown',
  'RepoSuspended',
  'RepoDeactivated',
  'AccountNotFound',
  'AccountDeactivated',
  'AccountTakedown',
]);

const latestShape = openObjectShape({ rev: v.pipe(v.string(), v.maxLength(64)) });
/** Hosts that prove no absence say this instead. */
export const recordNotFound = 'RecordNotFound';
const errorShape = openObjectShape({ error: v.string() });
const pageShape = openObjectShape({
  repos: v.pipe(v.array(v.unknown()), v.maxLength(inputLimits.listingReposMax)),
  // A longer token would end the listing as if complete.
  cursor: v.pipe(v.fallback(v.string(), ''), v.maxLength(inputLimits.listingTokenLengthMax)),
});
const shortTextShape = v.fallback(v.pipe(v.string(), v.maxLength(64)), '');
const listedRepoShape = openObjectShape({
  did: v.pipe(v.string(), v.check(isKeyableDid)),
  rev: shortTextShape,
  active: v.fallback(v.boolean(), true),
  status: shortTextShape,
});

/** Returns the name of the error in an answer, or '' without one. */
function errorNameOf(body: Buffer): string {
  return parseShape(errorShape, body.toString('utf8'))?.error ?? '';
}

/** Reasons for which we did not ask. */
const ourReasons: ReadonlySet<FetchReason> = new Set(['address-not-public', 'scheme-not-allowed', 'host-blocked']);
const stoppedFailure: HostFailure = { ok: false, reason: 'unreachable', message: 'stopped' };

export class RepoHost {
  readonly #options: RepoHostOptions;

  constructor(options: RepoHostOptions) {
    this.#options = options;
  }

  #request(origin: string, path: string, accept: string, timeoutMs: number, bytesMax: number): Promise<FetchOutcome> {
    const { fetch, signal, isTrusted } = this.#options;
    return fetch.get({
      url: new URL(path, origin).href,
      isTrusted: isTrusted(origin),
      accept,
      timeoutMs,
      pace: hostPace,
      bytesMax,
      redirectsMax: 3,
      signal,
    });
  }

  async #get(origin: string, path: string, accept: string, timeoutMs: number, bytesMax: number): Promise<FetchOutcome> {
    return this.#inTurn(origin, () => this.#request(origin, path, accept, timeoutMs, bytesMax));
  }

  async #inTurn(origin: string, send: () => Promise<FetchOutcome>): Promise<FetchOutcome> {
    const { limits, signal } = this.#options;
    return (await limits.run(origin, signal, send)) ?? { ok: false, reason: 'unreachable', message: 'stopped' };
  }

  #failureOf(origin: string, outcome: FetchOutcome): HostFailure {
    if (this.#options.signal.aborted) return stoppedFailure;
    this.#options.onFailure?.(origin);
    if (!outcome.ok) {
      const isOurs = ourReasons.has(outcome.reason);
      const reason = isOurs || outcome.reason === 'url-bad' ? 'refused' : undefined;
      const other = outcome.reason === 'too-large' ? 'too-large' : 'unreachable';
      return { ok: false, reason: reason ?? other, message: `${outcome.reason}: ${outcome.message}` };
    }
    if (outcome.status === 429 || outcome.status === 503) {
      this.#options.limits.pause(origin, retryAfterMs(outcome.headers, this.#options.clock.nowMs()));
      return { ok: false, reason: 'busy', message: `${origin} answers ${outcome.status}` };
    }
    const error = outcome.body.length <= errorBytesMax ? errorNameOf(outcome.body) : '';
    if (goneErrors.has(error)) return { ok: false, reason: 'gone', message: error };
    return { ok: false, reason: 'answer-bad', message: `${origin} answers ${outcome.status}` };
  }

  /** Returns whether a host wants no requests now. */
  isPaused(origin: string): boolean {
    return this.#options.limits.pausedMs(origin) > 1000;
  }

  /** Fetches a whole repo of at most `bytesMax`; calls `onStart` when its turn has come. */
  async getRepo(origin: string, did: string, bytesMax: number, onStart: () => void): Promise<RepoAnswer> {
    const path = `/xrpc/com.atproto.sync.getRepo?did=${encodeURIComponent(did)}`;
    const outcome = await this.#inTurn(origin, () => {
      onStart();
      return this.#request(origin, path, 'application/vnd.ipld.car', repoTimeoutMs, bytesMax);
    });
    if (outcome.ok && outcome.status === 200) return { ok: true, car: outcome.body, origin };
    return this.#failureOf(origin, outcome);
  }

  /** Fetches one page of a host's repos. The last page has an empty `pageToken`. */
  async listRepos(origin: string, pageToken: string): Promise<RepoPage> {
    const token = pageToken === '' ? '' : `&cursor=${encodeURIComponent(pageToken)}`;
    const path = `/xrpc/com.atproto.sync.listRepos?limit=${listPageRepos}${token}`;
    const outcome = await this.#get(origin, path, 'application/json', listTimeoutMs, listBytesMax);
    if (!outcome.ok || outcome.status !== 200) return this.#failureOf(origin, outcome);
    const page = parseShape(pageShape, outcome.body.toString('utf8'));
    if (page === undefined) {
      return { ok: false, reason: 'answer-bad', message: `${origin}: a page of repos has no repos, or too many` };
    }
    return { ok: true, repos: page.repos.flatMap(listedRepoOf), pageToken: page.cursor };
  }

  /** Asks for the rev of a repo. Returns: null when the host does not say it. */
  async latestRev(origin: string, did: string): Promise<{ readonly ok: true; readonly rev: string } | HostFailure> {
    const path = `/xrpc/com.atproto.sync.getLatestCommit?did=${encodeURIComponent(did)}`;
    const outcome = await this.#get(origin, path, 'application/json', questionTimeoutMs, errorBytesMax);
    if (!outcome.ok || outcome.status !== 200) return this.#failureOf(origin, outcome);
    const { rev } = parseShape(latestShape, outcome.body.toString('utf8')) ?? { rev: '' };
    return rev === '' ? { ok: false, reason: 'answer-bad', message: `${origin} names no rev` } : { ok: true, rev };
  }

  /** Fetches one record, or the proof that there is none: a CAR with the commit and its tree. */
  async getRecord(origin: string, { did, collection, rkey }: RecordRef): Promise<RepoAnswer> {
    const query = new URLSearchParams({ did, collection, rkey });
    const path = `/xrpc/com.atproto.sync.getRecord?${query}`;
    const bytesMax = inputLimits.commitCarBytesMax;
    const outcome = await this.#get(origin, path, 'application/vnd.ipld.car', questionTimeoutMs, bytesMax);
    if (outcome.ok && outcome.status === 200) return { ok: true, car: outcome.body, origin };
    if (outcome.ok && errorNameOf(outcome.body) === recordNotFound) {
      return { ok: false, reason: 'gone', message: recordNotFound };
    }
    return this.#failureOf(origin, outcome);
  }

  /**
   * Asks whether a host has a repo, outside the limits of fetches: the caller bounds the requests.
   *
   * Returns: `silent` also for a host that may not be asked.
   */
  async hasRepo(origin: string, did: string, timeoutMs: number): Promise<RepoPresence> {
    const { limits, clock } = this.#options;
    if (this.isPaused(origin)) return 'busy';
    const path = `/xrpc/com.atproto.sync.getLatestCommit?did=${encodeURIComponent(did)}`;
    const outcome = await this.#request(origin, path, 'application/json', timeoutMs, errorBytesMax);
    if (!outcome.ok) return outcome.reason === 'too-large' ? 'busy' : 'silent';
    if (outcome.status === 200) return 'there';
    if (outcome.status === 429) limits.pause(origin, retryAfterMs(outcome.headers, clock.nowMs()));
    const error = errorNameOf(outcome.body);
    if (error === 'RepoNotFound') return 'gone';
    return goneErrors.has(error) ? 'there' : 'busy';
  }
}

/** Skips an unreadable item: the host's stream or a later listing may bring the repo. */
function listedRepoOf(item: unknown): ListedRepo[] {
  const checked = v.safeParse(listedRepoShape, item);
  return checked.success ? [checked.output] : [];
}
