/**
 * Lets an event of a source through to the log only when the source may speak for its account and,
 * where commits are proven, when it is proven.
 *
 * Owns: the order of each account's events while some of them wait, and the bounds of that wait. A
 * PDS's event waits a few seconds for the document of an account that is new here; past the bounds
 * it is dropped, and the repo is fetched once the document is known and names the PDS. Without
 * proofs and without PDS sources nothing waits.
 */
import { LRUCache } from 'lru-cache';
import type { AccountEvent } from '../atproto/firehose-event.ts';
import { operatingFailure } from '../base/data-plane-error.ts';
import type { AccountFact, AccountFacts } from './account-facts.ts';
import { Backlog } from './backlog.ts';
import type { CommitProver, ProofOutcome, ProvableEvent } from './commit-prover.ts';
import { DidSequence } from './did-sequence.ts';
import type { HostPolicy } from './host-policy.ts';
import type { IdentityQueue } from './identity-queue.ts';
import type { IngestCounters } from './ingest-counters.ts';
import type { SourceTrust } from './source-trust.ts';
import { type Speech, speechOf } from './speaker.ts';

/** What an admitted event does; `sameSince` is the rev whose content a `#sync` still has. */
export type Apply = (sameSince: string | null) => Promise<unknown> | null;

export type EventAdmissionOptions = {
  readonly facts: AccountFacts;
  /** Null when no source's commits are proven. */
  readonly prover: CommitProver | null;
  readonly identities: Pick<IdentityQueue, 'refresh'>;
  readonly counters: IngestCounters;
  readonly hosts: Pick<HostPolicy, 'noteFailure'>;
  /** Requests another fetch of a repo. Returns: once the request is durable. */
  readonly requestResync: (did: string, revMin: string) => Promise<void>;
};

/** Accounts of one PDS whose events wait for a look-up, and events of one such account. */
const accountsHeldMax = 256;
const eventsHeldMax = 64;
/** Events that wait for a proof or a look-up, and bytes of their messages; then sources pause. */
const waitingLimits = { items: 16_384, bytes: 67_108_864 };
/** Accounts whose events were dropped before their document was known. */
const droppedDidsMax = 100_000;

export class EventAdmission {
  readonly #options: EventAdmissionOptions;
  readonly #sequence = new DidSequence();
  readonly #waiting = new Backlog(waitingLimits);
  readonly #dropped = new LRUCache<string, SourceTrust>({ max: droppedDidsMax });

  constructor(options: EventAdmissionOptions) {
    this.#options = options;
    options.facts.onLearned = (did) => this.#learn(did);
  }

