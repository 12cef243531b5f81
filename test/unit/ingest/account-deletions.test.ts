/** When an account is deleted although its host cannot be asked, and what cancels that. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { seededRandom } from '../../../src/base/seeded-random.ts';
import { IdentityResolver } from '../../../src/identity/identity-resolver.ts';
import { PublicFetch } from '../../../src/identity/public-fetch.ts';
import { AccountDeletions } from '../../../src/ingest/account-deletions.ts';
import { HostLimits } from '../../../src/ingest/host-limits.ts';
import { createIngestCounters } from '../../../src/ingest/ingest-counters.ts';
import { RepoGate } from '../../../src/ingest/repo-gate.ts';
import { RepoHost } from '../../../src/ingest/repo-host.ts';
import { IngestState } from '../../../src/ingest/state/ingest-state.ts';
import { ManualClock } from '../../support/manual-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { didDocument, json, ScriptedNetwork } from '../../support/scripted-network.ts';
import { until } from '../../support/until.ts';
import { authorDid } from '../atproto/signed-repo.ts';

const hourMs = 3_600_000;
const latestCommit = '/xrpc/com.atproto.sync.getLatestCommit';
const never = new AbortController().signal;

let network: ScriptedNetwork;
let folder: string;
let state: IngestState;
let log: MemoryLog;
let clock: ManualClock;
let resolver: IdentityResolver;
let fetch: PublicFetch;
let stop: AbortController;
let deletions: AccountDeletions;
let running: Promise<void>;

function start(): void {
  stop = new AbortController();
  const { signal } = stop;
  const limits = new HostLimits({ clock, concurrencyMax: 8, requestsPerSecond: 40 });
  const host = new RepoHost({ fetch, limits, clock, isTrusted: () => false, signal });
  const counters = createIngestCounters(new Registry());
  const gate = new RepoGate(log);
  const parts = { queue: state.deletions, gate, resolver, host, clock, random: seededRandom(1), counters };
  deletions = new AccountDeletions(parts, signal);
  running = deletions.run();
}

beforeEach(async () => {
  network = await ScriptedNetwork.start();
  folder = mkdtempSync(join(tmpdir(), 'skyshard-deletions-'));
  state = new IngestState(folder);
  log = new MemoryLog();
  clock = new ManualClock();
  fetch = new PublicFetch({ allowPrivateHosts: true });
  const urls = { plcUrl: network.url, handleResolverUrl: network.url };
  resolver = new IdentityResolver({ ...urls, allowPrivateHosts: true, clock });
  start();
});
afterEach(async () => {
  stop.abort();
  await running;
  resolver[Symbol.dispose]();
  fetch[Symbol.dispose]();
  await state[Symbol.asyncDispose]();
  await network.close();
  rmSync(folder, { recursive: true });
});

async function closedPort(): Promise<number> {
  const other = await ScriptedNetwork.start();
  await other.close();
  return other.port;
}

/** Moves the clock in some steps, each with a check if one is due, unless the deletion is made. */
async function passHours(hours: number): Promise<void> {
  const endMs = clock.nowMs() + hours * hourMs;
  const stepMs = (hours * hourMs) / 24;
  while (clock.nowMs() < endMs && state.deletions.get(authorDid) !== undefined) {
    const before = state.deletions.get(authorDid);
    clock.advance(stepMs);
    if ((before?.dueSec ?? Number.POSITIVE_INFINITY) * 1000 > clock.nowMs()) continue;
    deletions.wake();
    await until(() => state.deletions.get(authorDid)?.dueSec !== before?.dueSec);
  }
}

it('a host that is gone for good took the account with it, after a day and not before', async () => {
  network.documents.set(authorDid, didDocument(authorDid, 'a.test', `http://127.0.0.1:${await closedPort()}`));
  const eventMs = clock.nowMs();
  await deletions.request(authorDid, eventMs);
  expect(await deletions.drained(never)).toBe(true);
  await passHours(23);
  expect(log.entries).toEqual([]);
  await passHours(24);
  expect(log.of('account')).toMatchObject([{ did: authorDid, active: false, status: 'deleted', eventMs }]);
  expect(state.deletions.isUsed).toBe(false);
});

it('a host that asks for a pause, or fails, is asked again for a month', async () => {
  network.register(authorDid, 'author.test');
  network.responders.set(latestCommit, () => ({ status: 503, body: '' }));
  await deletions.request(authorDid, clock.nowMs());
  await deletions.drained(never);
  await passHours(29 * 24);
  expect(log.entries).toEqual([]);
  await passHours(48);
  expect(log.of('account')).toMatchObject([{ did: authorDid, status: 'deleted' }]);
});

it('no deletion is made because the directory is down', async () => {
  network.responders.set(`/${encodeURIComponent(authorDid)}`, () => ({ status: 503, body: '' }));
  await deletions.request(authorDid, clock.nowMs());
  await deletions.drained(never);
  await passHours(40 * 24);
  expect(log.entries).toEqual([]);
});

it('an account that comes back cancels the deletion before it, and not one after it', async () => {
  network.documents.set(authorDid, didDocument(authorDid, 'a.test', `http://127.0.0.1:${await closedPort()}`));
  const eventMs = clock.nowMs();
  // Not awaited: the cancellation follows while the request is on its way to the disk.
  const requested = deletions.request(authorDid, eventMs);
  await deletions.cancel(authorDid, eventMs - 1);
  await requested;
  expect(state.deletions.get(authorDid)).toMatchObject({ eventMs });
  await deletions.cancel(authorDid, eventMs + 1);
  expect(state.deletions.get(authorDid)).toBeUndefined();
});

it('one that comes back while its host is asked is not deleted', async () => {
  network.register(authorDid, 'author.test');
  let answer = (): void => {};
  let isAsked = false;
  network.responders.set(latestCommit, async () => {
    isAsked = true;
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    return json({ error: 'RepoNotFound', message: 'x' }, 400);
  });
  await deletions.request(authorDid, clock.nowMs());
  await until(() => isAsked);
  await deletions.cancel(authorDid, clock.nowMs() + 1);
  answer();
  await until(() => deletions.runningCount === 0);
  expect(log.entries).toEqual([]);
});

it('a deletion that waits is made by the next process', async () => {
  network.documents.set(authorDid, didDocument(authorDid, 'a.test', `http://127.0.0.1:${await closedPort()}`));
  await deletions.request(authorDid, clock.nowMs());
  await deletions.drained(never);
  stop.abort();
  await running;
  await state[Symbol.asyncDispose]();
  state = new IngestState(folder);
  start();
  await passHours(48);
  expect(log.of('account')).toHaveLength(1);
});
