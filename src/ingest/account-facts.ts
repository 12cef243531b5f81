/**
 * What DID documents say of accounts: where their repo is, and the key that signs it.
 *
 * Owns: an LRU cache over the durable facts, which every document that is read refreshes, and how
 * often a DID is looked up afresh on suspicion, since strangers cause that.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { LRUCache } from 'lru-cache';
import { parseSigningKey, type SigningKey } from '../atproto/signing-key.ts';
import type { Clock } from '../base/clock.ts';
import type { DidDocument } from '../identity/did-document.ts';
import type { DidReason, IdentityResolver } from '../identity/identity-resolver.ts';

export type AccountFact = { readonly pds: string | null; readonly signingKey: string | null };

export type AccountFactsOptions = {
  /** What is stored of a DID; undefined when it was never resolved. */
  readonly identities: { check(did: string): AccountFact | undefined };
  readonly resolver: Pick<IdentityResolver, 'resolveDid'>;
  readonly clock: Clock;
};

/** About 300 bytes each. */
const cachedDidsMax = 100_000;
/** A DID is looked up afresh on suspicion at most this often. */
const againMs = 60_000;
/** How long anyone waits for a look-up, which goes on by itself. */
const waitMsMax = 10_000;
/** A DID that could not be looked up is not asked for again before this. */
const failedMs = 5000;

const nobody: AccountFact = { pds: null, signingKey: null };

/** Reasons by which a DID certainly has no document. */
const goneReasons: ReadonlySet<DidReason> = new Set(['not-found', 'did-bad', 'did-method-unknown']);

/**
 * Tries what is known of a DID's key, and when that fails one fresh look-up, since keys rotate.
 *
 * Returns: null when no key can be had now.
 */
export async function isSignedNow(
  facts: AccountFacts,
  did: string,
  isSigned: (key: SigningKey) => boolean,
): Promise<boolean | null> {
  const fact = await facts.find(did);
  if (fact !== null && isSignedByText(fact.signingKey, isSigned)) return true;
  const again = await facts.findAgain(did);
  return again === null ? null : isSignedByText(again.signingKey, isSigned);
}

function isSignedByText(multikey: string | null, isSigned: (key: SigningKey) => boolean): boolean {
  const key = multikey === null ? undefined : parseSigningKey(multikey);
  return key !== undefined && isSigned(key);
}

export class AccountFacts {
  readonly #options: AccountFactsOptions;
  readonly #facts = new LRUCache<string, AccountFact>({ max: cachedDidsMax });
  readonly #askedMs = new LRUCache<string, number>({ max: cachedDidsMax });
  readonly #lookups = new Map<string, Promise<AccountFact | null>>();
  /** Called with a DID whose facts became known, or others. */
  onLearned: (did: string) => void = () => {};

  constructor(options: AccountFactsOptions) {
    this.#options = options;
  }

  /** Returns what is known without a look-up; undefined for a DID that was never resolved. */
  known(did: string): AccountFact | undefined {
    const cached = this.#facts.get(did);
    if (cached !== undefined) return cached;
    const stored = this.#options.identities.check(did);
    if (stored !== undefined) this.#facts.set(did, stored);
    return stored;
  }

  /** Takes in a document that anyone has read. */
  learn({ did, pds, signingKey }: DidDocument): void {
    const before = this.#facts.get(did);
    if (before !== undefined && before.pds === pds && before.signingKey === signingKey) return;
    this.#facts.set(did, { pds, signingKey });
    this.onLearned(did);
  }

  /** Returns what is known, or looks it up; null when it cannot be known now. */
  async find(did: string): Promise<AccountFact | null> {
    const known = this.known(did);
    if (known !== undefined) return known;
    const hasFailed = this.#sinceAskedMs(did) < failedMs && !this.#lookups.has(did);
    return hasFailed ? null : this.#within(this.#lookUp(did, false));
  }

  /**
   * Looks a DID up afresh, since what is known of it does not fit, unless that was done lately.
   *
   * Returns: what is known then; null when it cannot be known now.
   */
  async findAgain(did: string): Promise<AccountFact | null> {
    const running = this.#lookups.get(did);
    if (running !== undefined) return this.#within(running);
    if (this.#sinceAskedMs(did) < againMs) return this.known(did) ?? null;
    return (await this.#within(this.#lookUp(did, true))) ?? this.known(did) ?? null;
  }

  async #within(lookup: Promise<AccountFact | null>): Promise<AccountFact | null> {
    const over = new AbortController();
    try {
      return await Promise.race([lookup, this.#options.clock.sleep(waitMsMax, over.signal).then(() => null)]);
    } finally {
      over.abort();
    }
  }

  #sinceAskedMs(did: string): number {
    const askedMs = this.#askedMs.get(did);
    return askedMs === undefined ? Number.POSITIVE_INFINITY : this.#options.clock.monotonicMs() - askedMs;
  }

  #lookUp(did: string, fresh: boolean): Promise<AccountFact | null> {
    const running = this.#lookups.get(did);
    if (running !== undefined) return running;
    const lookup = this.#resolve(did, fresh).finally(() => this.#lookups.delete(did));
    this.#lookups.set(did, lookup);
    return lookup;
  }

  async #resolve(did: string, fresh: boolean): Promise<AccountFact | null> {
    // A resolution that the same event starts is joined instead of made twice.
    await nextTurn();
    this.#askedMs.set(did, this.#options.clock.monotonicMs());
    const resolution = await this.#options.resolver.resolveDid(did, { fresh });
    if (resolution.ok) {
      this.learn(resolution.document);
      return this.#facts.get(did)!;
    }
    if (!goneReasons.has(resolution.reason)) return null;
    this.#facts.set(did, nobody);
    return nobody;
  }
}
