/**
 * One labeler that the operator follows: where its service is, for whom it may speak, and the keys.
 *
 * A labeler that is named by its DID speaks for that DID. One that is named by the URL of its
 * service speaks for the DIDs whose documents name that service. Documents are looked up again when
 * what they say does not fit, at most once a minute for each DID.
 */
import { LRUCache } from 'lru-cache';
import { parseSigningKey, type SigningKey } from '../atproto/signing-key.ts';
import type { Clock } from '../base/clock.ts';
import { TokenBucket } from '../base/token-bucket.ts';
import type { DidDocument } from '../identity/did-document.ts';
import { type IdentityResolver, isTransientReason } from '../identity/identity-resolver.ts';
import type { PublicFetch } from '../identity/public-fetch.ts';
import type { StreamLocation } from './event-stream.ts';

export type LabelerOptions = {
  /** A DID, or the origin of a labeler's service. */
  readonly source: string;
  readonly resolver: Pick<IdentityResolver, 'resolveDid'>;
  readonly fetch: Pick<PublicFetch, 'connection'>;
  readonly clock: Clock;
};

/**
 * The key of a source's labels; null for none. `other-service`: this labeler may not speak for it.
 */
export type LabelKey =
  | { readonly ok: true; readonly key: SigningKey | null }
  | { readonly ok: false; readonly reason: 'other-service' | 'unreachable' };

/** A DID is looked up afresh at most this often. */
const againMs = 60_000;
/** Sources for which a service does not speak, as far as is known, that are looked up. */
const strangersPerSecond = 5;
/** Of one labeler, which usually speaks for one DID. */
const didsCachedMax = 256;

/** Returns the name of a labeler's source, which is given by a DID or a URL. */
export function labelerName(source: string): string {
  return source.startsWith('did:') ? source : `labels:${new URL(source).origin}`;
}

export class Labeler {
  /** Differs from the names of sources of repos at the same origin. */
  readonly name: string;
  readonly did: string | null;
  readonly #options: LabelerOptions;
  readonly #lookupByDid = new Map<string, Promise<DidDocument | null | 'unreachable'>>();
  readonly #askedMs = new LRUCache<string, number>({ max: didsCachedMax });
  readonly #keys = new LRUCache<string, { readonly key: SigningKey | null }>({ max: didsCachedMax });
  /** Sources whose documents name this service. */
  readonly #served = new LRUCache<string, true>({ max: didsCachedMax });
  readonly #lookups: TokenBucket;
  readonly #origin: string | null;
  #hasConnected = false;

  constructor(options: LabelerOptions) {
    const { source } = options;
    this.#options = options;
    this.did = source.startsWith('did:') ? source : null;
    this.#origin = this.did === null ? new URL(source).origin : null;
    this.#lookups = new TokenBucket(strangersPerSecond, options.clock);
    this.name = labelerName(source);
  }

  /** Finds the service before each connection: after the first, where the document says now. */
  async locate(): Promise<StreamLocation> {
    const { source, fetch } = this.#options;
    if (this.did === null) return { ok: true, url: source };
    const document = this.#hasConnected ? await this.#documentAgain(this.did) : await this.#document(this.did, false);
    this.#hasConnected = true;
    if (document === 'unreachable') return { ok: false, problem: `the DID document of ${source} cannot be read now` };
    if (document?.labeler == null) {
      return { ok: false, problem: `the DID document of ${source} names no service #atproto_labeler` };
    }
    return fetch.connection(document.labeler);
  }

  /** Returns the key of a source's labels, as its document was read last. */
  keyOf(src: string): Promise<LabelKey> {
    return this.#keyIn(src, () => this.#document(src, false));
  }

  /** Returns the key after one fresh look-up, unless that was done lately: keys rotate. */
  keyAgainOf(src: string): Promise<LabelKey> {
    return this.#keyIn(src, () => this.#documentAgain(src));
  }

  async #keyIn(src: string, read: () => Promise<DidDocument | null | 'unreachable'>): Promise<LabelKey> {
    if (this.did !== null && src !== this.did) return { ok: false, reason: 'other-service' };
    // A service that names ever new sources waits for itself.
    if (this.did === null && !this.#served.has(src) && !this.#lookups.tryTake()) {
      return { ok: false, reason: 'unreachable' };
    }
    const document = await read();
    if (document === 'unreachable') return { ok: false, reason: 'unreachable' };
    if (this.did === null && document?.labeler !== this.#origin) {
      this.#served.delete(src);
      return { ok: false, reason: 'other-service' };
    }
    this.#served.set(src, true);
    return { ok: true, key: document?.labelKey == null ? null : this.#parsed(document.labelKey) };
  }

  #parsed(multikey: string): SigningKey | null {
    const known = this.#keys.get(multikey);
    if (known !== undefined) return known.key;
    const key = parseSigningKey(multikey) ?? null;
    this.#keys.set(multikey, { key });
    return key;
  }

  #documentAgain(did: string): Promise<DidDocument | null | 'unreachable'> {
    const { clock } = this.#options;
    const running = this.#lookupByDid.get(did);
    if (running !== undefined) return running;
    const isDue = clock.monotonicMs() - (this.#askedMs.get(did) ?? Number.NEGATIVE_INFINITY) >= againMs;
    if (!isDue) return this.#document(did, false);
    this.#askedMs.set(did, clock.monotonicMs());
    const lookup = this.#document(did, true).then((document) => {
      this.#lookupByDid.delete(did);
      if (document === 'unreachable') this.#askedMs.delete(did);
      return document;
    });
    this.#lookupByDid.set(did, lookup);
    return lookup;
  }

  /** Returns null for a DID that has no document. */
  async #document(did: string, fresh: boolean): Promise<DidDocument | null | 'unreachable'> {
    const resolution = await this.#options.resolver.resolveDid(did, { fresh });
    if (resolution.ok) return resolution.document;
    return isTransientReason(resolution.reason) ? 'unreachable' : null;
  }
}
