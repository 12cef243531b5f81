/** Large repos share a bound of memory, and one's failure is its own. */
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
import { until } from '../../support/until.ts';
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

/** Every repo is large, and no host ends its answer until the test does. */
class EndlessFetch extends PublicFetch {
  readonly end = Promise.withResolvers<void>();
  /** What the answers that are coming may take. Units: bytes. */
  #bytes = 0;
  bytesMost = 0;
  answersMost = 0;
  #answers = 0;

  override async get({ url, bytesMax }: FetchRequest): Promise<FetchOutcome> {
    if (bytesMax < 100_000_000) return { ok: false, reason: 'too-large', message: url };
    this.#bytes += bytesMax;
    this.bytesMost = Math.max(this.bytesMost, this.#bytes);
    this.answersMost = Math.max(this.answersMost, ++this.#answers);
    await this.end.promise;
    this.#bytes -= bytesMax;
    this.#answers--;
    return { ok: false, reason: 'too-large', message: url };
  }
}

function repoFetchOver(fetch: PublicFetch, resolver: IdentityResolver): RepoFetch {
  const { signal } = new AbortController();
  const limits = new HostLimits({ clock, concurrencyMax: 24, requestsPerSecond: 1e9 });
  const host = new RepoHost({ fetch, limits, clock, isTrusted: () => true, signal });
  const appender = new MemoryLog();
  const counters = createIngestCounters(new Registry());
  const facts = new AccountFacts({ identities: { check: () => undefined }, resolver, clock });
  return new RepoFetch({ gate: new RepoGate(appender), appender, resolver, facts, host, clock, counters });
}

const resolverOptions = { plcUrl: 'https://plc.test', handleResolverUrl: null, allowPrivateHosts: true };
const row: RepoRow = { state: 'queued', attempts: 0, dueSec: 0, rev: '', revMin: '', host: 'https://pds.test' };

describe('a large repo', () => {
  it('is fetched although the fetch of another threw', async () => {
    using fetch = new FaultyFetch({ allowPrivateHosts: true });
    using resolver = new IdentityResolver(resolverOptions);
    const repos = repoFetchOver(fetch, resolver);
    const [first, second] = await Promise.allSettled([repos.fetch(authorDid, row), repos.fetch(otherDid, row)]);
    expect(first).toMatchObject({ status: 'rejected', reason: { message: 'a defect' } });
    expect(second).toMatchObject({ status: 'fulfilled', value: { ok: false, reason: 'busy' } });
  });

  it('shares 512 MiB with all others, and few of them wait for it', async () => {
    using fetch = new EndlessFetch({ allowPrivateHosts: true });
    // Nobody resolves: the documents' hosts are not asked after the given one.
    using resolver = new IdentityResolver({ ...resolverOptions, plcUrl: 'http://127.0.0.1:1' });
    const repos = repoFetchOver(fetch, resolver);
    let crowded = 0;
    const attempts = Array.from({ length: 24 }, async (_, number) => {
      const outcome = await repos.fetch(`${authorDid.slice(0, -2)}${'abcdefghijklmnopqrstuvwxyz'[number]}a`, row);
      if (!outcome.ok && outcome.reason === 'crowded') crowded++;
      return outcome;
    });
    await until(() => crowded === 24 - 4 - 4 && fetch.answersMost === 4);
    fetch.end.resolve();
    for (const outcome of await Promise.all(attempts)) expect(outcome).toMatchObject({ ok: false });
    expect(fetch.bytesMost).toBe(2 ** 29);
  });
});
