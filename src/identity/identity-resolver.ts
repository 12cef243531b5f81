/**
 * Resolves identities: DID documents of did:plc and did:web, handles, and whether both agree.
 *
 * Owns: the caches of both, bounded in size and age, and how many look-ups run at once: the
 * directory and the handle resolver have bounds of their own, strangers' hosts are bounded by site.
 * Knows nothing of logs or slots, so any process may use one.
 */
import { ensureValidDid } from '@atproto/syntax';
import { LRUCache } from 'lru-cache';
import { inputLimits } from '../atproto/input-limits.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import type { AddressLookup } from './address-lookup.ts';
import { type DidDocument, type DidDocumentReason, parseDidDocument } from './did-document.ts';
import { type HandleResolution, HandleResolver, isTransientHandleReason, type TxtLookup } from './handle-resolver.ts';
import { directorySite, siteOfDid, siteOfHost } from './lookup-site.ts';
import { PublicFetch, trustedSocketsMax } from './public-fetch.ts';
import { type SiteBounds, SiteLimits } from './site-limits.ts';

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
  /** See PublicFetchOptions. */
  readonly isBlocked?: (target: URL) => boolean;
  /** Called with each document that is read, before its look-up ends. */
  readonly onDocument?: (document: DidDocument) => void;
};

export type LookupOptions = {
  /** Bypasses the caches. */
  readonly fresh?: boolean;
  /** For each request, once it starts. */
  readonly timeoutMs?: number;
};

/**
 * Why a DID did not resolve. Transient are `unreachable` and `crowded`: too many look-ups wait for
 * the same site.
 */
export type DidReason = 'did-bad' | 'did-method-unknown' | 'not-found' | 'unreachable' | 'crowded' | DidDocumentReason;
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

const timeoutMsDefault = 3000;
/** Limits of each of the two caches. */
const cacheTtlMs = 3_600_000;
const cacheEntriesMax = 100_000;
/** Of documents, whose hosts choose their size. Units: about bytes. */
const documentsBytesMax = 128 * 2 ** 20;
const documentBytesMin = 500;
const documentTypes = 'application/did+ld+json, application/json';

/** The operator named these two hosts. */
const trustedBounds: SiteBounds = {
  siteRunningMax: trustedSocketsMax,
  runningMax: trustedSocketsMax,
  siteWaitingMax: 10_000,
  waitingMax: 10_000,
};
const documentHostBounds: SiteBounds = { siteRunningMax: 8, runningMax: 64, siteWaitingMax: 16, waitingMax: 256 };
/** A few sites host most handles. */
const handleHostBounds: SiteBounds = { siteRunningMax: 32, runningMax: 128, siteWaitingMax: 128, waitingMax: 512 };

const crowded = { ok: false, reason: 'crowded' } as const;

function isSilent(resolution: DidResolution | HandleResolution): boolean {
  return !resolution.ok && resolution.reason === 'unreachable';
}

/** True for failures that a retry may cure. */
export function isTransientReason(reason: DidReason): boolean {
  return reason === 'unreachable' || reason === 'crowded';
}

/** Resolves DIDs and handles with bounded caches. */
export class IdentityResolver implements Disposable {
  readonly #options: IdentityResolverOptions;
  readonly #timeoutMs: number;
  readonly #fetch: PublicFetch;
  readonly #handles: HandleResolver;
  readonly #documents: LRUCache<string, DidDocument>;
  readonly #didByHandle: LRUCache<string, HandleResolution>;
  readonly #directoryLimits: SiteLimits;
  readonly #documentHostLimits: SiteLimits;
  readonly #handleLimits: SiteLimits;
  readonly #runningByDid = new Map<string, Promise<DidResolution>>();

