/**
 * Proves commits by the keys of their accounts, and follows each account's tree from commit to
 * commit.
 *
 * Owns: the one fresh look-up that a failed proof is worth, since keys rotate; the last root of
 * each account that was proven lately; and what was applied before its key was known, which is
 * proven when the key comes.
 */
import { LRUCache } from 'lru-cache';
import type { CommitEvent, SyncEvent } from '../atproto/firehose-event.ts';
import type { AccountFact, AccountFacts } from './account-facts.ts';
import { Backlog } from './backlog.ts';
import type { ProofPool, ProofResult } from './proof-pool.ts';
import type { SourceTrust } from './source-trust.ts';

export type ProvableEvent = CommitEvent | SyncEvent;

/** `key-unknown`: nothing is proven yet. `sameSince`: the content is that of this rev. */
export type ProofOutcome =
  | { readonly kind: 'proven'; readonly isGap: boolean; readonly sameSince: string | null }
  | { readonly kind: 'key-unknown' }
  | { readonly kind: 'failed'; readonly reason: string; readonly host: string | null };

export type CommitProverOptions = {
  readonly facts: AccountFacts;
  readonly pool: ProofPool;
  /** Called when an event that was applied unproven turns out to be false. */
  readonly onLateFailure: (did: string, source: SourceTrust, reason: string, host: string | null) => Promise<void>;
};

type Late = { readonly frame: Buffer; readonly event: ProvableEvent; readonly source: SourceTrust };
/** The root of an account's tree at a rev. 36 bytes. */
type Head = { readonly rev: string; readonly data: Buffer };

/** About 200 bytes each. */
const headsMax = 100_000;
/** Events that wait for a key. Units: events; bytes of their messages. */
const lateLimits = { items: 10_000, bytes: 33_554_432 };

export class CommitProver {
  readonly #options: CommitProverOptions;
  readonly #heads = new LRUCache<string, Head>({ max: headsMax });
  readonly #late = new Map<string, Late[]>();
  readonly #lateBacklog = new Backlog(lateLimits);
  /** Events that stay unproven, as too many waited for keys. */
  lateDropped = 0;

  constructor(options: CommitProverOptions) {
    this.#options = options;
  }

  /** Events that were applied and wait for a key. */
  get lateCount(): number {
    return this.#lateBacklog.items;
  }

  /** True when events of a DID wait for its key. */
  isWaiting(did: string): boolean {
    return this.#late.has(did);
  }

  /** Starts a proof by the key that is known; null without one. */
  begin(event: ProvableEvent, frame: Buffer, fact: AccountFact | undefined): Promise<ProofResult> | null {
    const key = fact?.signingKey ?? null;
    return key === null ? null : this.#options.pool.prove(event.did, frame, key);
  }

  /** Ends a proof that `begin` started with `fact`. Events of a DID come here in order. */
  async finish(
    event: ProvableEvent,
    frame: Buffer,
    fact: AccountFact | null,
    begun: Promise<ProofResult> | null,
  ): Promise<ProofOutcome> {
    const { facts, pool } = this.#options;
    // The key may have come since then.
    const proof = begun ?? this.begin(event, frame, fact ?? undefined);
    const first = proof === null ? null : await proof;
    if (first?.ok === true) return this.#follow(event, first);
    if (fact === null) return { kind: 'key-unknown' };
    const reason = first?.reason ?? 'key-missing';
    const failed = { kind: 'failed', reason, host: fact.pds } as const;
    if (reason !== 'signature-wrong' && reason !== 'key-unreadable' && reason !== 'key-missing') return failed;
    const again = await facts.findAgain(event.did);
    const key = again?.signingKey ?? null;
    if (again === null || key === null || key === fact.signingKey) return failed;
    const second = await pool.prove(event.did, frame, key);
    return second.ok ? this.#follow(event, second) : { ...failed, reason: second.reason, host: again.pds };
  }

  /** Compares with the head of the account, and makes this its head. */
  #follow({ did, rev, kind, ...event }: ProvableEvent, proof: ProofResult & { readonly ok: true }): ProofOutcome {
    const head = this.#heads.get(did);
    const isNewer = head === undefined || rev > head.rev;
    if (isNewer) this.#heads.set(did, { rev, data: proof.data });
    const nothingNew = { kind: 'proven', isGap: false, sameSince: null } as const;
    if (head === undefined || !isNewer) return nothingNew;
    if (kind === 'sync') return { ...nothingNew, sameSince: head.data.equals(proof.data) ? head.rev : null };
    // A commit that follows another one is the slot's to notice.
    const follows = 'since' in event && event.since === head.rev;
    return { ...nothingNew, isGap: follows && proof.prevData !== null && !proof.prevData.equals(head.data) };
  }

  /** Keeps an event that was applied unproven until its key is known. */
  proveLater(event: ProvableEvent, frame: Buffer, source: SourceTrust): void {
    if (!this.#lateBacklog.hasCapacity) {
      this.lateDropped++;
      return;
    }
    const list = this.#late.get(event.did) ?? [];
    this.#late.set(event.did, list);
    list.push({ frame, event, source });
    this.#lateBacklog.add(frame.length);
  }

  /** Proves what waited for the key of a DID, which is known now. */
  async proveLate(did: string): Promise<void> {
    const list = this.#late.get(did);
    const fact = this.#options.facts.known(did);
    if (list === undefined || fact === undefined) return;
    this.#late.delete(did);
    for (const { frame } of list) this.#lateBacklog.remove(frame.length);
    for (const { frame, event, source } of list) {
      const outcome = await this.finish(event, frame, fact, this.begin(event, frame, fact));
      if (outcome.kind === 'proven') {
        source.verified++;
        source.unverified--;
      } else if (outcome.kind === 'failed') {
        return this.#options.onLateFailure(did, source, outcome.reason, outcome.host);
      }
    }
  }
}
