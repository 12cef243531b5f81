/** What is stored of an account is read when a rule may need it, and else seldom. */
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../../src/base/clock.ts';
import type { IdentityResolver } from '../../../src/identity/identity-resolver.ts';
import { AccountFacts } from '../../../src/ingest/account-facts.ts';
import { HostPolicy } from '../../../src/ingest/host-policy.ts';
import { IngestState } from '../../../src/ingest/state/ingest-state.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const relay = 'https://relay.test';
const accounts = 160;

let folder: string;
let state: IngestState;
let reads: number;
beforeEach(() => {
  folder = makeMemoryFolder('skyshard-hosts-');
  state = new IngestState(folder);
  reads = 0;
});
afterEach(async () => {
  await state[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true });
});

function policyOf(isSampled: boolean): HostPolicy {
  const check = () => {
    reads++;
    return { pds: 'https://pds.test', signingKey: null };
  };
  const resolver = {} as IdentityResolver;
  const facts = new AccountFacts({ identities: { check }, resolver, clock });
  return new HostPolicy({ rules: state.hostRules, facts, clock, isSampled });
}

const verdicts = (policy: HostPolicy): Set<string> =>
  new Set(
    Array.from({ length: accounts }, (_account, number) => policy.decide(`did:web:n${number}.test`, relay, true)),
  );

describe('an event of an account that is not in memory', () => {
  it('is read from the disk once in sixteen times when only counts need it, which are estimates then', () => {
    const policy = policyOf(true);
    expect([...verdicts(policy)]).toEqual(['allowed']);
    expect(reads).toBe(accounts / 16);
    expect(policy.list(10)).toMatchObject([{ host: 'pds.test', events: accounts }]);
  });

  it('is counted where commits are proven, which needs the read anyway', () => {
    const policy = policyOf(false);
    verdicts(policy);
    expect(policy.list(10)).toMatchObject([{ host: 'pds.test', events: accounts }]);
  });

  it('is refused when its host is blocked', async () => {
    const policy = policyOf(true);
    await policy.change('pds.test', { isBlocked: true });
    expect([...verdicts(policy)]).toEqual(['host-blocked']);
    expect(policy.list(10)).toMatchObject([{ drops: accounts }]);
  });
});
