/**
 * Asks the directory, the PDS and every slot concerned about one account or record, and says what
 * differs and why: the answer to "why is this post missing?".
 */
import { isKeyableDid, parseRecordUri, type RecordRef } from '../atproto/compact-key.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import type { IdentityResolver } from '../identity/identity-resolver.ts';
import type { StoredAccount, StoredHandle } from '../wire/stored-repo.ts';
import type { Backfill } from './backfill.ts';
import type { HostPolicy } from './host-policy.ts';
import { hostOfUrl } from './host-policy.ts';
import type { IngestCounters } from './ingest-counters.ts';
import { type ProvenRecord, readRecordProof } from './record-proof.ts';
import { type HostFailure, type RepoHost, recordNotFound } from './repo-host.ts';
import type { IngestState } from './state/ingest-state.ts';
import type { StoredRepos } from './stored-repos.ts';
import type { AnySubscription } from './subscription.ts';
import { type Asked, type Document, type Finding, findingsOf, type OtherSlot, type WhyFacts } from './why-findings.ts';

export type WhyOptions = {
  readonly resolver: IdentityResolver;
  readonly host: RepoHost;
  readonly stored: StoredRepos;
  readonly state: IngestState;
  readonly backfill: Pick<Backfill, 'repo'>;
  readonly hosts: Pick<HostPolicy, 'ruleOf'>;
  readonly counters: Pick<IngestCounters, 'drops'>;
  readonly subscriptions: readonly AnySubscription[];
};

export type WhyAnswer = {
  readonly about: string;
  readonly did: string;
  readonly findings: readonly Finding[];
  /** What was asked, and what it said. */
  readonly facts: object;
};

const freshly = { fresh: true, timeoutMs: 5_000 } as const;

type Named = { readonly did: string; readonly record: RecordRef | null };

export class Why {
  readonly #options: WhyOptions;

  constructor(options: WhyOptions) {
    this.#options = options;
  }

  /** Errors: DataPlaneError `InvalidArgument`, `NotFound` for a handle that names nobody. */
  async explain(about: string): Promise<WhyAnswer> {
    const { did, record } = await this.#nameOf(about);
    const facts = await this.#factsOf(did, record);
    const { document, handleDid, pdsRev, pdsRecord, account, others, claim, check, fetch } = facts;
    const shown = { document, handleDid, pdsRev, pdsRecord, slot: account, others, claim, check, fetch };
    return { about, did, findings: findingsOf(facts), facts: shown };
  }

