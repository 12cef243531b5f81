/**
 * Resolves identities: DID documents of did:plc and did:web, handles, and whether both agree.
 *
 * Owns: the caches of both, bounded in size and age. Knows nothing of logs or slots, so any process
 * may use one.
 */
import { ensureValidDid } from '@atproto/syntax';
import { LRUCache } from 'lru-cache';
import { type Clock, systemClock } from '../base/clock.ts';
import { type DidDocument, type DidDocumentReason, parseDidDocument } from './did-document.ts';
import { type HandleResolution, HandleResolver, type TxtLookup } from './handle-resolver.ts';
import { type AddressLookup, PublicFetch } from './public-fetch.ts';

export type IdentityResolverOptions = {
  /** Origin of the PLC directory. */
  readonly plcUrl: string;
  /** Origin that serves com.atproto.identity.resolveHandle, or null for DNS and https. */
  readonly handleResolverUrl: string | null;
  readonly allowPrivateHosts: boolean;
  readonly timeoutMs?: number;
  readonly clock?: Clock;
  readonly txtLookup?: TxtLookup;
  readonly addressLookup?: AddressLookup;
};

/** Why a DID did not resolve. Only `unreachable` is transient. */
export type DidReason = 'did-bad' | 'did-method-unknown' | 'not-found' | 'unreachable' | DidDocumentReason;
export type DidResolution =
  | { readonly ok: true; readonly document: DidDocument }
  | { readonly ok: false; readonly reason: DidReason };

/** A DID with what it proves, as GetIdentityByDid and GetIdentityByHandle return it. */
export type Identity = {
  readonly did: string;
  /** In lower case and proven in both directions, or null. */
  readonly handle: string | null;
  /** False when the handle could not be checked this time, so `handle: null` proves nothing. */
  readonly isHandleCertain: boolean;
  /** What the document claims, as written and unproven: the handle that GetIdentityBy… returns. */
  readonly claimedHandle: string | null;
  readonly pds: string | null;
  readonly signingKey: string | null;
  readonly keysJson: string;
  readonly servicesJson: string;
};
export type IdentityResolution =
  | { readonly ok: true; readonly identity: Identity }
  | { readonly ok: false; readonly reason: DidReason };

const documentBytesMax = 262_144;
const timeoutMsDefault = 3000;
/** Limits of each of the two caches. */
const cacheTtlMs = 3_600_000;
const cacheEntriesMax = 100_000;
const documentTypes = 'application/did+ld+json, application/json';

/** True for failures that a retry may cure. */
export function isTransientReason(reason: DidReason): boolean {
  return reason === 'unreachable';
}

/** Resolves DIDs and handles with bounded caches. */
export class IdentityResolver implements Disposable {
  readonly #options: IdentityResolverOptions;
  readonly #timeoutMs: number;
  readonly #fetch: PublicFetch;
  readonly #handles: HandleResolver;
  readonly #documents: LRUCache<string, DidDocument>;
  readonly #didByHandle: LRUCache<string, HandleResolution>;

  constructor(options: IdentityResolverOptions) {
    const clock = options.clock ?? systemClock;
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? timeoutMsDefault;
    this.#fetch = new PublicFetch({
      allowPrivateHosts: options.allowPrivateHosts,
      ...(options.addressLookup === undefined ? {} : { lookup: options.addressLookup }),
    });
    this.#handles = new HandleResolver({
      fetch: this.#fetch,
      resolverUrl: options.handleResolverUrl,
      timeoutMs: this.#timeoutMs,
      ...(options.txtLookup === undefined ? {} : { txtLookup: options.txtLookup }),
    });
    const perf = { now: () => clock.monotonicMs() };
    const bounds = { max: cacheEntriesMax, ttl: cacheTtlMs, ttlResolution: 0, perf };
    this.#documents = new LRUCache(bounds);
    this.#didByHandle = new LRUCache(bounds);
  }

  /** Fetches a DID document; `fresh` bypasses the cache. */
  async resolveDid(did: string, fresh = false): Promise<DidResolution> {
    const cached = fresh ? undefined : this.#documents.get(did);
    if (cached !== undefined) return { ok: true, document: cached };
    const location = this.#documentUrl(did);
    if (!location.ok) return location;
    const answer = await this.#fetch.get({
      ...location,
      accept: documentTypes,
      timeoutMs: this.#timeoutMs,
      bytesMax: documentBytesMax,
      redirectsMax: 0,
    });
    if (!answer.ok) {
      const isTransient = answer.reason === 'unreachable' || answer.reason === 'deadline';
      return { ok: false, reason: isTransient ? 'unreachable' : 'not-found' };
    }
    if (answer.status !== 200) {
      this.#documents.delete(did);
      const isGone = answer.status === 404 || answer.status === 410;
      return { ok: false, reason: isGone ? 'not-found' : 'unreachable' };
    }
    const parsed = parseDidDocument(did, answer.body);
    if (!parsed.ok) return parsed;
    this.#documents.set(did, parsed.value);
    return { ok: true, document: parsed.value };
  }

  #documentUrl(did: string): { ok: true; url: string; isTrusted: boolean } | { ok: false; reason: DidReason } {
    try {
      ensureValidDid(did);
    } catch {
      return { ok: false, reason: 'did-bad' };
    }
    if (did.startsWith('did:plc:')) {
      return { ok: true, url: new URL(`/${encodeURIComponent(did)}`, this.#options.plcUrl).href, isTrusted: true };
    }
    if (!did.startsWith('did:web:')) return { ok: false, reason: 'did-method-unknown' };
    // atproto allows no paths in a did:web; it allows a port, written as %3A.
    const host = did.slice('did:web:'.length);
    if (!/^[a-zA-Z0-9.-]+(%3[aA]\d{1,5})?$/.test(host)) return { ok: false, reason: 'did-bad' };
    const authority = host.replace(/%3a/i, ':');
    const isLocal = this.#options.allowPrivateHosts && /^localhost(:|$)/.test(authority);
    return { ok: true, url: `${isLocal ? 'http' : 'https'}://${authority}/.well-known/did.json`, isTrusted: false };
  }

  /** Finds the DID of a handle, without checking that the DID claims it. */
  async resolveHandle(handle: string, fresh = false): Promise<HandleResolution> {
    const key = handle.toLowerCase();
    const cached = fresh ? undefined : this.#didByHandle.get(key);
    if (cached !== undefined) return cached;
    const resolution = await this.#handles.resolve(key);
    if (resolution.ok) this.#didByHandle.set(key, resolution);
    else this.#didByHandle.delete(key);
    return resolution;
  }

  /** Resolves a DID and proves the handle that its document claims. */
  async resolveIdentity(did: string, fresh = false): Promise<IdentityResolution> {
    const resolution = await this.resolveDid(did, fresh);
    if (!resolution.ok) return resolution;
    const { document } = resolution;
    const claimed = document.claimedHandle?.toLowerCase() ?? null;
    const found = claimed === null ? null : await this.resolveHandle(claimed, fresh);
    const isProven = found?.ok === true && found.did === did;
    const isCertain = found === null || found.ok || found.reason !== 'unreachable';
    const handle = isProven ? claimed : null;
    return { ok: true, identity: { ...document, handle, isHandleCertain: isCertain } };
  }

  [Symbol.dispose](): void {
    this.#fetch[Symbol.dispose]();
  }
}
