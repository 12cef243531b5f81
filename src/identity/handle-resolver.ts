/**
 * Finds the DID that a handle points to.
 *
 * Either asks an XRPC host that the operator named (a PDS or an AppView), or resolves it itself:
 * DNS TXT at `_atproto.<handle>` first, then `https://<handle>/.well-known/atproto-did`.
 */
import { Resolver } from 'node:dns/promises';
import { isValidHandle } from '@atproto/syntax';
import * as v from 'valibot';
import { isKeyableDid } from '../atproto/compact-key.ts';
import type { Clock } from '../base/clock.ts';
import { orAborted } from '../base/or-aborted.ts';
import { openObjectShape, parseShape } from '../config/json-shape.ts';
import { RenewedResolver } from './address-lookup.ts';
import type { PublicFetch } from './public-fetch.ts';

/**
 * The DID of a handle, or why there is none. `not-found`: the handle proves nothing now.
 * `unreachable`: the resolver or DNS did not respond. `crowded`: too many look-ups wait.
 */
export type HandleResolution =
  | { readonly ok: true; readonly did: string }
  | { readonly ok: false; readonly reason: 'handle-bad' | 'not-found' | 'unreachable' | 'crowded' };

/** True for failures that a retry may cure. */
export function isTransientHandleReason(reason: (HandleResolution & { ok: false })['reason']): boolean {
  return reason === 'unreachable' || reason === 'crowded';
}

export type HandleLookupOptions = { readonly timeoutMs?: number };

/** Looks up TXT records; rejects with the error codes of node:dns. */
export type TxtLookup = (name: string) => Promise<string[][]>;

export type HandleResolverOptions = {
  readonly fetch: PublicFetch;
  /** An XRPC origin that alone decides; null for DNS and https. */
  readonly resolverUrl: string | null;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly txtLookup?: TxtLookup;
};

const answerBytesMax = 4096;
/** DNS errors that mean "no such record", unlike a timeout or a failing server. */
const absentCodes: ReadonlySet<unknown> = new Set(['ENOTFOUND', 'ENODATA', 'ENONAME']);

const didShape = openObjectShape({ did: v.string() });

const notFound: HandleResolution = { ok: false, reason: 'not-found' };
const unreachable: HandleResolution = { ok: false, reason: 'unreachable' };

function resolutionOf(did: string): HandleResolution {
  return isKeyableDid(did) ? { ok: true, did } : notFound;
}

/** Resolves handles, without a cache. */
export class HandleResolver {
  readonly #options: HandleResolverOptions;
  readonly #txtLookup: TxtLookup;

  constructor(options: HandleResolverOptions) {
    this.#options = options;
    const dns = new RenewedResolver(() => new Resolver({ timeout: options.timeoutMs, tries: 2 }), options.clock);
    this.#txtLookup = options.txtLookup ?? ((name) => dns.current.resolveTxt(name));
  }

  /** Shape: `handle` is in lower case. */
  async resolve(handle: string, options: HandleLookupOptions = {}): Promise<HandleResolution> {
    if (!isValidHandle(handle)) return { ok: false, reason: 'handle-bad' };
    if (this.#options.resolverUrl !== null) return this.#resolveByXrpc(this.#options.resolverUrl, handle, options);
    const byDns = await this.#resolveByDns(handle, options);
    if (byDns.ok) return byDns;
    const byHttps = await this.#resolveByHttps(handle, options);
    // A silent web host proves nothing: not found. A failing DNS may be our fault: unknown.
    return byHttps.ok ? byHttps : byDns;
  }

  async #resolveByXrpc(origin: string, handle: string, options: HandleLookupOptions): Promise<HandleResolution> {
    const url = new URL('/xrpc/com.atproto.identity.resolveHandle', origin);
    url.searchParams.set('handle', handle);
    const answer = await this.#options.fetch.get({
      url: url.href,
      isTrusted: true,
      accept: 'application/json',
      timeoutMs: this.#options.timeoutMs,
      ...options,
      bytesMax: answerBytesMax,
      redirectsMax: 0,
    });
    if (!answer.ok) return answer.reason === 'too-large' ? notFound : unreachable;
    if (answer.status === 200) return resolutionOf(parseShape(didShape, answer.body.toString('utf8'))?.did ?? '');
    return answer.status === 400 || answer.status === 404 ? notFound : unreachable;
  }

  async #resolveByDns(handle: string, options: HandleLookupOptions): Promise<HandleResolution> {
    try {
      // The DNS client tries several servers, each with its own timeout.
      const deadline = AbortSignal.timeout(options.timeoutMs ?? this.#options.timeoutMs);
      const found = await orAborted(this.#txtLookup(`_atproto.${handle}`), deadline);
      if (found === undefined) return unreachable;
      const texts = found.map((parts) => parts.join(''));
      const claims = texts.filter((text) => text.startsWith('did='));
      // More than one claim proves nothing.
      return claims.length === 1 ? resolutionOf(claims[0]!.slice('did='.length)) : notFound;
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? error.code : undefined;
      return absentCodes.has(code) ? notFound : unreachable;
    }
  }

  async #resolveByHttps(handle: string, options: HandleLookupOptions): Promise<HandleResolution> {
    const answer = await this.#options.fetch.get({
      url: `https://${handle}/.well-known/atproto-did`,
      isTrusted: false,
      accept: 'text/plain',
      timeoutMs: this.#options.timeoutMs,
      ...options,
      bytesMax: answerBytesMax,
      redirectsMax: 3,
    });
    if (!answer.ok || answer.status !== 200) return notFound;
    return resolutionOf(answer.body.toString('utf8').split('\n')[0]!.trim());
  }
}
