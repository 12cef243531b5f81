/** What waits for proofs is bounded, in order for each account, and none waits for another's. */
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import type { SyncEvent } from '../../../src/atproto/firehose-event.ts';
import { AccountFacts } from '../../../src/ingest/account-facts.ts';
import { CommitProver } from '../../../src/ingest/commit-prover.ts';
import { EventAdmission } from '../../../src/ingest/event-admission.ts';
import { createIngestCounters } from '../../../src/ingest/ingest-counters.ts';
import type { ProofPool, ProofResult } from '../../../src/ingest/proof-pool.ts';
import { SourceTrust } from '../../../src/ingest/source-trust.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { authorDid, otherDid } from '../atproto/signed-repo.ts';

const proven: ProofResult = { ok: true, data: Buffer.alloc(36, 1), prevData: null };

/** An admission whose proofs end when the test says so. */
class Held {
  readonly proofs: ((result: ProofResult) => void)[] = [];
  readonly applied: string[] = [];
  readonly source = new SourceTrust({ name: 'https://relay.test', pds: null, mode: 'all', lagMsMax: 1e9, salt: 1 });
  readonly admission: EventAdmission;

  constructor() {
    const resolver = { resolveDid: async () => ({ ok: false, reason: 'unreachable' }) as const };
    const identities = { check: () => ({ pds: 'https://pds.test', signingKey: 'zQ3sh', checkedAtSec: 1 }) };
    const facts = new AccountFacts({ identities, resolver, clock: new ManualClock() });
    const prove: ProofPool['prove'] = () => new Promise((resolve) => this.proofs.push(resolve));
    const prover = new CommitProver({ facts, pool: { prove } as ProofPool, onLateFailure: async () => {} });
    const counters = createIngestCounters(new Registry());
    const requestResync = async (did: string): Promise<void> => void this.applied.push(`fetch ${did}`);
    const hosts = { noteFailure: () => {} };
    this.admission = new EventAdmission({
      hosts,
      facts,
      prover,
      identities: { refresh: async () => {} },
      counters,
      requestResync,
    });
  }

  admit(did: string, seq: number, frameBytes = 10): Promise<unknown> {
    const rev = `3k${String(seq).padStart(11, '2')}`;
    const event: SyncEvent = { kind: 'sync', seq, did, rev, eventMs: 1 };
    const apply = async (): Promise<void> => void this.applied.push(`${did} ${seq}`);
    return this.admission.admit(event, this.source, Buffer.alloc(frameBytes), apply)!;
  }
}

describe('events that are proven', () => {
  it('are applied in the order of their account, whatever proof ends first', async () => {
    const held = new Held();
    const all = [held.admit(authorDid, 1), held.admit(authorDid, 2), held.admit(otherDid, 3)];
    held.proofs[2]!(proven);
    held.proofs[1]!(proven);
    await all[2];
    expect(held.applied).toEqual([`${otherDid} 3`]);
    held.proofs[0]!(proven);
    await Promise.all(all);
    expect(held.applied).toEqual([`${otherDid} 3`, `${authorDid} 1`, `${authorDid} 2`]);
  });

  it('are dropped when the proof fails, and their repo is fetched', async () => {
    const held = new Held();
    const one = held.admit(authorDid, 1);
    held.proofs[0]!({ ok: false, reason: 'prev-data-wrong' });
    await one;
    expect(held.applied).toEqual([`fetch ${authorDid}`]);
    expect(held.source).toMatchObject({ failed: 1, verified: 0 });
  });

  it('pause the sources when too many bytes of them wait, until some have gone', async () => {
    const held = new Held();
    const all = Array.from({ length: 20 }, (_unused, index) => held.admit(authorDid, index, 4_000_000));
    const capacity = held.admission.waitForCapacity();
    expect(capacity).not.toBeNull();
    for (const resolve of held.proofs) resolve(proven);
    await Promise.all([capacity, ...all]);
    expect(held.admission.waitForCapacity()).toBeNull();
    expect(held.applied).toHaveLength(20);
  });
});
