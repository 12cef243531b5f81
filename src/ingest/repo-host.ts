/**
 * Asks hosts for a repo's CAR, for their list of repos, and whether they still have a repo.
 *
 * Owns: the interpretation of their answers, and the host's limits around every request.
 */
import { isKeyableDid } from '../atproto/compact-key.ts';
import type { Clock } from '../base/clock.ts';
import type { FetchOutcome, PublicFetch } from '../identity/public-fetch.ts';
import { type HostLimits, retryAfterMs } from './host-limits.ts';

/** `gone`: the repo is deleted or withheld. `busy`: the host asks for a pause. */
export type HostFailure = {
  readonly ok: false;
  readonly reason: 'gone' | 'busy' | 'unreachable' | 'too-large' | 'answer-bad' | 'refused';
  readonly message: string;
};
export type RepoAnswer = { readonly ok: true; readonly car: Buffer } | HostFailure;
export type ListedRepo = {
  readonly did: string;
  readonly rev: string;
  readonly active: boolean;
  readonly status: string;
};
export type RepoPage =
  | { readonly ok: true; readonly repos: readonly ListedRepo[]; readonly pageToken: string }
  | HostFailure;

export type RepoHostOptions = {
  readonly fetch: PublicFetch;
  readonly limits: HostLimits;
  readonly clock: Clock;
  /** Origins that the operator named. */
  readonly isTrusted: (origin: string) => boolean;
  readonly signal: AbortSignal;
};

const listTimeoutMs = 60_000;
const repoTimeoutMs = 900_000;
const listBytesMax = 4_194_304;
const errorBytesMax = 65_536;
/** Repos in one page: the most that the protocol allows. */
const listPageRepos = 1000;

const goneErrors: ReadonlySet<unknown> = new Set([
  'RepoNotFound',
  'RepoTakendown',
  'RepoSuspended',
  'RepoDeactivated',
  'AccountNotFound',
  'AccountDeactivated',
  'AccountTakedown',
]);

function parseJson(body: Buffer): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(body.toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Readonly<Record<string, unknown>>)
      : null;
  } catch {
    return null;
  }
}

const stoppedFailure: HostFailure = { ok: false, reason: 'unreachable', message: 'stopped' };

export class RepoHost {
  readonly #options: RepoHostOptions;

  constructor(options: RepoHostOptions) {
    this.#options = options;
  }

  async #get(origin: string, path: string, accept: string, timeoutMs: number, bytesMax: number): Promise<FetchOutcome> {
    const { limits, fetch, signal, isTrusted } = this.#options;
    const outcome = await limits.run(origin, signal, () =>
      fetch.get({
        url: new URL(path, origin).href,
        isTrusted: isTrusted(origin),
        accept,
        timeoutMs,
        bytesMax,
        redirectsMax: 3,
        signal,
      }),
    );
    return outcome ?? { ok: false, reason: 'unreachable', message: 'stopped' };
  }

  #failureOf(origin: string, outcome: FetchOutcome): HostFailure {
    if (this.#options.signal.aborted) return stoppedFailure;
    if (!outcome.ok) {
      const isOurs = outcome.reason === 'address-not-public' || outcome.reason === 'scheme-not-allowed';
      const reason = isOurs || outcome.reason === 'url-bad' ? 'refused' : undefined;
      const other = outcome.reason === 'too-large' ? 'too-large' : 'unreachable';
      return { ok: false, reason: reason ?? other, message: `${outcome.reason}: ${outcome.message}` };
    }
    if (outcome.status === 429 || outcome.status === 503) {
      this.#options.limits.pause(origin, retryAfterMs(outcome.headers, this.#options.clock.nowMs()));
      return { ok: false, reason: 'busy', message: `${origin} answers ${outcome.status}` };
    }
    const error = outcome.body.length <= errorBytesMax ? parseJson(outcome.body)?.['error'] : undefined;
    if (goneErrors.has(error)) return { ok: false, reason: 'gone', message: String(error) };
    return { ok: false, reason: 'answer-bad', message: `${origin} answers ${outcome.status}` };
  }

  /** Fetches a whole repo of at most `bytesMax`. */
  async getRepo(origin: string, did: string, bytesMax: number): Promise<RepoAnswer> {
    const path = `/xrpc/com.atproto.sync.getRepo?did=${encodeURIComponent(did)}`;
    const outcome = await this.#get(origin, path, 'application/vnd.ipld.car', repoTimeoutMs, bytesMax);
    if (outcome.ok && outcome.status === 200) return { ok: true, car: outcome.body };
    return this.#failureOf(origin, outcome);
  }

  /** Fetches one page of a host's repos. The last page has an empty `pageToken`. */
  async listRepos(origin: string, pageToken: string): Promise<RepoPage> {
    const token = pageToken === '' ? '' : `&cursor=${encodeURIComponent(pageToken)}`;
    const path = `/xrpc/com.atproto.sync.listRepos?limit=${listPageRepos}${token}`;
    const outcome = await this.#get(origin, path, 'application/json', listTimeoutMs, listBytesMax);
    if (!outcome.ok || outcome.status !== 200) return this.#failureOf(origin, outcome);
    const page = parseJson(outcome.body);
    const listed = page?.['repos'];
    if (page === null || !Array.isArray(listed)) {
      return { ok: false, reason: 'answer-bad', message: `${origin}: a page of repos has no repos` };
    }
    const next = page['cursor'];
    return { ok: true, repos: listed.flatMap(listedRepoOf), pageToken: typeof next === 'string' ? next : '' };
  }

  /** Asks whether a host has a repo. Returns: null when that is unknown. */
  async hasRepo(origin: string, did: string): Promise<boolean | null> {
    const path = `/xrpc/com.atproto.sync.getLatestCommit?did=${encodeURIComponent(did)}`;
    const outcome = await this.#get(origin, path, 'application/json', 10_000, errorBytesMax);
    if (!outcome.ok) return null;
    if (outcome.status === 200) return true;
    const error = parseJson(outcome.body)?.['error'];
    if (error === 'RepoNotFound') return false;
    return goneErrors.has(error) ? true : null;
  }
}

/** Skips an unreadable item: the host's stream or a later listing may bring the repo. */
function listedRepoOf(item: unknown): ListedRepo[] {
  if (typeof item !== 'object' || item === null) return [];
  const { did, rev, active, status } = item as Readonly<Record<string, unknown>>;
  if (typeof did !== 'string' || !isKeyableDid(did)) return [];
  return [
    {
      did,
      rev: typeof rev === 'string' && rev.length <= 64 ? rev : '',
      active: active !== false,
      status: typeof status === 'string' && status.length <= 64 ? status : '',
    },
  ];
}
