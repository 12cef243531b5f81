/** `skyshard suggestion`, `tag` and `age` on a running cluster, and the endpoints of operators. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { listOf } from '../../../src/cli/service-call.ts';
import { suggestionChangesMax } from '../../../src/entry/suggestion.ts';
import { type CurlLine, curlLines } from '../../support/curl-lines.ts';
import { DemoCluster } from '../../support/demo-cluster.ts';
import { until } from '../../support/until.ts';

let demo: DemoCluster;
let did: string;
let post: string;

beforeAll(async () => {
  demo = await DemoCluster.start(200);
  for (const repo of await demo.dids()) {
    const items = listOf(await demo.call('GetAuthorFeed', { actorDid: repo, limit: 1 }), 'items');
    if (items[0] === undefined) continue;
    did = repo;
    post = String(items[0]['uri']);
  }
}, 120_000);

afterAll(() => demo.stop(), 60_000);

const run = (...words: string[]) => demo.run(...words);
const feed = (name: string): string => `at://${did}/app.bsky.feed.generator/${name}`;

async function suggestedFeeds(): Promise<unknown> {
  return (await demo.call('GetSuggestedFeeds', {}))['uris'] ?? [];
}

it('suggestions are added, put in order, shown and removed, at once for readers', async () => {
  expect(await run('suggestion', 'list')).toMatchObject({ code: 0, out: 'nothing is suggested\n' });
  expect(await run('suggestion', 'add', 'feeds', feed('a'), feed('b'), feed('c'))).toMatchObject({ code: 0 });
  expect(await suggestedFeeds()).toEqual([feed('a'), feed('b'), feed('c')]);
  const order = ['suggestion', 'order', 'feeds', feed('c'), feed('x')];
  expect((await run(...order, '--dry-run')).out).toBe(
    `${feed('c')}: is at 3, would be at 1\n${feed('x')}: is not in the list, would be at 2\n`,
  );
  expect((await run('suggestion', 'add', 'feeds', feed('x'), '--dry-run', '--json')).out).toBe(
    `${JSON.stringify({ list: 'feeds', moves: [{ subject: feed('x'), from: null, to: null }] })}\n`,
  );
  expect(await suggestedFeeds()).toEqual([feed('a'), feed('b'), feed('c')]);
  await run('suggestion', 'order', 'feeds', feed('c'), feed('a'));
  await run('suggestion', 'add', 'feeds', feed('d'), '--order=0');
  expect(await suggestedFeeds()).toEqual([feed('d'), feed('c'), feed('a'), feed('b')]);
  expect((await run('suggestion', 'remove', 'feeds', feed('c'), '--dry-run')).out).toContain('would be removed');
  expect(await suggestedFeeds()).toContain(feed('c'));
  await run('suggestion', 'remove', 'feeds', feed('c'));
  expect(await suggestedFeeds()).toEqual([feed('d'), feed('a'), feed('b')]);
  await run('suggestion', 'add', 'tagged', did, feed('a'), '--tag=art');
  await run('suggestion', 'add', 'follows', did);
  const { entities } = await demo.call('GetSuggestedEntities', {});
  expect(entities).toMatchObject([
    { tag: 'art', subject: did, subjectType: 'actor' },
    { tag: 'art', subject: feed('a'), subjectType: 'feed' },
  ]);
  expect((await demo.call('GetFollowSuggestions', { actorDid: did }))['dids']).toEqual([did]);
  const lists = JSON.parse((await run('suggestion', 'list', '--json')).out) as Record<string, unknown[]>;
  expect([lists['feeds'], lists['tagged'], lists['follows']].map((list) => list?.length)).toEqual([3, 2, 1]);
});

it('tags are replaced, and --dry-run shows what would be', async () => {
  const tags = async () => {
    const { records } = await demo.call('GetPostRecords', { uris: [post] });
    return (records as Record<string, unknown>[])[0]!['tags'] ?? [];
  };
  expect(await run('tag', 'set', post, 'hide', 'rank:2')).toMatchObject({ code: 0 });
  expect(await tags()).toEqual(['hide', 'rank:2']);
  expect((await run('tag', 'set', post, '--dry-run')).out).toBe(`${post}: had hide, rank:2, would have no tags\n`);
  expect(await tags()).toEqual(['hide', 'rank:2']);
  await run('tag', 'set', post);
  expect(await tags()).toEqual([]);
  await run('tag', 'set', did, 'odd');
  expect((await run('tag', 'set', did, '--json')).out).toContain('"before":["odd"]');
  const absent = `at://${did}/app.bsky.feed.post/absent`;
  expect(await run('tag', 'set', absent, 'hide')).toMatchObject({
    code: 1,
    err: expect.stringContaining(`${absent} is not stored`),
  });
});

it('age assurance is set and cleared', async () => {
  const age = async () => {
    const request = { dids: [did], returnAgeAssuranceForDids: [did] };
    return listOf(await demo.call('GetActors', request), 'actors')[0]!['ageAssuranceStatus'];
  };
  const shown = await run('age', 'set', did, 'assured', '--access=safe', '--dry-run');
  expect(shown.out).toMatch(/: has .*unknown.*, would have the status assured and the access safe\n$/);
  expect(await age()).toMatchObject({ status: 'unknown' });
  await run('age', 'set', did, 'assured', '--access=safe');
  expect(await age()).toMatchObject({ status: 'assured', access: 'safe' });
  expect((await run('age', 'clear', did, '--dry-run')).out).toContain('would lose');
  expect(await age()).toMatchObject({ status: 'assured' });
  await run('age', 'clear', did);
  expect(await age()).toMatchObject({ status: 'unknown', access: 'unknown' });
});

it('a verifier is trusted and no longer, and --dry-run counts what that changes', async () => {
  const isTrusted = async () =>
    listOf(await demo.call('GetActors', { dids: [did] }), 'actors')[0]!['trustedVerifier'] ?? false;
  const shown = (await run('verifier', 'trust', did, '--dry-run')).out;
  expect(shown).toMatch(/: its \d+ verifications would be shown\n$/);
  expect(await isTrusted()).toBe(false);
  expect((await run('verifier', 'trust', did)).out).toContain('are shown');
  expect(await isTrusted()).toBe(true);
  const answer = JSON.parse((await run('verifier', 'distrust', did, '--json')).out) as object;
  expect(answer).toMatchObject({ did, exists: true, wasTrusted: true, isTrusted: false, dryRun: false });
  expect(await isTrusted()).toBe(false);
  const unknown = await run('verifier', 'trust', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa');
  expect(unknown).toMatchObject({ err: expect.stringContaining('nothing is known of did:plc:a') });
  expect(unknown.err).toContain('skyshard backfill did:plc:a');
  await expect(demo.ask('/v1/verifiers', { did })).rejects.toMatchObject({ code: 'InvalidArgument' });
});

it('what names nothing that can be meant is refused, saying why', async () => {
  expect(await run('suggestion', 'add', 'nothing', did)).toMatchObject({
    code: 2,
    err: expect.stringContaining('`skyshard suggestion add --help` shows what it takes.'),
  });
  expect((await run('suggestion', 'add', 'follows', 'nobody')).err).toContain('nobody is not a DID');
  expect((await run('suggestion', 'add', 'tagged', did)).err).toContain('have a tag');
  expect((await run('tag', 'set', 'nobody', 'x')).err).toContain('"nobody" is not a DID');
  expect((await run('age', 'set', 'nobody', 'assured')).err).toContain('"nobody" is not a DID');
  expect((await run('age', 'set', did, 'asured')).err).toContain('must be one of unknown, pending, assured, blocked');
  const items = Array.from({ length: suggestionChangesMax + 1 }, () => ({ subject: did }));
  await expect(demo.ask('/v1/suggestions', { list: 'follows', items })).rejects.toMatchObject({
    code: 'InvalidArgument',
  });
  await expect(demo.ask('/v1/tags', { subject: did, tags: Array(65).fill('x') })).rejects.toMatchObject({
    code: 'InvalidArgument',
  });
});

it('labels are set, shown and removed, at once for readers, and checked whole before', async () => {
  const [src, other] = ['did:web:mod.example', 'did:web:other.example'];
  const cts = '2025-01-31T12:00:00.000Z';
  const read = async (): Promise<string[]> => {
    const request = { subjects: [did, post], issuers: [src, other] };
    const { labels = [] } = await demo.call('GetLabels', request);
    return (labels as string[]).map((json) => {
      const { uri, val, neg } = JSON.parse(Buffer.from(json, 'base64').toString()) as Record<string, unknown>;
      return `${neg === true ? 'not ' : ''}${val} ${uri}`;
    });
  };
  expect(await read()).toEqual([]);
  expect(await run('label', 'add', src, post, 'spam', '--exp=2100-01-01T00:00:00Z')).toMatchObject({ code: 0 });
  expect(await demo.ask('/v1/labels', { labels: [{ src: other, uri: did, val: 'rude', cts }] })).toEqual({
    written: 1,
  });
  expect(await read()).toEqual([`rude ${did}`, `spam ${post}`]);
  expect((await run('label', 'add', src, post, 'spam', '--neg', '--dry-run')).out).toMatch(/replaced:\n(.*\n){2}$/);
  expect((await run('label', 'add', src, did, 'spam', '--dry-run')).out).toBe(`${did}: would get the label spam\n`);
  expect(await read()).toEqual([`rude ${did}`, `spam ${post}`]);
  await run('label', 'add', src, post, 'spam', '--neg');
  expect(await read()).toEqual([`rude ${did}`, `not spam ${post}`]);
  expect((await run('label', 'list', post)).out).toContain('not spam');
  expect((await run('label', 'remove', src, post, 'spam', '--dry-run')).out).toContain('would be removed');
  expect(await read()).toHaveLength(2);
  expect((await run('label', 'remove', src, post, 'spam')).out).toContain(': removed');
  expect((await run('label', 'list', post, '--json')).out).toBe('[]\n');
  expect(await read()).toEqual([`rude ${did}`]);

  const sound = { src, uri: did, val: 'sound', cts };
  const bad: readonly [object, string][] = [
    [{ ...sound, uri: 'at://a.example/b/c' }, 'labels[1]: label-subject-bad; nothing was written'],
    [{ ...sound, cts: 'now' }, 'labels[1]: label-time-bad'],
    [{ ...sound, cts: '2999-01-01T00:00:00Z' }, 'labels[1]: cts is ahead of our clock'],
    [{ ...sound, odd: 1 }, 'labels[1]: unknown key "odd"'],
    [{ ...sound, cid: 'x', val: 'y' }, 'labels[1]: label-cid-bad'],
    [sound, 'is in the list once more'],
  ];
  for (const [label, message] of bad) {
    await expect(demo.ask('/v1/labels', { labels: [sound, label] })).rejects.toMatchObject({
      code: 'InvalidArgument',
      message: expect.stringContaining(message),
    });
  }
  await expect(demo.ask('/v1/labels', { labels: [] })).rejects.toMatchObject({ code: 'InvalidArgument' });
  expect(await read()).toEqual([`rude ${did}`]);
});

const plcFile = (): string => join(demo.folder, 'plc.jsonl');

/** Puts what exists here into the gaps of the document. */
function filled(text: string): string {
  const [, , author, , rkey] = post.split('/');
  return text
    .replaceAll('did:plc:…', author!)
    .replaceAll('3k…', rkey!)
    .replaceAll('https://…', demo.cluster.run.demo!.url)
    .replaceAll('/tmp/plc.jsonl', plcFile())
    .replace('cursor=…', 'cursor=mutes.');
}