  async #nameOf(about: string): Promise<Named> {
    if (about.startsWith('did:')) {
      if (isKeyableDid(about)) return { did: about, record: null };
      throw new DataPlaneError('InvalidArgument', `"${about.slice(0, 80)}" is no DID`);
    }
    const [, authority = about, path = ''] = /^at:\/\/([^/]+)(\/.*)?$/.exec(about) ?? [];
    const did = authority.startsWith('did:') ? authority : await this.#didOfHandle(authority);
    if (path === '' || path === '/') return { did, record: null };
    const record = parseRecordUri(`at://${did}${path}`);
    if (record === undefined)
      throw new DataPlaneError('InvalidArgument', `"${about.slice(0, 80)}" is no record's AT-URI`);
    return { did, record };
  }

  /** The handle's own host decides; the slots may know who had it. */
  async #didOfHandle(given: string): Promise<string> {
    const handle = given.replace(/^@/, '').toLowerCase();
    if (!/^[a-z\d.-]{3,253}$/.test(handle) || !handle.includes('.')) {
      throw new DataPlaneError('InvalidArgument', `"${given.slice(0, 80)}" is no AT-URI, DID or handle`);
    }
    const found = await this.#options.resolver.resolveHandle(handle, freshly);
    if (found.ok) return found.did;
    const claim = await this.#options.stored.handle(handle);
    if (claim !== null && !claim.isReleased) return claim.did;
    throw new DataPlaneError('NotFound', `the handle ${handle} names nobody: ${found.reason}`, {
      hint: 'Ask by the DID, if you know it.',
    });
  }

  async #factsOf(did: string, record: RecordRef | null): Promise<WhyFacts> {
    const { state, backfill, hosts, counters, subscriptions } = this.#options;
    // Before the look-up, which would refresh it.
    const check = state.identities.check(did) ?? null;
    const account = await this.#account(did, record);
    const document = await this.#document(did);
    const pds = document.ok ? document.value.pds : (check?.pds ?? null);
    const handle = document.ok ? (document.value.handle?.toLowerCase() ?? null) : null;
    const [handleDid, claim, pdsRev, pdsRecord] = await Promise.all([
      handle === null ? null : this.#handleDid(handle),
      handle === null ? null : this.#claim(handle),
      pds === null ? null : this.#pdsRev(pds, did),
      pds === null || record === null ? null : this.#pdsRecord(pds, record),
    ]);
    const others = pdsRecord?.ok === true ? await this.#otherSlots(did, pdsRecord.value.others) : [];
    const pdsHost = pds === null ? null : hostOfUrl(pds);
    const rule = pdsHost === null ? undefined : hosts.ruleOf(pdsHost);
    return {
      did,
      record,
      document,
      handleDid,
      check,
      isLookupQueued: state.lookups.get(did) !== undefined,
      isDeletionQueued: state.deletions.get(did) !== undefined,
      pdsRev,
      pdsRecord,
      account,
      others,
      claim,
      isPurged: state.refusedRepos.has(did),
      hostRule: rule === undefined ? null : rule.isBlocked ? 'blocked' : 'limited',
      pdsHost,
      fetch: backfill.repo(did) ?? null,
      drops: counters.drops.of(did),
      sources: subscriptions.map(({ status }) => status),
    };
  }

  async #account(did: string, record: RecordRef | null): Promise<StoredAccount | null> {
    try {
      return await this.#options.stored.account(did, record);
    } catch (thrown) {
      operatingFailure(thrown);
      return null;
    }
  }

  /** Asks the other slots in which a record of the account shows, each once. */
  async #otherSlots(did: string, others: readonly string[]): Promise<OtherSlot[]> {
    const { stored } = this.#options;
    const slots = new Set([stored.slotOf(did)]);
    const asked = others.filter((other) => {
      const isNew = !slots.has(stored.slotOf(other));
      slots.add(stored.slotOf(other));
      return isNew;
    });
    return Promise.all(
      asked.map(async (other) => {
        try {
          return { of: other, account: await stored.accountAt(did, other) };
        } catch (thrown) {
          operatingFailure(thrown);
          return { of: other, account: null };
        }
      }),
    );
  }

  async #claim(handle: string): Promise<StoredHandle> {
    try {
      return await this.#options.stored.handle(handle);
    } catch (thrown) {
      operatingFailure(thrown);
      return null;
    }
  }

  async #document(did: string): Promise<Asked<Document>> {
    const found = await this.#options.resolver.resolveDid(did, freshly);
    if (!found.ok) return { ok: false, why: found.reason };
    const { claimedHandle: handle, pds, signingKey } = found.document;
    return { ok: true, value: { handle, pds, signingKey } };
  }

  async #handleDid(handle: string): Promise<Asked<string>> {
    const found = await this.#options.resolver.resolveHandle(handle, freshly);
    return found.ok ? { ok: true, value: found.did } : { ok: false, why: found.reason };
  }

  async #pdsRev(pds: string, did: string): Promise<Asked<string>> {
    const latest = await this.#options.host.latestRev(pds, did);
    return latest.ok ? { ok: true, value: latest.rev } : refusalOf(latest);
  }

  async #pdsRecord(pds: string, record: RecordRef): Promise<Asked<ProvenRecord>> {
    const answer = await this.#options.host.getRecord(pds, record);
    if (!answer.ok) {
      const isAbsent = answer.message === recordNotFound;
      return isAbsent ? { ok: true, value: { rev: '', cid: null, refusal: null, others: [] } } : refusalOf(answer);
    }
    const proven = readRecordProof(answer.car, record);
    return typeof proven === 'string' ? { ok: false, why: proven } : { ok: true, value: proven };
  }
}

function refusalOf({ reason, message }: HostFailure): { readonly ok: false; readonly why: string } {
  return { ok: false, why: `${reason}: ${message}` };
}
