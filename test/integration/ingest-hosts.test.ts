/** What an operator decides about a host is in force at once, and after a restart. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ListedHost } from '../../src/ingest/host-policy.ts';
import { IngestHarness } from '../support/ingest-harness.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { type Ended, runCommand } from '../support/running-cluster.ts';
import { ScriptedNetwork } from '../support/scripted-network.ts';
import { until } from '../support/until.ts';
import {
  authorDid,
  commitFrame,
  create,
  frameOf,
  likeRecord,
  otherDid,
  SignedRepo,
} from '../unit/atproto/signed-repo.ts';

let harness: IngestHarness;
/** The host of the author's account; the other account's is the relay itself. */
let pds: ScriptedNetwork;
let author: SignedRepo;
let other: SignedRepo;
let seq: number;

beforeEach(async () => {
  harness = await IngestHarness.create();
  pds = await ScriptedNetwork.start();
  pds.register(authorDid, 'author.test');
  harness.network.documents.set(authorDid, pds.documents.get(authorDid));
  harness.network.didByHandle.set('author.test', authorDid);
  harness.network.register(otherDid, 'other.test');
  author = await SignedRepo.start(authorDid);
  other = await SignedRepo.start(otherDid);
  pds.serveRepos(async () => ({ body: await author.car() }));
  seq = 0;
  await harness.start();
  await until(() => harness.network.openCount === 1);
  await publish(author);
  await publish(other);
  // The documents are known, and with them the hosts.
  await until(async () => {
    if ((await hosts()).length === 2) return true;
    await publish(author);
    await publish(other);
    return false;
  });
});

afterEach(async () => {
  await harness.close();
  await pds.close();
});

async function publish(repo: SignedRepo): Promise<void> {
  seq++;
  harness.network.publish(
    seq,
    commitFrame(await repo.commit(seq, create('app.bsky.feed.like', `l${seq}`, likeRecord()))),
  );
  await until(() => harness.status.durableSeq === seq);
}

async function hosts(): Promise<ListedHost[]> {
  return (await harness.get('/v1/hosts')).body['hosts'] as ListedHost[];
}

async function hostOf(network: ScriptedNetwork): Promise<ListedHost | undefined> {
  return (await hosts()).find(({ host }) => host === new URL(network.url).host);
}

const commitsOf = (did: string): number => harness.log.of('commit', did).length;

const noHosts = [
  '../../etc',
  'http://a.test/x',
  'a.test/x',
  'a.test?x',
  'a..test',
  'u@a.test',
  'ftp://a.test',
  '',
  '-',
];
const hostsByName = {
  'A.test': 'a.test',
  'https://a.test/': 'a.test',
  'http://a.test:3000': 'a.test:3000',
  '[::1]:80': '[::1]:80',
};

it('a host is named as DID documents do, and what is no host is refused', async () => {
  for (const [given, host] of Object.entries(hostsByName)) {
    expect((await harness.post('/v1/host/block', { host: given })).body).toMatchObject({ host, isBlocked: true });
  }
  for (const host of noHosts) {
    const refused = await harness.post('/v1/host/block', { host });
    expect(refused, host).toMatchObject({ status: 400, body: { message: expect.stringContaining('must be a host') } });
  }
});

it('a purge of what is no did:plc is refused, and leaves nothing', async () => {
  for (const did of ['did:plc:unknownunknown', 'did:plc:', `${authorDid}a`, authorDid.toUpperCase()]) {
    expect(await harness.post('/v1/repo/purge', { did })).toMatchObject({ status: 400 });
  }
  expect((await harness.get('/v1/repos/refused')).body).toEqual({ repos: [] });
});

describe('a host that is blocked', () => {
  it('has no events taken of its accounts, and those of others go on', async () => {
    const before = [commitsOf(authorDid), commitsOf(otherDid)];
    expect((await harness.post('/v1/host/block', { host: pds.url })).body).toMatchObject({ isBlocked: true });
    await publish(author);
    seq++;
    const account = { seq, did: authorDid, time: new Date().toISOString(), active: false, status: 'deactivated' };
    harness.network.publish(seq, frameOf({ op: 1, t: '#account' }, account));
    await publish(other);
    expect([commitsOf(authorDid), commitsOf(otherDid)]).toEqual([before[0], before[1]! + 1]);
    expect(harness.log.of('account')).toEqual([]);
    expect(await hostOf(pds)).toMatchObject({ isBlocked: true, drops: 2 });
  });

  it('is sent no request, until the block ends', async () => {
    await harness.post('/v1/host/block', { host: new URL(pds.url).host });
    const asked = pds.requests.length;
    await harness.post('/v1/backfill', { did: authorDid });
    await until(() => (harness.ingest.backfill.repo(authorDid)?.lastFailure ?? null) !== null);
    expect(harness.ingest.backfill.repo(authorDid)?.lastFailure?.message).toContain('host-blocked');
    expect(pds.requests.length).toBe(asked);
    await harness.post('/v1/host/unblock', { host: pds.url });
    await harness.post('/v1/backfill', { did: authorDid });
    await until(() => harness.ingest.backfill.repo(authorDid)?.state === 'done');
    const before = commitsOf(authorDid);
    await publish(author);
    expect(commitsOf(authorDid)).toBe(before + 1);
  });

  it('stays so after a restart', async () => {
    await harness.post('/v1/host/block', { host: pds.url });
    await harness.stop();
    await harness.start();
    expect(await hostOf(pds)).toMatchObject({ isBlocked: true });
    await until(() => harness.network.openCount === 1);
    const before = commitsOf(authorDid);
    await publish(author);
    expect(commitsOf(authorDid)).toBe(before);
  });
});

