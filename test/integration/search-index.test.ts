/** The index and its queries over real slots, without threads. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { SearchHarness } from '../support/search-harness.ts';
import { didOf, numberedDid, type ReadsNetwork, type StrongRef } from './reads-network.ts';

const [alice, bob, carol] = [didOf('alice'), didOf('bob'), didOf('carol')];
let search: SearchHarness;
let network: ReadsNetwork;
beforeEach(() => {
  search = new SearchHarness(4);
  network = search.network;
  network.profile(alice, 'alice.test');
  network.profile(bob, 'bob.test');
});
afterEach(() => search[Symbol.asyncDispose]());

function found(text: string, more: Parameters<SearchHarness['posts']>[1] = {}): string[] {
  search.settle();
  return search.posts(text, more).hits.map(({ key }) => key);
}

const uris = (...refs: StrongRef[]): string[] => refs.map(({ uri }) => uri);

describe('posts', () => {
  it('are found by words and phrases, the newest first', () => {
    const first = network.post(alice, 'The quick brown fox');
    const second = network.post(bob, 'a brown quick FOX jumps');
    expect(found('quick')).toEqual(uris(second, first));
    expect(found('fox brown')).toEqual(uris(second, first));
    expect(found('"quick brown"')).toEqual(uris(first));
    expect(found('brown -jumps')).toEqual(uris(first));
    expect(found('qui')).toEqual([]);
  });

  it('are found by alt texts, tags, cards and single Han', () => {
    const image = { $type: 'blob', ref: { $link: 'x' }, mimeType: 'image/png', size: 1 };
    const images = { $type: 'app.bsky.embed.images', images: [{ alt: 'a sleeping cat', image }] };
    const withAlt = network.post(alice, 'look', { embed: images });
    const card = { uri: 'https://www.Example.com/news/?a=1', title: 'Headline', description: 'about whales' };
    const withCard = network.post(alice, 'read', { embed: { $type: 'app.bsky.embed.external', external: card } });
    const tagged = network.post(alice, 'tag', { tags: ['Cute Animals', 'birds'] });
    const han = network.post(bob, '東京タワーの夜景');
    expect(found('sleeping cat')).toEqual(uris(withAlt));
    expect(found('whales')).toEqual(uris(withCard));
    expect(found('tag:birds')).toEqual(uris(tagged));
    expect(found('#birds')).toEqual(uris(tagged));
    expect(found('cute animals')).toEqual(uris(tagged));
    expect(found('夜')).toEqual(uris(han));
    expect(found('京タ')).toEqual(uris(han));
    expect(found('京夜')).toEqual([]);
    for (const text of ['domain:example.com', 'domain:www.example.com', 'https://example.com/news?a=1'])
      expect([text, found(text)]).toEqual([text, uris(withCard)]);
    expect(found('domain:ample.com')).toEqual([]);
    expect(found('https://example.com/news?a=2')).toEqual([]);
  });

  it('are found by author, mention, language, reply, media and what they embed', () => {
    const root = network.post(alice, 'root word', { langs: ['en-GB'] });
    const facet = {
      index: { byteStart: 0, byteEnd: 4 },
      features: [{ $type: 'app.bsky.richtext.facet#mention', did: alice }],
    };
    const reply = network.reply(bob, 'reply word', root);
    const mention = network.post(bob, 'mention word', { facets: [facet], langs: ['pt'] });
    const quote = network.post(bob, 'quote word', { embed: { $type: 'app.bsky.embed.record', record: root } });
    const term = (kind: 'is' | 'parent' | 'root' | 'embed', value: string) => ({ all: [[{ kind, value }]] });
    expect(found(`word from:${alice}`)).toEqual(uris(root));
    expect(found(`word -from:${bob}`)).toEqual(uris(root));
    expect(found(`from:${carol}`)).toEqual([]);
    expect(found(`to:${alice}`)).toEqual(uris(mention));
    expect(found('lang:en')).toEqual(uris(root));
    expect(found('word -lang:pt -lang:en')).toEqual(uris(quote, reply));
    expect(found('', term('is', 'reply'))).toEqual(uris(reply));
    expect(found('', term('is', 'original'))).toEqual(uris(quote, mention, root));
    expect(found('', term('parent', root.uri))).toEqual(uris(reply));
    expect(found('', term('root', root.uri))).toEqual(uris(reply));
    expect(found('', term('embed', root.uri))).toEqual(uris(quote));
    expect(found('word', { followed: [alice, carol] })).toEqual(uris(root));
    expect(found('word', { followed: [] })).toEqual([]);
  });

  it('are within the times asked for, to the millisecond', () => {
    const at = (ms: number): StrongRef =>
      network.post(alice, 'clock', { createdAt: new Date(Date.UTC(2024, 0, 2, 3, 4, 5, ms)).toISOString() });
    const posts = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map(at);
    const from = Date.UTC(2024, 0, 2, 3, 4, 5);
    expect(found('clock', { sinceMs: from + 3, untilMs: from + 7 }).sort()).toEqual(uris(...posts.slice(3, 7)).sort());
    expect(found('clock').length).toBe(10);
    const old = network.post(bob, 'clock', { createdAt: '1999-01-01T00:00:00.000Z' });
    expect(found('clock').at(-1)).toBe(old.uri);
  });

  it('leave at once when they are deleted, taken down, or their account is not there', () => {
    const [one, two] = [network.post(alice, 'word'), network.post(bob, 'word')];
    expect(found('word')).toEqual(uris(two, one));
    const now = (): string[] => {
      network.settle();
      search.reader.reopen();
      return search.posts('word').hits.map(({ key }) => key);
    };
    const [, , rkey] = one.uri.slice(5).split('/');
    const takedown = (ref: string | null) =>
      network.write(alice, { type: 'record-takedown', collection: 'app.bsky.feed.post', rkey: rkey!, ref });
    takedown('t');
    expect(now()).toEqual(uris(two));
    takedown(null);
    expect(now()).toEqual(uris(two, one));
    network.account(bob, false, 'deactivated');
    expect(now()).toEqual(uris(one));
    network.account(bob, true);
    expect(now()).toEqual(uris(two, one));
    network.write(bob, { type: 'actor-takedown', ref: 't' });
    expect(now()).toEqual(uris(one));
    network.delete(one);
    expect(now()).toEqual([]);
    network.account(bob, false, 'deleted');
    search.settle();
    expect(search.writer.counts().posts).toBe(0);
  });

  it('change with their records', () => {
    const post = network.post(alice, 'before');
    const [did, collection, rkey] = post.uri.slice(5).split('/') as [string, string, string];
    expect(found('before')).toEqual(uris(post));
    network.put(did, collection, { text: 'after', createdAt: '2023-01-01T00:00:00.000Z' }, rkey);
    expect(found('before')).toEqual([]);
    expect(found('after')).toEqual(uris(post));
    expect(search.writer.counts().posts).toBe(1);
  });

  it('of one sort time are all there, and leave one by one', () => {
    const createdAt = '2020-02-02T02:02:02.000Z';
    const records = Array.from({ length: 300 }, (_unused, at) => ({ text: `same ${at}`, createdAt }));
    const all = network.putAll(alice, 'app.bsky.feed.post', records, (at) => `r${at}`);
    search.settle();
    const pages = search.all((after) => search.posts('same', { after, limit: 7 }));
    expect([...pages].sort()).toEqual([...all].sort());
    network.deleteAll(all.slice(0, 299));
    expect(found('same')).toEqual([all[299]]);
    expect(search.writer.counts().posts).toBe(1);
  });
});

describe('top', () => {
  it('puts what is liked before what is new, and follows likes', () => {
    const [old, young] = [network.post(alice, 'word'), network.post(alice, 'word')];
    expect(found('word', { sort: 'top' })).toEqual(uris(young, old));
    const likes = [0, 1, 2, 3, 4, 5, 6, 7].map((at) => network.like(didOf(`fan${'abcdefgh'[at]}`), old));
    expect(found('word', { sort: 'top' })).toEqual(uris(old, young));
    for (const like of likes) network.delete(like);
    expect(found('word', { sort: 'top' })).toEqual(uris(young, old));
  });

  it('finds well liked posts beyond the newest of a common word, in pages without repeats', () => {
    const best = network.post(alice, 'word best');
    for (const name of 'abcdefghij') network.like(didOf(`fan${name}`), best);
    network.putAll(
      bob,
      'app.bsky.feed.post',
      Array.from({ length: 450 }, () => ({ text: 'word', createdAt: network.now })),
      (at) => `r${at}`,
    );
    search.settle();
    const pages = search.all((after) => search.posts('word', { sort: 'top', after, limit: 30 }));
    expect(pages[0]).toBe(best.uri);
    expect(new Set(pages).size).toBe(pages.length);
    expect(pages.length).toBeGreaterThan(200);
  });
});

describe('actors, feeds and packs', () => {
  it('are found by names, the best known first, and then by what they say', () => {
    network.identity(carol, 'carol.test');
    const describe = (did: string, displayName: string, description: string) =>
      network.put(did, 'app.bsky.actor.profile', { displayName, description, createdAt: network.now }, 'self');
    describe(alice, 'Alice Liddell', 'curious');
    describe(bob, 'Bob', 'a friend of Alice, curious too');
    describe(carol, 'Alicia Árbol', '');
    search.settle();
    for (const fan of ['x', 'y', 'z']) network.follow(didOf(fan), carol);
    search.settle();
    expect(search.named('actors', 'ali')).toEqual([carol, alice]);
    expect(search.named('actors', 'alice')).toEqual([alice, bob]);
    expect(search.named('actors', 'alice', { isTypeahead: true })).toEqual([alice]);
    expect(search.named('actors', 'ARBOL ali')).toEqual([carol]);
    expect(search.named('actors', 'bob.test')).toEqual([bob]);
    expect(search.named('actors', 'curious friend')).toEqual([bob]);
    expect(search.named('actors', '')).toEqual([]);
    network.identity(bob, 'robert.example');
    search.settle();
    expect(search.named('actors', 'robert')).toEqual([bob]);
    expect(search.named('actors', 'bob.test')).toEqual([]);
    network.account(bob, false, 'deactivated');
    search.settle();
    expect(search.named('actors', 'robert')).toEqual([]);
  });

  it('are found at once when they are the first that are so well known', () => {
    network.put(alice, 'app.bsky.actor.profile', { displayName: 'Ann Lee', createdAt: network.now }, 'self');
    search.settle();
    expect(search.named('actors', 'ann lee')).toEqual([alice]);
    for (const fan of ['x', 'y', 'z']) network.follow(didOf(fan), alice);
    network.settle();
    // The reader goes on with the file that it has open.
    while (search.writer.takeChanges() > 0 || search.writer.workOn());
    expect(search.named('actors', 'ann lee')).toEqual([alice]);
  });

  it('are found page by page, without repeats', () => {
    const all = Array.from({ length: 40 }, (_unused, at) => didOf(`page${'abcdefgh'[at % 8]}${'abcdefgh'[at >> 3]}`));
    for (const did of all) network.profile(did, `same${did.slice(-3)}${all.indexOf(did)}.test`);
    for (const did of all.slice(0, 9)) network.follow(alice, did);
    search.settle();
    const query = { kind: 'actors', text: 'same', isTypeahead: false, limit: 7 } as const;
    const pages = search.all((after) => search.reader.find({ ...query, after }));
    expect([...pages].sort()).toEqual([...all].sort());
    expect(new Set(pages.slice(0, 9))).toEqual(new Set(all.slice(0, 9)));
  });

  it('are feeds by likes and packs by joins; no words find all', () => {
    const feed = (did: string, displayName: string, description = '') =>
      network.put(did, 'app.bsky.feed.generator', { did, displayName, description, createdAt: network.now });
    const [cats, dogs] = [feed(alice, 'Cats daily'), feed(bob, 'Dogs', 'not cats')];
    network.like(carol, dogs);
    const pack = network.put(alice, 'app.bsky.graph.starterpack', {
      name: 'Cat people',
      list: cats.uri,
      createdAt: network.now,
    });
    search.settle();
    expect(search.named('feeds', 'cats')).toEqual([cats.uri, dogs.uri]);
    expect(search.named('feeds', '')).toEqual([dogs.uri, cats.uri]);
    expect(search.named('packs', 'cat')).toEqual([pack.uri]);
    network.delete(pack);
    network.delete(cats);
    search.settle();
    expect(search.named('packs', 'cat')).toEqual([]);
    expect(search.named('feeds', 'cats')).toEqual([dogs.uri]);
    expect(search.writer.counts()).toMatchObject({ feeds: 1, packs: 0 });
  });
});

describe('an index', () => {
  it('that is built from stored records holds the same as one that followed them', async () => {
    const posts = Array.from({ length: 30 }, (_unused, at) => network.post([alice, bob][at % 2]!, `word ${at}`));
    network.delete(posts[3]!);
    const before = found('word', { limit: 100 });
    expect(before.length).toBe(29);
    search.writer.rebuild(null);
    network.post(carol, 'word during');
    network.settle();
    // Until the build is done, the old rows are served.
    search.reader.reopen();
    expect(search.posts('word', { limit: 100 }).hits.map(({ key }) => key)).toEqual(before);
    search.settle();
    expect(search.writer.counts()).toMatchObject({ posts: 30 });
    network.profile(carol, 'carol.test');
    expect(found('word', { limit: 100 }).length).toBe(30);
    expect(found('word -during', { limit: 100 })).toEqual(before);
    await search.restart();
    expect(found('word', { limit: 100 }).length).toBe(30);
  });

  it('has one segment for each transaction, however accounts are ordered', () => {
    const segments = (table: string): number =>
      search.writer.sql.get<{ n: number }>(`SELECT count(DISTINCT segid) AS n FROM ${table}_idx`)!.n;
    search.settle();
    const before = segments('actor_name');
    const dids = Array.from({ length: 60 }, (_unused, at) => numberedDid(at));
    for (const [at, did] of dids.entries()) network.identity(did, `other${at}.test`);
    search.settle();
    expect(segments('actor_name')).toBe(before + 1);
    // Names change, levels rise and accounts go in one transaction too.
    for (const [at, did] of dids.entries()) network.identity(did, at % 3 === 0 ? null : `new${at}.test`);
    for (const did of dids.slice(30)) network.follow(alice, did);
    search.settle();
    expect(segments('actor_name')).toBeLessThan(before + 4);
    expect(search.named('actors', 'new1').length).toBeGreaterThan(0);
    expect(search.named('actors', 'other')).toEqual([]);
  });

  it('answers Unavailable until it is built', () => {
    network.settle();
    expect(() => search.posts('word')).toThrow(expect.objectContaining({ code: 'Unavailable' }));
  });
});
