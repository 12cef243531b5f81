/** `skyshard repo` on a running cluster: a takedown hides, a purge removes, allow brings back. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listOf, numberAt } from '../../../src/cli/service-call.ts';
import { DemoCluster } from '../../support/demo-cluster.ts';
import { until } from '../../support/until.ts';

let demo: DemoCluster;
let did: string;

beforeAll(async () => {
  demo = await DemoCluster.start(400);
  did = await demo.didWithPosts();
}, 120_000);

afterAll(() => demo.stop(), 60_000);

const run = (...words: string[]) => demo.run(...words);

async function actor(): Promise<Readonly<Record<string, unknown>>> {
  return listOf(await demo.call('GetActors', { dids: [did] }), 'actors')[0]!;
}

async function postCount(): Promise<number> {
  return numberAt(await demo.call('GetCountsForUsers', { dids: [did] }), 'posts', 0);
}

it('commands that find nothing to do say so', async () => {
  expect(await run('quarantine', 'retry', '--all')).toMatchObject({ code: 0, out: 'nothing is in quarantine\n' });
  expect(await run('host', 'unblock', 'nothere.test')).toMatchObject({ code: 0, out: 'nothere.test: no rule\n' });
});

it('errors of commands say what to run next', async () => {
  expect((await run('host', 'limit', 'a.test')).err).toContain('skyshard host limit --help');
  expect((await run('source', 'begin', 'foo')).err).toContain(`Give one of these: ${demo.cluster.run.demo!.url}.`);
  const unknown = await fetch(`${demo.cluster.run.router.url}/v1/nonsense`);
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
  const nobody = await run('repo', 'takedown', 'nobody');
  expect(nobody).toMatchObject({ code: 2, err: expect.stringContaining('not a DID') });
  expect(nobody.err).toContain('skyshard why');
});

it('purge removes all that is stored and refuses what comes, until allow', async () => {
  const posts = await postCount();
  const { handle } = await actor();
  const shown = await run('repo', 'purge', did, '--dry-run');
  expect(shown.out).toContain(`${did} (${handle}): would lose ${posts} posts`);
  expect(await postCount()).toBe(posts);

  expect(await run('repo', 'purge', did)).toMatchObject({ code: 0, out: expect.stringContaining('is being removed') });
  await demo.settle();
  expect([await postCount(), (await actor())['exists'] === true]).toEqual([0, false]);
  expect((await run('repo', 'list')).out).toContain(did);
  expect(await run('backfill', did)).toMatchObject({ code: 2, err: expect.stringContaining(`repo allow ${did}`) });

  expect(await run('repo', 'allow', did)).toMatchObject({ code: 0, out: expect.stringContaining('taken again') });
  await until(async () => (await postCount()) === posts);
  await until(async () => (await actor())['handle'] === handle);
  expect(await run('repo', 'allow', did)).toMatchObject({ out: `${did}: was not refused\n` });
});
