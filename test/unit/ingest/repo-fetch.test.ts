/** Large repos are fetched one at a time, and one's failure is its own. */
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { systemClock as clock } from '../../../src/base/clock.ts';
import { IdentityResolver } from '../../../src/identity/identity-resolver.ts';
import { type FetchOutcome, type FetchRequest, PublicFetch } from '../../../src/identity/public-fetch.ts';
import { AccountFacts } from '../../../src/ingest/account-facts.ts';
import { HostLimits } from '../../../src/ingest/host-limits.ts';
import { createIngestCounters } from '../../../src/ingest/ingest-counters.ts';
import { RepoFetch } from '../../../src/ingest/repo-fetch.ts';
import { RepoGate } from '../../../src/ingest/repo-gate.ts';
import { RepoHost } from '../../../src/ingest/repo-host.ts';
import type { RepoRow } from '../../../src/ingest/state/fetch-queue.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { authorDid, otherDid } from '../atproto/signed-repo.ts';

/**
 * Every repo is large; fetching the first one whole throws, and the host is busy for the others.
 */
class FaultyFetch extends PublicFetch {
  #wholeFetches = 0;

  override async get({ url, bytesMax }: FetchRequest): Promise<FetchOutcome> {
    if (bytesMax < 100_000_000) return { ok: false, reason: 'too-large', message: url };
    if (this.#wholeFetches++ === 0) throw new TypeError('a defect');
    return { ok: true, status: 503, headers: {}, body: Buffer.alloc(0) };
  }
}

describe('a large repo', () => {
  it('is fetched although the fetch of another threw', async () => {
    using fetch = new FaultyFetch({ allowPrivateHosts: true });
    const resolverOptions = { plcUrl: 'https://plc.test', handleResolverUrl: null, allowPrivateHosts: true };
    using resolver = new IdentityResolver(resolverOptions);
    const { signal } = new AbortController();
    const limits = new HostLimits({ clock, concurrencyMax: 2, requestsPerSecond: 1e9 });
    const host = new RepoHost({ fetch, limits, clock, isTrusted: () => true, signal });
    const appender = new MemoryLog();
    const counters = createIngestCounters(new Registry());
    const facts = new AccountFacts({ identities: { check: () => undefined }, resolver, clock });
    const repos = new RepoFetch({ gate: new RepoGate(appender), appender, resolver, facts, host, clock, counters });
    const row: RepoRow = { state: 'queued', attempts: 0, dueSec: 0, rev: '', revMin: '', host: 'https://pds.test' };
    const [first, second] = await Promise.allSettled([repos.fetch(authorDid, row), repos.fetch(otherDid, row)]);
    expect(first).toMatchObject({ status: 'rejected', reason: { message: 'a defect' } });
    expect(second).toMatchObject({ status: 'fulfilled', value: { ok: false, reason: 'busy' } });
  });
});