  /**
   * Admits or refuses one event; `apply` runs in the order of the account's events.
   *
   * Returns: once what it causes is durable; null when it causes nothing.
   */
  admit(
    event: ProvableEvent | AccountEvent,
    source: SourceTrust,
    frame: Buffer,
    apply: Apply,
  ): Promise<unknown> | null {
    const { facts, prover } = this.#options;
    const { did } = event;
    const isProven = event.kind !== 'account' && prover !== null && source.verifies(did);
    const depth = this.#sequence.depth(did);
    if (source.pds === null && !isProven && depth === 0) {
      if (event.kind !== 'account') source.unverified++;
      return apply(null);
    }
    const fact = facts.known(did);
    if (fact === undefined && source.pds !== null && depth >= eventsHeldMax) return this.#dropUnknown(did, source);
    const begun = isProven ? prover.begin(event, frame, fact) : null;
    this.#waiting.add(frame.length);
    return new Promise((resolve, reject) => {
      this.#sequence.run(did, async () => {
        try {
          const known = await this.#speaker(did, source, fact ?? null);
          if (known === 'refused') return resolve(undefined);
          if (event.kind === 'account') return resolve(apply(null));
          if (!isProven) source.unverified++;
          const outcome = isProven ? await prover.finish(event, frame, known, begun) : null;
          // The next event of the account goes on as soon as this one is on its way.
          resolve(outcome === null ? apply(null) : this.#conclude(event, source, frame, outcome, apply));
        } catch (error) {
          reject(error);
        } finally {
          this.#waiting.remove(frame.length);
        }
      });
    });
  }

  /** See `Backlog.waitForCapacity`; sources pause meanwhile. */
  waitForCapacity(): Promise<void> | null {
    return this.#waiting.waitForCapacity();
  }

  /** Returns what is known of the account, when the source may speak for it. */
  async #speaker(did: string, source: SourceTrust, fact: AccountFact | null): Promise<AccountFact | null | 'refused'> {
    const { facts, counters } = this.#options;
    let known = fact ?? facts.known(did) ?? null;
    let speech = speechOf(source, known);
    if (speech !== 'allowed') {
      known = await this.#lookUp(did, source, speech);
      speech = speechOf(source, known);
    }
    if (speech === 'allowed') return known;
    if (speech === 'speaker-unknown') {
      await this.#dropUnknown(did, source);
      return 'refused';
    }
    source.refused++;
    counters.claimsRefused.with(source.name, speech).add();
    counters.drops.note(did, speech, { from: source.name });
    return 'refused';
  }

  async #lookUp(did: string, source: SourceTrust, speech: Speech): Promise<AccountFact | null> {
    const { facts } = this.#options;
    if (source.lookupsHeld >= accountsHeldMax) return null;
    source.lookupsHeld++;
    try {
      return await (speech === 'speaker-unknown' ? facts.find(did) : facts.findAgain(did));
    } finally {
      source.lookupsHeld--;
    }
  }

  /** The look-up is made durable, so that the account is known some day. */
  #dropUnknown(did: string, source: SourceTrust): Promise<void> {
    source.refused++;
    const { counters } = this.#options;
    counters.claimsRefused.with(source.name, 'speaker-unknown').add();
    counters.drops.note(did, 'speaker-unknown', { from: source.name });
    this.#dropped.set(did, source);
    return this.#options.identities.refresh(did);
  }

  #conclude(
    event: ProvableEvent,
    source: SourceTrust,
    frame: Buffer,
    outcome: ProofOutcome,
    apply: Apply,
  ): Promise<unknown> | null {
    const { prover, requestResync } = this.#options;
    const { did, rev } = event;
    switch (outcome.kind) {
      case 'proven':
        source.verified++;
        if (!outcome.isGap) return apply(outcome.sameSince);
        this.#options.counters.commitsIncomplete.with(source.name, 'prev-data-other').add();
        return Promise.all([apply(null), requestResync(did, rev)]);
      case 'key-unknown':
        source.unverified++;
        prover!.proveLater(event, frame, source);
        return apply(null);
      case 'failed':
        return this.#fail(did, source, outcome.reason, outcome.host);
    }
  }

  /** What the account really has comes from the PDS of its document. */
  #fail(did: string, source: SourceTrust, reason: string, host: string | null): Promise<void> {
    source.failed++;
    if (host !== null) this.#options.hosts.noteFailure(host);
    const { counters } = this.#options;
    counters.claimsRefused.with(host ?? source.name, reason).add();
    counters.drops.note(did, reason, { from: host ?? source.name });
    return this.#options.requestResync(did, '');
  }

  /** An event that was applied unproven is false. */
  failLate(did: string, source: SourceTrust, reason: string, host: string | null): Promise<void> {
    source.unverified--;
    return this.#fail(did, source, reason, host);
  }

  #learn(did: string): void {
    const { prover, facts, requestResync, counters } = this.#options;
    const source = this.#dropped.get(did);
    const step = async (): Promise<void> => {
      try {
        await prover?.proveLate(did);
        if (source === undefined || speechOf(source, facts.known(did) ?? null) !== 'allowed') return;
        this.#dropped.delete(did);
        await requestResync(did, '');
      } catch (error) {
        operatingFailure(error);
        // The state could not be written; the account's next commit is a gap, and asks again.
        counters.identitiesResolved.with('not-stored').add();
      }
    };
    if (source !== undefined || prover?.isWaiting(did) === true) this.#sequence.run(did, step);
  }
}
