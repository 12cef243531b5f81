/** What documents say is known without asking, and asking again is bounded for each DID. */
import { describe, expect, it } from 'vitest';
import type { DidDocument } from '../../../src/identity/did-document.ts';
import type { DidResolution, LookupOptions } from '../../../src/identity/identity-resolver.ts';
import { AccountFacts } from '../../../src/ingest/account-facts.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { until } from '../../support/until.ts';

const did = 'did:plc:ewvi7nxzyoun6zhxrhs64oiz';
const fact = { pds: 'https://pds.test', signingKey: 'zQ3sh' };

function documentOf(facts: typeof fact): DidDocument {
  return { did, claimedHandle: null, labeler: null, labelKey: null, keysJson: '{}', servicesJson: '{}', ...facts };
}

/** Facts over a resolver whose answers a test gives. */
class Scripted {
  readonly clock = new ManualClock();
  readonly asked: boolean[] = [];
  answer: () => Promise<DidResolution> = async () => ({ ok: true, document: documentOf(fact) });
  readonly learned: string[] = [];
  readonly facts: AccountFacts;

  constructor() {
    const resolveDid = (_did: string, { fresh = false }: LookupOptions = {}): Promise<DidResolution> => {
      this.asked.push(fresh);
      return this.answer();
    };
    this.facts = new AccountFacts({
      identities: { check: () => undefined },
      resolver: { resolveDid },
      clock: this.clock,
    });
    this.facts.onLearned = (of) => this.learned.push(of);
  }
}

describe('the facts of an account', () => {
  it('are looked up once for all who ask at the same time, and then known', async () => {
    const { facts, asked, learned } = new Scripted();
    expect(facts.known(did)).toBeUndefined();
    expect(await Promise.all([facts.find(did), facts.find(did), facts.find(did)])).toEqual([fact, fact, fact]);
    expect(facts.known(did)).toEqual(fact);
    expect(await facts.find(did)).toEqual(fact);
    expect(asked).toEqual([false]);
    expect(learned).toEqual([did]);
  });

  it('are those of the last document that anyone read, which is said when it differs', () => {
    const { facts, learned } = new Scripted();
    facts.learn(documentOf(fact));
    facts.learn(documentOf(fact));
    facts.learn(documentOf({ ...fact, pds: 'https://other.test' }));
    expect(facts.known(did)?.pds).toBe('https://other.test');
    expect(learned).toEqual([did, did]);
  });

  it('are looked up afresh on suspicion at most once a minute', async () => {
    const { facts, asked, clock } = new Scripted();
    facts.learn(documentOf(fact));
    for (let attempt = 0; attempt < 5; attempt++) expect(await facts.findAgain(did)).toEqual(fact);
    expect(asked).toEqual([true]);
    clock.advance(60_000);
    await facts.findAgain(did);
    expect(asked).toEqual([true, true]);
  });

  it('of a DID that is gone are empty, and not asked for by every event', async () => {
    const scripted = new Scripted();
    scripted.answer = async () => ({ ok: false, reason: 'not-found' });
    for (let event = 0; event < 5; event++) {
      expect(await scripted.facts.find(did)).toEqual({ pds: null, signingKey: null });
    }
    expect(scripted.asked).toHaveLength(1);
  });

  it('that cannot be had now are unknown, and asked for again after seconds', async () => {
    const scripted = new Scripted();
    scripted.answer = async () => ({ ok: false, reason: 'unreachable' });
    for (let event = 0; event < 5; event++) expect(await scripted.facts.find(did)).toBeNull();
    expect(scripted.asked).toHaveLength(1);
    scripted.clock.advance(5000);
    await scripted.facts.find(did);
    expect(scripted.asked).toHaveLength(2);
  });

  it('are not waited for longer than seconds, and known when they come all the same', async () => {
    const scripted = new Scripted();
    const late = Promise.withResolvers<DidResolution>();
    scripted.answer = () => late.promise;
    const found = scripted.facts.find(did);
    await until(() => scripted.asked.length === 1);
    scripted.clock.advance(10_000);
    expect(await found).toBeNull();
    late.resolve({ ok: true, document: documentOf(fact) });
    await until(() => scripted.facts.known(did) !== undefined);
  });
});
