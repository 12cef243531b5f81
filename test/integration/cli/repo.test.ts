/** `skyshard repo` on a running cluster: a takedown hides, a purge removes, allow brings back. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { adminRequest } from '../../../src/cli/admin-request.ts';
import { callService, listOf, numberAt } from '../../../src/cli/service-call.ts';
import {
  clusterFolder,
  type Ended,
  type RunningCluster,
  removeFolder,
  runCommand,
  startCluster,
} from '../../support/running-cluster.ts';
import { until } from '../../support/until.ts';

const timeoutMs = 30_000;
let folder: string;
let cluster: RunningCluster;
let did: string;

beforeAll(async () => {
  folder = clusterFolder();
  cluster = await startCluster(folder, ['--demo', '--demo-actors=10', '--demo-records=400', '--demo-rate=0']);
  await settle();
  const listed = await adminRequest({
    url: cluster.run.demo!.url,
    path: '/xrpc/com.atproto.sync.listRepos',
    token: null,
    timeoutMs,
  });
  const dids = listOf(listed as Record<string, unknown>, 'repos').map((repo) => String(repo['did']));
  const counts = await callService(router(), 'GetCountsForUsers', { dids });
  did = dids.find((_did, index) => numberAt(counts, 'posts', index) > 0)!;
}, 120_000);

afterAll(async () => {
  await cluster.stop();
  removeFolder(folder);
}, 60_000);

const router = () => ({ url: cluster.run.router.url, timeoutMs });
const run = (...words: string[]): Promise<Ended> => runCommand([...words, `--data-dir=${cluster.dataDir}`]);

async function settle(): Promise<void> {
  await adminRequest({ url: cluster.run.router.url, path: '/v1/settle', body: {}, token: null, timeoutMs });
}

async function actor(): Promise<Readonly<Record<string, unknown>>> {
  return listOf(await callService(router(), 'GetActors', { dids: [did] }), 'actors')[0]!;
}

async function postCount(): Promise<number> {
  return numberAt(await callService(router(), 'GetCountsForUsers', { dids: [did] }), 'posts', 0);
}

it('commands that find nothing to do say so', async () => {
  expect(await run('quarantine', 'retry', '--all')).toMatchObject({ code: 0, out: 'nothing is in quarantine\n' });
  expect(await run('host', 'unblock', 'nothere.test')).toMatchObject({ code: 0, out: 'nothere.test: no rule\n' });
});

it('errors of commands say what to run next', async () => {
  expect((await run('host', 'limit', 'a.test')).err).toContain('skyshard host limit --help');
  expect((await run('source', 'begin', 'foo')).err).toContain(`Give one of these: ${cluster.run.demo!.url}.`);
  const unknown = await fetch(`${cluster.run.router.url}/v1/nonsense`);
  expect(await unknown.json()).toMatchObject({ hint: 'ops/operating.md lists the endpoints.' });
});

it('takedown hides an account, and --undo shows it again', async () => {
  expect(await run('repo', 'takedown', did)).toMatchObject({ code: 0, out: `${did}: taken down\n` });
  expect(await actor()).toMatchObject({ takenDown: true });
  expect(await run('repo', 'takedown', did, '--undo', '--json')).toMatchObject({
    code: 0,
    out: `{"did":"${did}","takenDown":false}\n`,
  });
  expect((await actor())['takenDown']).not.toBe(true);
  expect(await run('repo', 'takedown', 'nobody')).toMatchObject({ code: 2, err: expect.stringContaining('not a DID') });
});

it('purge removes all that is stored and refuses what comes, until allow', async () => {
  const posts = await postCount();
  const { handle } = await actor();
  const shown = await run('repo', 'purge', did, '--dry-run');
  expect(shown.out).toContain(`${did} (${handle}): would lose ${posts} posts`);
  expect(await postCount()).toBe(posts);

  expect(await run('repo', 'purge', did)).toMatchObject({ code: 0, out: expect.stringContaining('is being removed') });
  await settle();
  expect([await postCount(), (await actor())['exists'] === true]).toEqual([0, false]);
  expect((await run('repo', 'list')).out).toContain(did);
  expect(await run('backfill', did)).toMatchObject({ code: 2, err: expect.stringContaining(`repo allow ${did}`) });

  expect(await run('repo', 'allow', did)).toMatchObject({ code: 0, out: expect.stringContaining('taken again') });
  await until(async () => (await postCount()) === posts);
  expect(await run('repo', 'allow', did)).toMatchObject({ out: `${did}: was not refused\n` });
});
