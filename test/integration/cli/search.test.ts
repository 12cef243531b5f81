/** `skyshard search …` on a running cluster, and the queries of `app.bsky.unspecced` over HTTP. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { listOf } from '../../../src/cli/service-call.ts';
import type { SearchStatus, VerifiedSlot } from '../../../src/wire/search-messages.ts';
import { DemoCluster } from '../../support/demo-cluster.ts';

let demo: DemoCluster;
let did: string;

beforeAll(async () => {
  demo = await DemoCluster.start(300);
  did = await demo.didWithPosts();
}, 120_000);

afterAll(() => demo.stop(), 60_000);

type NodeSearch = SearchStatus & { readonly name: string; readonly error: string };

async function statuses(): Promise<NodeSearch[]> {
  const { code, out } = await demo.run('search', 'status', '--json');
  expect(code).toBe(0);
  return JSON.parse(out) as NodeSearch[];
}

async function verified(...words: string[]): Promise<VerifiedSlot[]> {
  const { code, out } = await demo.run('search', 'verify', ...words, '--json');
  expect(code).toBe(0);
  return out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as VerifiedSlot);
}

type Answer = { readonly status: number; readonly body: Record<string, unknown> };

async function skeleton(name: string, params: Readonly<Record<string, string>>): Promise<Answer> {
  const url = `${demo.cluster.run.router.url}/xrpc/app.bsky.unspecced.${name}?${new URLSearchParams(params)}`;
  const response = await fetch(url);
  return { status: response.status, body: (await response.json()) as Record<string, unknown> };
}

function urisOf({ body }: Answer, field = 'posts'): string[] {
  return listOf(body, field).map(({ uri }) => String(uri));
}

describe('the command', () => {
  it('shows what is indexed, of which nothing waits once all is settled', async () => {
    const nodes = await statuses();
    for (const { name, error, problem, actors, bytes, slots } of nodes) {
      expect({ name, error, problem }).toEqual({ name, error: '', problem: '' });
      expect(Math.min(actors, bytes, slots.length)).toBeGreaterThan(0);
      expect(slots.every(({ waiting, state, isServed }) => waiting === 0 && state === 'ready' && isServed)).toBe(true);
    }
    const { out } = await demo.run('search', 'status');
    expect(out).toMatch(/^node +posts +actors +feeds +packs +waiting +slots building +bytes\n/);
    for (const { name, posts, actors } of nodes) expect(out).toMatch(new RegExp(`\\n${name} +${posts} +${actors} `));
    expect(out).not.toContain('is being built');
  });

  it('compares a slot, or all, with the index', async () => {
    const all = await verified();
    const nodes = await statuses();
    expect(all.map(({ slot }) => slot)).toEqual(nodes.flatMap(({ slots }) => slots.map(({ slot }) => slot)));
    const posts = nodes.reduce((sum, node) => sum + node.posts, 0);
    expect(all.reduce((sum, { stored }) => sum + stored, 0)).toBe(posts);
    expect(posts).toBeGreaterThan(0);
    expect(all.every(({ stored, indexed, missing }) => stored === indexed && missing.length === 0)).toBe(true);
    const held = all.find(({ stored }) => stored > 0)!;
    expect(await verified(String(held.slot))).toEqual([held]);
    expect((await demo.run('search', 'verify', String(held.slot))).out).toBe(
      `slot ${held.slot}: ${held.stored} posts, ${held.stored} indexed; ${held.sampled} of ${held.sampled} found\n`,
    );
  });

  it('builds a slot, or all, again', async () => {
    const before = await verified();
    const one = await demo.run('search', 'rebuild', '0', '--json');
    const { slot, nodes } = JSON.parse(one.out) as { slot: number; nodes: string[] };
    expect([one.code, slot, nodes.length]).toEqual([0, 0, 1]);
    await demo.settle();
    const all = await demo.run('search', 'rebuild', '--all');
    expect(all).toMatchObject({ code: 0, out: expect.stringContaining('all slots at ') });
    await demo.settle();
    expect(await verified()).toEqual(before);
  });

  it('refuses what is no slot, and to rebuild nothing in particular', async () => {
    expect(await demo.run('search', 'rebuild')).toMatchObject({ code: 2, err: expect.stringContaining('--all') });
    for (const command of ['rebuild', 'verify']) {
      const words = await demo.run('search', command, 'x');
      expect(words).toMatchObject({ code: 2, err: expect.stringContaining('"x" is not a slot') });
      expect((await demo.run('search', command, '60000')).err).toContain('the map has no slot 60000');
    }
  });
});

describe('the queries over HTTP', () => {
  it('find posts with filters, in pages', async () => {
    const all = await skeleton('searchPostsSkeleton', { q: '', author: did, limit: '100' });
    expect(all.status).toBe(200);
    const uris = urisOf(all);
    expect(uris.length).toBeGreaterThan(1);
    expect(uris.every((uri) => uri.startsWith(`at://${did}/app.bsky.feed.post/`))).toBe(true);
    const paged: string[] = [];
    let cursor = '';
    do {
      const page = await skeleton('searchPostsSkeleton', { q: `from:${did}`, limit: '3', cursor });
      expect(urisOf(page).length).toBeLessThanOrEqual(3);
      paged.push(...urisOf(page));
      cursor = String(page.body['cursor'] ?? '');
    } while (cursor !== '');
    expect(paged).toEqual(uris);
    const top = await skeleton('searchPostsSkeleton', { q: `from:${did}`, sort: 'top', limit: '100' });
    expect(urisOf(top).sort()).toEqual(uris.sort());
  });

  it('find actors by the beginning of a name, and by name', async () => {
    const [actor] = listOf(await demo.call('GetActors', { dids: [did] }), 'actors');
    const handle = String(actor!['handle']);
    const q = handle.split('.')[0]!;
    for (const typeahead of ['true', 'false']) {
      const found = await skeleton('searchActorsSkeleton', { q, typeahead });
      expect(listOf(found.body, 'actors')).toContainEqual({ did });
    }
  });

  it('refuse what their lexicons do not allow', async () => {
    const posts = { q: 'a' };
    const refused: [string, Readonly<Record<string, string>>, string][] = [
      ['searchPostsSkeleton', {}, 'q: is missing'],
      ['searchPostsSkeleton', { ...posts, limit: '0' }, 'limit'],
      ['searchPostsSkeleton', { ...posts, limit: '101' }, 'limit'],
      ['searchPostsSkeleton', { ...posts, author: 'not an actor' }, 'author'],
      ['searchPostsSkeleton', { ...posts, mentions: '!' }, 'mentions'],
      ['searchPostsSkeleton', { ...posts, viewer: 'alice.test' }, 'viewer'],
      ['searchPostsSkeleton', { ...posts, url: 'no url' }, 'url'],
      ['searchPostsSkeleton', { ...posts, lang: '!' }, 'lang'],
      ['searchPostsSkeleton', { ...posts, since: 'yesterday' }, 'since'],
      ['searchPostsSkeleton', { ...posts, tag: 'x'.repeat(641) }, 'tag'],
      ['searchPostsSkeleton', { ...posts, cursor: 'nonsense' }, 'cursor'],
      ['searchActorsSkeleton', { limit: '5' }, 'q: is missing'],
      ['searchStarterPacksSkeleton', { q: 'a', limit: 'many' }, 'limit'],
    ];
    for (const [name, params, message] of refused) {
      const { status, body } = await skeleton(name, params);
      expect({ name, params, status, error: body['error'] }).toEqual({
        name,
        params,
        status: 400,
        error: 'BadQueryString',
      });
      expect(body['message']).toContain(message);
    }
  });
});