it('what exceeds the limit of a host is dropped, and its repo is fetched', async () => {
  expect((await harness.post('/v1/host/limit', { host: pds.url, eventsPerSecond: 1 })).status).toBe(200);
  const before = (await hostOf(pds))!;
  while ((await hostOf(pds))!.drops === before.drops) await publish(author);
  await until(() => harness.ingest.backfill.repo(authorDid)?.state === 'done');
  await publish(other);
  expect((await hostOf(harness.network))!.drops).toBe(0);
  await harness.post('/v1/host/limit', { host: pds.url, eventsPerSecond: null });
  expect(await hostOf(pds)).toMatchObject({ eventsPerSecond: null });
});

it('nothing of a repo that was purged is taken, after a restart either', async () => {
  expect((await harness.post('/v1/repo/purge', { did: authorDid })).status).toBe(200);
  expect(harness.log.of('account', authorDid)).toMatchObject([{ active: false, status: 'deleted' }]);
  const entries = harness.log.entries.filter(({ key }) => key === authorDid).length;
  await harness.stop();
  await harness.start();
  await until(() => harness.network.openCount === 1);
  await publish(author);
  seq++;
  harness.network.publish(
    seq,
    frameOf({ op: 1, t: '#identity' }, { seq, did: authorDid, time: new Date().toISOString() }),
  );
  await publish(other);
  await harness.post('/v1/resync', { repos: [{ did: authorDid }] });
  await until(() => harness.ingest.backfill.repo(authorDid)?.state === 'done');
  expect(harness.log.entries.filter(({ key }) => key === authorDid).length).toBe(entries);
});

it('a purge that the log had not taken when ingest ended is made at the next start', async () => {
  harness.log.isHeld = true;
  const asked = harness.post('/v1/repo/purge', { did: authorDid }).catch(() => null);
  await until(() => harness.log.of('account', authorDid).length === 1);
  await harness.stop();
  await asked;
  harness.log = new MemoryLog();
  await harness.start();
  await until(() => harness.log.of('account', authorDid).length === 1);
  expect(harness.log.of('account', authorDid)).toMatchObject([{ active: false, status: 'deleted' }]);
  const isRemoved = async (): Promise<boolean> => {
    const { repos } = (await harness.get('/v1/repos/refused')).body as { repos: { isRemoved: boolean }[] };
    return repos.length === 1 && repos[0]!.isRemoved;
  };
  await until(isRemoved);
});

describe('skyshard host', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'skyshard-host-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const run = (...words: string[]): Promise<Ended> =>
    runCommand(['host', ...words, `--ingest-url=http://127.0.0.1:${harness.ingest.port}`, `--data-dir=${folder}`]);

  it('blocks, limits, lists and unblocks', async () => {
    const { host } = new URL(pds.url);
    expect(await run('block', pds.url)).toMatchObject({ code: 0, out: `${host}: blocked\n` });
    expect(await run('limit', host, '--requests-per-second=3')).toMatchObject({
      code: 0,
      out: `${host}: blocked, 3 requests/s\n`,
    });
    expect((await run('list')).out).toMatch(new RegExp(`^host .*events +drops +failures[^]*${host} +blocked, 3 req`));
    expect(JSON.parse((await run('list', '--json')).out)[0]).toMatchObject({
      host,
      isBlocked: true,
      requestsPerSecond: 3,
    });
    expect(await run('unblock', host)).toMatchObject({ code: 0, out: `${host}: 3 requests/s\n` });
    expect(await run('limit', host, '--requests-per-second=0')).toMatchObject({ code: 0, out: `${host}: no rule\n` });
    expect(await run('limit', host)).toMatchObject({ code: 2, err: expect.stringContaining('--events-per-second') });
    expect(await run('block', 'no host')).toMatchObject({ code: 2, err: expect.stringContaining('must be a host') });
  });
});
