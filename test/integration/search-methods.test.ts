/** The search methods of bsky.Service over two nodes, as an AppView asks them. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { MessageByName } from '../../src/proto/generated/bsky-service.ts';
import { searchSortOrder } from '../../src/proto/generated/bsky-service.ts';
import type { MessageInput } from '../../src/proto/schema.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import { SearchHarness } from '../support/search-harness.ts';
import { didOf, pagesOf, type ReadsNetwork } from './reads-network.ts';

const [alice, bob, carol] = [didOf('alice'), didOf('bob'), didOf('carol')];
let search: SearchHarness;
let network: ReadsNetwork;
let routed: RoutedNetwork;
beforeEach(() => {
  search = new SearchHarness(4, 2);
  network = search.network;
  routed = new RoutedNetwork(network, false, (node) => search.answerOf(node));
  network.profile(alice, 'alice.test');
  network.profile(bob, 'bob.test');
  network.profile(carol, 'carol.test');
});
afterEach(() => search[Symbol.asyncDispose]());

type V2 = MessageInput<MessageByName['SearchPostsV2Request']>;
const noFilters = {
  authors: [],
  mentions: [],
  domains: [],
  urls: [],
  embeddedAtUris: [],
  hashtags: [],
  languages: [],
};

async function posts(term: string, limit = 25): Promise<readonly string[]> {
  search.settle();
  return (await routed.ask('SearchPosts', { term, limit, cursor: '' })).uris;
}

async function postsV2(query: string, more: V2 = {}): Promise<readonly string[]> {
  search.settle();
  const params = { query, viewer: alice, limit: 25, cursor: '' };
  const answer = await routed.ask('SearchPostsV2', { params, sort: searchSortOrder.RECENT, allTime: true, ...more });
  return answer.posts.map(({ uri }) => uri);
}

describe('posts', () => {
  it('are found at all nodes, with handles for DIDs', async () => {
    const one = network.post(alice, 'hello world').uri;
    const two = network.post(bob, 'hello there').uri;
    const three = network.post(carol, 'hello again').uri;
    expect(await posts('hello')).toEqual([three, two, one]);
    expect(await posts('hello from:alice.test')).toEqual([one]);
    expect(await posts('hello -from:@alice.test')).toEqual([three, two]);
    expect(await posts('from:nobody.test hello')).toEqual([]);
    expect(await posts('hello from:alice.test from:bob.test')).toEqual([two, one]);
    expect(await posts('hello from:me')).toEqual([]);
    expect(await postsV2('hello from:me')).toEqual([one]);
    expect(await posts('')).toEqual([]);
    expect(await posts('!!!')).toEqual([]);
    network.identity(alice, 'new.test');
    expect(await posts('from:new.test')).toEqual([one]);
    expect(await posts('from:alice.test')).toEqual([]);
  });

  it('come in pages that neither lose nor repeat, also while others are posted', async () => {
    const uris = Array.from(
      { length: 60 },
      (_unused, at) => network.post([alice, bob, carol][at % 3]!, `page ${at}`).uri,
    );
    search.settle();
    let asked = 0;
    const pages = await pagesOf(async (cursor) => {
      if (asked++ === 2) {
        network.post(alice, 'page late');
        search.settle();
      }
      const { uris: items, cursor: next } = await routed.ask('SearchPosts', { term: 'page', limit: 7, cursor });
      return { items, cursor: next };
    });
    expect(pages.flat()).toEqual([...uris].reverse());
  });

  it('are found by each filter and its exclusion', async () => {
    const facet = (feature: object) => ({ facets: [{ index: { byteStart: 0, byteEnd: 1 }, features: [feature] }] });
    const root = network.post(alice, 'word root', { langs: ['en'] });
    const reply = network.reply(bob, 'word reply', root).uri;
    const link = network.post(
      carol,
      'word link',
      facet({ $type: 'app.bsky.richtext.facet#link', uri: 'https://example.com/x/' }),
    ).uri;
    const mention = network.post(
      bob,
      'word mention',
      facet({ $type: 'app.bsky.richtext.facet#mention', did: carol }),
    ).uri;
    const tag = network.post(bob, 'word', { tags: ['Cats'], langs: ['pt-BR'] }).uri;
    const quote = network.post(carol, 'word', { embed: { $type: 'app.bsky.embed.record', record: root } }).uri;
    const all = [quote, tag, mention, link, reply, root.uri];
    expect(await postsV2('word')).toEqual(all);
    const cases: [Partial<typeof noFilters>, string[]][] = [
      [{ authors: [] }, all],
      [{ authors: [carol as never] }, [quote, link]],
      [{ authors: ['alice.test' as never, 'bob.test' as never] }, [tag, mention, reply, root.uri]],
      [{ mentions: ['carol.test' as never] }, [mention]],
      [{ domains: ['EXAMPLE.com' as never] }, [link]],
      [{ urls: ['http://www.example.com/x' as never] }, [link]],
      [{ embeddedAtUris: [root.uri as never] }, [quote]],
      [{ embeddedAtUris: [root.uri.replace(alice, 'alice.test') as never] }, [quote]],
      [{ hashtags: ['cats' as never, 'dogs' as never] }, [tag]],
      [{ languages: ['pt' as never] }, [tag]],
    ];
    for (const [some, expected] of cases) {
      const filters = { ...noFilters, ...some };
      expect([some, await postsV2('word', { filters })]).toEqual([some, expected]);
      expect([some, await postsV2('', { filters })]).toEqual([some, some.authors?.length === 0 ? [] : expected]);
      if (expected.length === all.length) continue;
      const others = all.filter((uri) => !expected.includes(uri));
      expect([some, await postsV2('word', { exclude: filters })]).toEqual([some, others]);
    }
    expect(await postsV2('word', { repliesOnly: true })).toEqual([reply]);
    expect(await postsV2('word', { excludeReplies: true })).toEqual(all.filter((uri) => uri !== reply));
    expect(await postsV2('', { threadRootUri: root.uri })).toEqual([reply]);
    expect(await postsV2('', { replyParentUri: root.uri.replace(alice, 'alice.test') })).toEqual([reply]);
    network.follow(alice, carol);
    expect(await postsV2('word', { following: true })).toEqual([quote, link]);
    await expect(postsV2('x', { repliesOnly: true, excludeReplies: true })).rejects.toThrow('exclude_replies');
  });

  it('are of thirty days unless all time or a time is asked for, and totals are exact', async () => {
    const nowMs = Date.now();
    const at = (days: number): string =>
      network.post(alice, 'time', { createdAt: new Date(nowMs - days * 86_400_000).toISOString() }).uri;
    network.timeMs = nowMs;
    network.cluster.nowMs = nowMs + 60_000;
    const [young, old] = [at(10), at(40)];
    expect(await postsV2('time', { allTime: false })).toEqual([young]);
    expect(await postsV2('time')).toEqual([young, old]);
    const since = nowMs - 45 * 86_400_000;
    expect(await postsV2('time', { allTime: false, since })).toEqual([young, old]);
    expect(await postsV2('time', { since, until: nowMs - 20 * 86_400_000 })).toEqual([old]);
    const params = { query: 'time', viewer: '', limit: 1, cursor: '' };
    const first = await routed.ask('SearchPostsV2', { params, sort: searchSortOrder.RECENT, allTime: true });
    expect(first.pageInfo?.hitsTotal).toBe(0);
    const cursor = first.pageInfo!.cursor;
    expect(JSON.parse(Buffer.from(cursor, 'base64').toString())).toBeTypeOf('object');
    const second = await routed.ask('SearchPostsV2', {
      params: { ...params, cursor },
      sort: searchSortOrder.RECENT,
      allTime: true,
    });
    expect(second.posts.map(({ uri }) => uri)).toEqual([old]);
    expect([0, 2]).toContain(second.pageInfo?.hitsTotal);
    const whole = await routed.ask('SearchPostsV2', {
      params: { ...params, limit: 50 },
      sort: searchSortOrder.RECENT,
      allTime: true,
    });
    expect(whole.pageInfo).toEqual({ cursor: '', hitsTotal: 2 });
  });

  it('of bad input are an error that says what is wrong, or none', async () => {
    network.post(alice, 'one two');
    network.post(bob, 'one three');
    search.settle();
    const ask = (query: string, cursor = '', limit = 1): Promise<unknown> =>
      routed.ask('SearchPostsV2', {
        params: { query, viewer: '', limit, cursor },
        sort: searchSortOrder.RECENT,
        allTime: true,
      });
    const { pageInfo } = await routed.ask('SearchPostsV2', {
      params: { query: 'one', viewer: '', limit: 1, cursor: '' },
      sort: searchSortOrder.RECENT,
      allTime: true,
    });
    const invalid = (text: RegExp) =>
      expect.objectContaining({ code: 'InvalidArgument', message: expect.stringMatching(text) });
    await expect(ask('two', pageInfo!.cursor)).rejects.toEqual(invalid(/of another query/));
    for (const cursor of ['x', '{}', Buffer.from('{"q":1}').toString('base64'), '::', 'A'.repeat(100_000)])
      await expect(ask('one', cursor)).rejects.toEqual(invalid(/cursor: malformed/));
    await expect(ask('x'.repeat(3_000))).rejects.toEqual(invalid(/longer than/));
    await expect(ask('a '.repeat(1_000))).rejects.toEqual(invalid(/at most/));
    await expect(ask('日'.repeat(2_000))).rejects.toEqual(invalid(/at most/));
    await expect(ask('one', '', -1)).rejects.toEqual(invalid(/limit/));
    await expect(
      routed.ask('SearchPostsV2', { params: { query: 'one', viewer: '', limit: 1, cursor: '' }, allTime: true }),
    ).rejects.toEqual(invalid(/sort/));
    const odd = ['"', '""', '*', 'one*', '^one', 'one:two', '{a b}: c', 'NEAR(one two)', 'a AND', 'OR', 'NOT one'];
    for (const query of [
      ...odd,
      '\0',
      "';--",
      '(',
      ')',
      '+',
      '=a1_1',
      '.*',
      '[a-z]+',
      '\\',
      '%',
      '_',
      '-',
      '-one',
      '--',
    ])
      await expect(ask(query), query).resolves.toBeDefined();
    const all = (await routed.ask('SearchPosts', { term: 'one', limit: 1_000_000, cursor: '' })).uris;
    expect(all.length).toBe(2);
    expect((await routed.ask('SearchPosts', { term: 'one', limit: 0, cursor: '' })).uris.length).toBe(2);
  });

  it('say in which language a query seems to be', async () => {
    search.settle();
    const languages = async (query: string): Promise<readonly string[]> => {
      const params = { query, viewer: '', limit: 1, cursor: '' };
      const sort = searchSortOrder.RECENT;
      return (await routed.ask('SearchPostsV2', { params, sort })).detectedQueryLanguages;
    };
    expect(await languages('ラーメン')).toEqual(['ja']);
    expect(await languages('图书馆')).toEqual(['zh']);
    expect(await languages('hello')).toEqual([]);
  });
});

describe('top', () => {
  it('is one order over nodes, in pages', async () => {
    const uris = Array.from({ length: 24 }, (_unused, at) => network.post([alice, bob, carol][at % 3]!, 'rank').uri);
    for (const [at, uri] of uris.entries()) {
      for (let like = 0; like < at % 5; like++)
        network.like(didOf(`fan${'abcde'[like]}`), {
          uri,
          cid: 'bafyreie5737gdxlw5i64vzichcalba3z2v5n6icifvx5xytvske7mr3hpm',
        });
    }
    search.settle();
    const scores: number[] = [];
    const pages = await pagesOf(async (cursor) => {
      const params = { query: 'rank', viewer: '', limit: 5, cursor };
      const answer = await routed.ask('SearchPostsV2', { params, sort: searchSortOrder.TOP, allTime: true });
      scores.push(...answer.posts.map(({ score }) => score));
      return { items: answer.posts.map(({ uri }) => uri), cursor: answer.pageInfo!.cursor };
    });
    expect([...pages.flat()].sort()).toEqual([...uris].sort());
    expect(scores).toEqual([...scores].sort((one, other) => other - one));
    expect(scores[0]).toBeGreaterThan(scores.at(-1)!);
  });
});

describe('actors, feeds and packs', () => {
  it('are found in both versions, whoever has the handle first', async () => {
    const bobs = ['x', 'y', 'z'].map((letter) => didOf(`bob${letter}`));
    for (const [at, did] of bobs.entries()) network.profile(did, `bob-${at}.test.example`);
    for (const fan of bobs) network.follow(fan, bobs[0]!);
    search.settle();
    const { dids } = await routed.ask('SearchActors', { term: 'bob', limit: 10, cursor: '' });
    expect(dids[0]).toBe(bobs[0]);
    expect(new Set(dids)).toEqual(new Set([bob, ...bobs]));
    const exact = await routed.ask('SearchActors', { term: '@bob.test', limit: 1, cursor: '' });
    expect(exact.dids).toEqual([bob]);
    const pages = await pagesOf(async (cursor) => {
      const page = await routed.ask('SearchActorsV2', { params: { query: 'bob.test', viewer: '', limit: 2, cursor } });
      return { items: page.actors.map(({ did }) => did), cursor: page.pageInfo!.cursor };
    });
    expect(pages.flat()[0]).toBe(bob);
    expect([...pages.flat()].sort()).toEqual([bob, ...bobs].sort());
    const typed = await routed.ask('SearchActorsTypeahead', { params: { query: 'Bo', viewer: '', limit: 2 } });
    expect(typed.actors.length).toBe(2);
    network.account(bob, false, 'deactivated');
    search.settle();
    expect((await routed.ask('SearchActors', { term: 'bob.test', limit: 9, cursor: '' })).dids).not.toContain(bob);
  });

  it('are feeds and packs by name', async () => {
    const feed = network.put(alice, 'app.bsky.feed.generator', {
      did: alice,
      displayName: 'Cat pictures',
      createdAt: network.now,
    }).uri;
    const pack = network.put(bob, 'app.bsky.graph.starterpack', {
      name: 'Cat lovers',
      list: feed,
      createdAt: network.now,
    }).uri;
    search.settle();
    const params = { query: 'cat', viewer: '', limit: 5, cursor: '' };
    expect((await routed.ask('SearchFeedGenerators', { query: 'cat', limit: 5 })).uris).toEqual([feed]);
    expect((await routed.ask('SearchFeedGenerators', { query: '', limit: 5 })).uris).toEqual([feed]);
    const feeds = await routed.ask('SearchFeedGeneratorsV2', { params });
    expect(feeds.feedGenerators.map(({ uri }) => uri)).toEqual([feed]);
    expect(feeds.pageInfo).toEqual({ cursor: '', hitsTotal: 1 });
    expect((await routed.ask('SearchStarterPacks', { term: 'lovers', limit: 5, cursor: '' })).uris).toEqual([pack]);
    const packs = await routed.ask('SearchStarterPacksV2', { params });
    expect(packs.starterPacks.map(({ uri }) => uri)).toEqual([pack]);
  });
});

it('a node whose index is not built yet is an error, not an empty page', async () => {
  search.nodes[0]!.settle();
  await expect(routed.ask('SearchPosts', { term: 'x', limit: 1, cursor: '' })).rejects.toMatchObject({
    code: 'Unavailable',
    message: expect.stringContaining('is being built'),
  });
});