async function isStored(uri: string): Promise<boolean> {
  const records = listOf(await demo.call('GetPostRecords', { uris: [uri] }), 'records');
  return (records[0]!['cid'] ?? '') !== '';
}

async function send({ listener, verb, path, query, body }: CurlLine): Promise<{ status: number; text: string }> {
  const { url } = demo.cluster.run[listener];
  const init = body === null ? {} : { body: filled(body), headers: { 'content-type': 'application/json' } };
  const response = await fetch(`${url}${path}${filled(query)}`, { method: verb, ...init });
  return { status: response.status, text: await response.text() };
}

// The last one, since some of the lines remove what others need.
it('every curl line of ops/operating.md is understood', async () => {
  writeFileSync(plcFile(), '');
  const refused: Record<string, string> = {};
  for (const line of curlLines('ops/operating.md')) {
    const { status, text } = await send(line);
    // What follows is about the post again, once its repo is there.
    if (line.path === '/v1/repo/allow') await until(() => isStored(post));
    if (status !== 200) refused[`${line.verb} ${line.path}`] = (JSON.parse(text) as { message: string }).message;
  }
  expect(refused).toEqual({
    'POST /v1/map': 'shard map: 1 slots, while the data has 4',
    'POST /v1/quarantine/show': 'slot 0 keeps no entry 7.0 in quarantine',
    'POST /v1/quarantine': 'slot 0 keeps no entry 7.0 in quarantine',
    'POST /v1/replica/rebuild': 'node n0 is the primary of slot 0, not a replica',
    'POST /v1/repair': 'slot 0 is not incomplete',
  });
}, 120_000);