  constructor(options: IdentityResolverOptions) {
    const clock = options.clock ?? systemClock;
    this.#options = options;
    this.#timeoutMs = options.timeoutMs ?? timeoutMsDefault;
    this.#fetch = new PublicFetch({
      allowPrivateHosts: options.allowPrivateHosts,
      ...(options.addressLookup === undefined ? {} : { lookup: options.addressLookup }),
      ...(options.isBlocked === undefined ? {} : { isBlocked: options.isBlocked }),
    });
    this.#handles = new HandleResolver({
      fetch: this.#fetch,
      resolverUrl: options.handleResolverUrl,
      timeoutMs: this.#timeoutMs,
      clock,
      ...(options.txtLookup === undefined ? {} : { txtLookup: options.txtLookup }),
    });
    this.#directoryLimits = new SiteLimits(trustedBounds, clock);
    this.#documentHostLimits = new SiteLimits(documentHostBounds, clock);
    const isTrusted = options.handleResolverUrl !== null;
    this.#handleLimits = new SiteLimits(isTrusted ? trustedBounds : handleHostBounds, clock);
    const perf = { now: () => clock.monotonicMs() };
    const bounds = { max: cacheEntriesMax, ttl: cacheTtlMs, ttlResolution: 0, perf };
    this.#documents = new LRUCache({
      ...bounds,
      maxSize: documentsBytesMax,
      sizeCalculation: ({ keysJson, servicesJson, claimedHandle }) =>
        documentBytesMin + keysJson.length + servicesJson.length + (claimedHandle?.length ?? 0),
    });
    this.#didByHandle = new LRUCache(bounds);
  }

  /** Look-ups that wait for the network now. */
  get runningCount(): number {
    return this.#directoryLimits.runningCount + this.#documentHostLimits.runningCount + this.#handleLimits.runningCount;
  }

  #limitsOf(site: string): SiteLimits {
    return site === directorySite ? this.#directoryLimits : this.#documentHostLimits;
  }

  /** False while a look-up of this DID would only be `crowded`. */
  hasCapacity(did: string): boolean {
    const site = siteOfDid(did);
    return this.#limitsOf(site).hasCapacity(site);
  }

  /** Fetches a DID document, or joins a look-up of it unless it must be `fresh`. */
  async resolveDid(did: string, options: LookupOptions = {}): Promise<DidResolution> {
    const cached = options.fresh === true ? undefined : this.#documents.get(did);
    if (cached !== undefined) return { ok: true, document: cached };
    const running = options.fresh === true ? undefined : this.#runningByDid.get(did);
    if (running !== undefined) return running;
    const location = this.#documentUrl(did);
    if (!location.ok) return location;
    const site = siteOfDid(did);
    const fetch = (): Promise<DidResolution> => this.#fetchDocument(did, location, options);
    const fetched = this.#limitsOf(site)
      .run(site, fetch, isSilent)
      .then((found) => found ?? crowded);
    this.#runningByDid.set(did, fetched);
    return fetched.finally(() => {
      if (this.#runningByDid.get(did) === fetched) this.#runningByDid.delete(did);
    });
  }

  async #fetchDocument(
    did: string,
    location: { readonly url: string; readonly isTrusted: boolean },
    { timeoutMs = this.#timeoutMs }: LookupOptions,
  ): Promise<DidResolution> {
    const answer = await this.#fetch.get({
      ...location,
      accept: documentTypes,
      timeoutMs,
      bytesMax: inputLimits.documentBytesMax,
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
    this.#options.onDocument?.(parsed.value);
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
  async resolveHandle(handle: string, options: LookupOptions = {}): Promise<HandleResolution> {
    const key = handle.toLowerCase();
    const cached = options.fresh === true ? undefined : this.#didByHandle.get(key);
    if (cached !== undefined) return cached;
    const site = this.#options.handleResolverUrl === null ? siteOfHost(key) : directorySite;
    const resolve = (): Promise<HandleResolution> => this.#handles.resolve(key, options);
    const resolution = (await this.#handleLimits.run(site, resolve, isSilent)) ?? crowded;
    if (resolution.ok) this.#didByHandle.set(key, resolution);
    else this.#didByHandle.delete(key);
    return resolution;
  }

  /** Resolves a DID and proves the handle that its document claims. */
  async resolveIdentity(did: string, options: LookupOptions = {}): Promise<IdentityResolution> {
    const resolution = await this.resolveDid(did, options);
    if (!resolution.ok) return resolution;
    const { document } = resolution;
    const claimed = document.claimedHandle?.toLowerCase() ?? null;
    const found = claimed === null ? null : await this.resolveHandle(claimed, options);
    const isProven = found?.ok === true && found.did === did;
    const isCertain = found === null || found.ok || !isTransientHandleReason(found.reason);
    const handle = isProven ? claimed : null;
    return { ok: true, identity: { ...document, handle, isHandleCertain: isCertain } };
  }

  [Symbol.dispose](): void {
    this.#fetch[Symbol.dispose]();
  }
}
