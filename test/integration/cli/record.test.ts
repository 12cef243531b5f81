/** `skyshard record`, `repo resync | reindex | diff`, `why`, `private` on a running cluster. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listOf, numberAt } from '../../../src/cli/service-call.ts';
import { DemoCluster } from '../../support/demo-cluster.ts';

let demo: DemoCluster;
let did: string;

const run = (...words: string[]) => demo.run(...words);

beforeAll(async () => {
  demo = await DemoCluster.start(400);
  did = await demo.didWithPosts();
}, 120_000);

afterAll(() => demo.stop(), 60_000);

async function postCount(): Promise<number> {
  return numberAt(await demo.call('GetCountsForUsers', { dids: [did] }), 'posts', 0);
}

it('a record is put and deleted without its repo, until that is fetched again', async () => {
  const uri = `at://${did}/app.bsky.feed.post/by-hand`;
  const file = join(demo.folder, 'post.json');
  writeFileSync(
    file,
    JSON.stringify({ $type: 'app.bsky.feed.post', text: 'by hand', createdAt: '2024-01-02T03:04:05Z' }),
  );
  const before = await postCount();
  const checked = await run('record', 'put', uri, file, '--dry-run');
  expect(checked, checked.err).toMatchObject({
    code: 0,
    out: expect.stringMatching(/: would be stored as bafy\w+\n$/),
  });
  expect(await postCount()).toBe(before);
  const put = await run('record', 'put', uri, file, '--json');
  expect(put, put.err).toMatchObject({ code: 0 });
  const { cid } = JSON.parse(put.out) as { cid: string };
  expect(await postCount()).toBe(before + 1);
  expect((await run('get', uri)).out).toContain('by hand');
  expect((await run('why', uri)).out).toContain('record-extra');
  expect((await run('repo', 'diff', did)).out).toContain('extra app.bsky.feed.post/by-hand');
  expect((await run('record', 'put', uri, file, '--dry-run')).out).toContain(`instead of ${cid}`);
  const resync = await run('repo', 'resync', did, '--dry-run');
  expect(resync.out).toContain('extra app.bsky.feed.post/by-hand');
  expect((await run('record', 'delete', uri, '--dry-run')).out).toBe(`${uri}: would delete ${cid}\n`);
  expect(await postCount()).toBe(before + 1);
  expect((await run('repo', 'resync', did)).out).toContain('done, rev');
  await demo.settle();
  expect(await postCount()).toBe(before);
  await run('record', 'put', uri, file);
  expect((await run('record', 'delete', uri)).out).toContain(`deleted ${cid}`);
  expect(await postCount()).toBe(before);
  const gone = await run('record', 'delete', uri);
  expect(gone).toMatchObject({ code: 1, err: expect.stringContaining('is not stored') });
  expect(gone.err).toContain(`skyshard why ${uri}`);
  expect((await run('get', uri)).err).toContain(`skyshard why ${uri}`);
}, 60_000);

it('a record that is taken down is hidden, as `why` says with what ends it', async () => {
  const feed = listOf(await demo.call('GetAuthorFeed', { actorDid: did, limit: 1 }), 'items');
  const uri = String(feed[0]!['uri']);
  const takenDown = async () => (await demo.call('GetRecordTakedown', { recordUri: uri }))['takenDown'] === true;
  expect(await run('record', 'takedown', uri)).toMatchObject({ code: 0, out: `${uri}: taken down\n` });
  expect(await takenDown()).toBe(true);
  expect((await run('why', uri)).out).toContain(`skyshard record takedown ${uri} --undo`);
  expect(await run('record', 'takedown', uri, '--undo', '--json')).toMatchObject({
    code: 0,
    out: `${JSON.stringify({ uri, takenDown: false })}\n`,
  });
  expect(await takenDown()).toBe(false);
  const absent = await run('record', 'takedown', `${uri}x`);
  expect(absent).toMatchObject({ code: 1, err: expect.stringContaining('is not stored') });
});

it('what no commit may bring is refused by its reason', async () => {
  const uri = `at://${did}/app.bsky.feed.post/bad`;
  const file = join(demo.folder, 'bad.json');
  writeFileSync(file, JSON.stringify({ $type: 'app.bsky.feed.post' }));
  expect(await run('record', 'put', uri, file)).toMatchObject({ code: 2, err: expect.stringContaining('lexicon-') });
  writeFileSync(file, '{');
  expect(await run('record', 'put', uri, file)).toMatchObject({ code: 2, err: expect.stringContaining('JSON') });
  const foreign = `at://${did}/com.example.thing/a`;
  writeFileSync(file, '{}');
  expect((await run('record', 'put', foreign, file)).err).toContain('collection-not-indexed');
});

it('a repo that is indexed again stays the same', async () => {
  const before = await postCount();
  expect(await run('repo', 'reindex', did)).toMatchObject({ code: 0, out: expect.stringContaining('indexed again') });
  await demo.settle();
  expect(await postCount()).toBe(before);
  const diff = JSON.parse((await run('repo', 'diff', did, '--json')).out) as { differences: object };
  expect(diff.differences).toEqual({ missing: 0, extra: 0, other: 0 });
  expect((await run('why', did)).out).toContain('nothing differs');
});

it('what an actor keeps in private is shown whole and erased by kind', async () => {
  expect((await run('private', 'show', did)).out).toBe(`${did}: keeps nothing in private\n`);
  const muted = ['did:plc:bbbbbbbbbbbbbbbbbbbbbbbb', 'did:web:someone.example'];
  for (const subjectDid of muted) await demo.call('CreateActorMute', { actorDid: did, subjectDid });
  const threadRoot = `at://${muted[0]}/app.bsky.feed.post/p`;
  await demo.call('CreateThreadMute', { actorDid: did, threadRoot });
  const shown = (await run('private', 'show', did, '--json')).out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  expect(shown.map(({ section, key }) => [section, key]).sort()).toEqual([
    ['mutes', muted[0]],
    ['mutes', muted[1]],
    ['thread-mutes', threadRoot],
  ]);
  expect((await run('private', 'erase', did, '--kind=mutes', '--dry-run')).out).toBe('2 mutes\n1 thread-mutes\n');
  expect(await run('private', 'erase', did, '--kind=nonsense')).toMatchObject({ code: 2 });
  expect(await run('private', 'erase', did)).toMatchObject({ code: 2, err: expect.stringContaining('give --kind') });
  expect(await run('private', 'erase', did, '--kind=mutes')).toMatchObject({ code: 0 });
  expect((await run('private', 'show', did)).out).toBe(`${did}: keeps nothing in private\n`);
  expect(await run('private', 'erase', did, '--kind=private-data')).toMatchObject({ code: 0 });
}, 30_000);

it('sources are listed, paused and resumed; an identity is looked up again', async () => {
  const url = demo.cluster.run.demo!.url;
  expect((await run('source', 'pause', url)).out).toContain('is paused at the cursor');
  expect((await run('source', 'list')).out).toMatch(/paused/);
  expect((await run('status')).out).toMatch(/paused/);
  expect((await run('source', 'resume', url)).out).toContain('goes on');
  expect((await run('source', 'begin', url, '--cursor=0', '--dry-run')).out).toMatch(
    /would begin again at the cursor 0; the cursor is \d+\n$/,
  );
  expect((await run('source', 'mended', url, '--dry-run', '--json')).out).toBe(
    `${JSON.stringify({ source: url, problem: null, dryRun: true })}\n`,
  );
  expect(await run('source', 'begin', 'nothing', '--dry-run')).toMatchObject({
    code: 2,
    err: expect.stringContaining('skyshard source list'),
  });
  expect((await run('identity', 'refresh', did)).out).toContain('with a proven handle');
});
