/** Search: each filter by each of an AppView's ways to ask, and what makes a post lost or found. */
import { type AppBskyActorDefs, type AppBskyFeedDefs, type AppBskyGraphDefs, lexicons } from '@atproto/api';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { waitUntil } from '../network/wait-until.ts';
import type { RecordBody, StoredRecord } from '../oracle/record-writer.ts';
import type { AppViewReader, Params } from './app-view-reader.ts';
import { urisOf } from './feature-reads.ts';
import type { FeatureStage, Name } from './feature-stage.ts';

/** An AppView that asks our router for skeletons, filled before the first test runs. */
export interface SearchStage {
  reader: AppViewReader<Name>;
  /** Of the router, without a path. */
  url: string;
}

type Post = AppBskyFeedDefs.PostView;
type Named = { readonly uri: string };

/** The posts of the tests, oldest first; each is a minute younger than the one before. */
const letters = ['a', 'b', 'c', 'd', 'e', 'f', 'g'] as const;

type Letter = (typeof letters)[number];

/** A filter as the second version has it, as the first has it, and as a reader types it. */
type Filter = {
  readonly v2: Params;
  readonly v1?: Params;
  readonly text?: string;
  readonly viewer?: Name;
  /** Letters of what is found, newest first. */
  readonly found: string;
};

const deadlineMs = 20_000;
const minuteMs = 60_000;
const newsUrl = 'https://news.example/quokka';
const post = 'app.bsky.feed.post';
const searchPosts = 'app.bsky.feed.searchPosts';
const searchPostsV2 = 'app.bsky.feed.searchPostsV2';
const popularFeeds = 'app.bsky.unspecced.getPopularFeedGenerators';

/** Declares the tests of search, which no other plane answers in full. */
export function searchTests(stage: FeatureStage, skeletons: SearchStage): void {
  const posts = new Map<Letter, StoredRecord>();
  const startMs = Date.now() - 60 * minuteMs;
  const timeOf = (letter: Letter): string => new Date(startMs + letters.indexOf(letter) * minuteMs).toISOString();
  const lettersOf = (found: readonly Named[]): string => {
    const byUri = new Map([...posts].map(([letter, { uri }]) => [uri, letter]));
    return found.map(({ uri }) => byUri.get(uri) ?? '?').join('');
  };
  /** Waits for what an operator or a labeler has done; a settled network is indexed, too. */
  const becomes = async <T>(expected: T, read: () => Promise<T>): Promise<void> => {
    let last: T | undefined;
    await waitUntil(`searches to find ${JSON.stringify(expected)}`, deadlineMs, async () => {
      last = await read();
      expect(last).toEqual(expected);
      return true;
    });
  };

  const byText = async (q: string, more: Params = {}, viewer?: Name): Promise<string> =>
    lettersOf(await stage.reader.all<Post>(searchPosts, { q, limit: 50, ...more }, 'posts', viewer));
  const bySkeleton = async (v1: Params, viewer?: Name): Promise<string> =>
    lettersOf(await skeletons.reader.all<Post>(searchPosts, { q: 'quokka', limit: 50, ...v1 }, 'posts', viewer));
  const byV2 = async (v2: Params, viewer?: Name): Promise<string> => {
    const params = { query: 'quokka', sort: 'recent', limit: 50, ...v2 };
    return lettersOf(await stage.searcher.all<Post>(searchPostsV2, params, 'posts', viewer));
  };

  const filters = (): Record<string, Filter> => {
    const { did, handle } = stage;
    const [ben, cat] = [did('ben'), did('cat')];
    const { uri: first } = posts.get('a')!;
    const between = new Date(Date.parse(timeOf('d')) - minuteMs / 2).toISOString();
    return {
      nothing: { v2: {}, v1: {}, text: 'quokka', found: 'gfedcba' },
      author: { v2: { authors: [ben] }, v1: { author: ben }, text: `quokka from:${handle('ben')}`, found: 'fb' },
      mention: { v2: { mentions: [ben] }, v1: { mentions: ben }, text: `quokka mentions:${ben}`, found: 'c' },
      domain: {
        v2: { domains: ['news.example'] },
        v1: { domain: 'news.example' },
        text: 'quokka domain:news.example',
        found: 'b',
      },
      url: { v2: { urls: [newsUrl] }, v1: { url: newsUrl }, text: `quokka ${newsUrl}`, found: 'b' },
      tag: { v2: { hashtags: ['island'] }, v1: { tag: ['island'] }, text: 'quokka #island', found: 'a' },
      language: { v2: { languages: ['de'] }, v1: { lang: 'de' }, text: 'quokka lang:de', found: 'c' },
      'a start': { v2: { since: between }, v1: { since: between }, text: `quokka since:${between}`, found: 'gfed' },
      'an end': { v2: { until: between }, v1: { until: between }, text: `quokka until:${between}`, found: 'cba' },
      media: { v2: { hasMedia: true }, found: 'fe' },
      video: { v2: { hasVideo: true }, found: 'f' },
      'a quoted post': { v2: { embeddedAtUris: [first] }, found: 'g' },
      'a parent': { v2: { replyParentUri: first }, found: 'd' },
      'replies alone': { v2: { repliesOnly: true }, found: 'd' },
      'no replies': { v2: { excludeReplies: true }, found: 'gfecba' },
      // Tests before these made fay follow others, but not dee.
      'whom the viewer follows': { v2: { following: true, authors: [cat, did('dee')] }, viewer: 'fay', found: 'c' },
      'no author': { v2: { excludeAuthors: [ben, cat] }, found: 'geda' },
      'no mention': { v2: { excludeMentions: [ben] }, found: 'gfedba' },
      'no domain': { v2: { excludeDomains: ['news.example'] }, found: 'gfedca' },
      'no url': { v2: { excludeUrls: [newsUrl] }, found: 'gfedca' },
      'no tag': { v2: { excludeHashtags: ['island'] }, found: 'gfedcb' },
      'no language': { v2: { excludeLanguages: ['de'] }, found: 'gfedba' },
      'no quoted post': { v2: { excludeEmbeddedAtUris: [first] }, found: 'fedcba' },
      'two words': { v2: { query: 'quokka news' }, v1: { q: 'quokka news' }, text: 'news quokka', found: 'b' },
      'a phrase': {
        v2: { query: '"quokka at the"' },
        v1: { q: '"quokka at the"' },
        text: '"quokka at the"',
        found: 'a',
      },
      'no word': { v2: { query: 'quokka -the' }, v1: { q: 'quokka -the' }, text: 'quokka -the', found: 'gfedc' },
    };
  };

  describe.skipIf(inject('planeName') === 'official')('searches', () => {
    beforeAll(async () => {
      const { write, writer, did } = stage;
      const add = async (letter: Letter, by: Name, text: string, body: RecordBody = {}): Promise<void> => {
        const langs = ['en'];
        posts.set(letter, await write(by, post, { text, langs, ...body, createdAt: timeOf(letter) }));
      };
      const facet = (byteStart: number, byteEnd: number, feature: RecordBody): RecordBody => ({
        facets: [{ index: { byteStart, byteEnd }, features: [feature] }],
      });
      const picture = await writer.upload('eli', Buffer.from('a picture of it'), 'image/jpeg');
      const film = await writer.upload('ben', Buffer.from('a film of it'), 'video/mp4');
      const external = { uri: newsUrl, title: 'News', description: 'of the island' };
      await write('fay', 'app.bsky.graph.follow', { subject: did('cat') });
      const tag = { $type: 'app.bsky.richtext.facet#tag', tag: 'island' };
      await add('a', 'ann', 'quokka at the beach #island', facet(20, 27, tag));
      await add('b', 'ben', 'the quokka in the news', { embed: { $type: 'app.bsky.embed.external', external } });
      const mention = { $type: 'app.bsky.richtext.facet#mention', did: did('ben') };
      await add('c', 'cat', '@ben ein Quokka', { ...facet(0, 4, mention), langs: ['de'] });
      await writer.settle();
      const root = posts.get('a')!;
      await add('d', 'dee', 'what a quokka', { reply: { root, parent: root } });
      const images = [{ alt: 'a quokka asleep', image: picture }];
      await add('e', 'eli', 'good night', { embed: { $type: 'app.bsky.embed.images', images } });
      await add('f', 'ben', 'quokka, moving', { embed: { $type: 'app.bsky.embed.video', video: film } });
      await add('g', 'dee', 'my quokka', { embed: { $type: 'app.bsky.embed.record', record: root } });
      await writer.settle();
      expect(await byV2({})).toEqual('gfedcba');
    });

    it('find posts by each filter, by text, by skeleton and by the second version', async () => {
      for (const [name, { v2, v1, text, viewer, found }] of Object.entries(filters())) {
        expect(await byV2(v2, viewer), `V2 by ${name}`).toBe(found);
        if (v1 !== undefined)
          expect(await bySkeleton({ sort: 'latest', ...v1 }, viewer), `skeleton by ${name}`).toBe(found);
        if (text !== undefined) expect(await byText(text, {}, viewer), `text ${text}`).toBe(found);
      }
    });

    it('are answered for AppViews as the lexicons say', async () => {
      const ask = async (name: string, params: Readonly<Record<string, string>>): Promise<Record<string, unknown>> => {
        const nsid = `app.bsky.unspecced.${name}`;
        const response = await fetch(`${skeletons.url}/xrpc/${nsid}?${new URLSearchParams(params)}`);
        const body = (await response.json()) as Record<string, unknown>;
        expect(response.status, JSON.stringify(body)).toBe(200);
        lexicons.assertValidXrpcOutput(nsid, body);
        return body;
      };
      const { did, handle } = stage;
      const { uri } = posts.get('f')!;
      const params = { q: 'quokka', author: handle('ben'), viewer: did('ann'), limit: '1', sort: 'latest' };
      const first = await ask('searchPostsSkeleton', params);
      expect(first).toMatchObject({ posts: [{ uri }], cursor: expect.stringMatching(/./) });
      const rest = await ask('searchPostsSkeleton', { ...params, cursor: String(first['cursor']) });
      expect(rest['posts']).toEqual([{ uri: posts.get('b')!.uri }]);
      expect(await ask('searchPostsSkeleton', { q: 'nothing of the kind' })).toMatchObject({ posts: [] });
      for (const typeahead of ['true', 'false']) {
        const { actors } = await ask('searchActorsSkeleton', { q: handle('ann'), typeahead });
        expect(actors).toContainEqual({ did: did('ann') });
      }
      expect(await ask('searchStarterPacksSkeleton', { q: 'nothing of the kind' })).toMatchObject({ starterPacks: [] });
    });

    it('page on without loss, repeat or error', async () => {
      // The versions have other names for the newest first.
      for (const [second, first] of [
        ['recent', 'latest'],
        ['top', 'top'],
      ]) {
        for (const limit of [1, 3]) {
          const pages = await byV2({ sort: second, limit }, 'ann');
          expect([...pages].sort().join(''), `${second} by ${limit}`).toBe('abcdefg');
          expect(await bySkeleton({ sort: first, limit }, 'ann'), `skeletons, ${first} by ${limit}`).toBe(pages);
        }
      }
      expect(await byText('quokka', { limit: 2 })).toBe('gfedcba');
      const params = { query: 'quokka', sort: 'recent', cursor: 'nonsense' };
      expect(await stage.searcher.refusal(searchPostsV2, params, 'ann')).toBe('InvalidRequest');
    });

    it('put what many like on top', async () => {
      const { write, writer } = stage;
      const subject = posts.get('c')!;
      for (const name of ['ann', 'ben', 'dee', 'eli', 'fay'] as const)
        await write(name, 'app.bsky.feed.like', { subject });
      await writer.settle();
      expect((await byV2({ sort: 'top' }))[0]).toBe('c');
      expect((await bySkeleton({ sort: 'top' }))[0]).toBe('c');
      expect(await byV2({})).toBe('gfedcba');
    });

    it('leave out whom the viewer blocks, and who blocks the viewer', async () => {
      const { write, writer, did } = stage;
      const block = await write('ann', 'app.bsky.graph.block', { subject: did('ben') });
      await writer.settle();
      for (const [viewer, found] of [
        ['ann', 'gedca'],
        ['ben', 'gfedcb'],
        ['cat', 'gfedcba'],
      ] as const) {
        expect(await byV2({}, viewer), viewer).toBe(found);
        expect(await byText('quokka', {}, viewer), viewer).toBe(found);
      }
      await writer.delete(block.uri);
      await writer.settle();
      expect(await byV2({}, 'ann')).toBe('gfedcba');
    });

    it('hide posts with tags of operators from the top, and from the latest unless an author is named', async () => {
      const { operator, did } = stage;
      const { uri } = posts.get('e')!;
      await operator.tagRecord(uri, ['hide-in-search']);
      expect(await byV2({ sort: 'top' })).not.toContain('e');
      expect(await byV2({})).toBe('gfdcba');
      expect(await byV2({ authors: [did('eli')] })).toBe('e');
      await operator.tagRecord(uri, []);
      expect(await byV2({})).toBe('gfedcba');
    });

    it('lose posts that are taken down, by admin or label, and find them again', async () => {
      const { reader, plane, labeler } = stage;
      const subject = { $type: 'com.atproto.repo.strongRef', ...posts.get('d')! };
      const method = 'com.atproto.admin.updateSubjectStatus';
      await reader.adminProcedure(method, { subject, takedown: { applied: true, ref: 'quokka' } });
      await becomes('gfecba', () => byV2({}));
      await reader.adminProcedure(method, { subject, takedown: { applied: false } });
      await becomes('gfedcba', () => byV2({}));
      const label = { uri: posts.get('b')!.uri, val: '!takedown' };
      await labeler.label(plane, label);
      await becomes('gfedca', () => byV2({}));
      await labeler.label(plane, { ...label, neg: true });
      await becomes('gfedcba', () => byV2({}));
    });

    it('follow deletes, edits and accounts that are deactivated', async () => {
      const { writer } = stage;
      const { uri } = posts.get('g')!;
      await writer.put('dee', post, uri.split('/')[4]!, { text: 'my wombat', createdAt: timeOf('g') });
      await writer.settle();
      expect(await byV2({})).toEqual('fedcba');
      expect(await byV2({ query: 'wombat' })).toEqual('g');
      await writer.delete(uri);
      await writer.settle();
      expect(await byV2({ query: 'wombat' })).toEqual('');
      await writer.deactivate('eli');
      await writer.settle();
      expect(await byV2({})).toEqual('fdcba');
      await writer.activate('eli');
      await writer.settle();
      expect(await byV2({})).toEqual('fedcba');
    });

    it('find actors by name and handle, as they are now, in full and by their first letters', async () => {
      const { reader, writer, did, handle } = stage;
      type Found = { readonly actors: readonly AppBskyActorDefs.ProfileViewBasic[] };
      const actors = async (by: typeof reader, method: string, q: string): Promise<string[]> => {
        const answer = await by.query<Found>(`app.bsky.actor.${method}`, { q, limit: 10 });
        return answer.actors.map((actor) => actor.did);
      };
      const everywhere = (method: string, q: string): Promise<string[][]> =>
        Promise.all([reader, stage.searcher, skeletons.reader].map((by) => actors(by, method, q)));
      const ann = did('ann');
      await writer.put('ann', 'app.bsky.actor.profile', 'self', { displayName: 'Xanthippe Yellowwood' });
      await writer.settle();
      expect(await everywhere('searchActors', 'yellowwood')).toEqual([[ann], [ann], [ann]]);
      expect(await everywhere('searchActorsTypeahead', 'xanth')).toEqual([[ann], [ann], [ann]]);
      expect((await everywhere('searchActors', handle('ann'))).map(([first]) => first)).toEqual([ann, ann, ann]);
      await writer.put('ann', 'app.bsky.actor.profile', 'self', { displayName: 'the ann' });
      await writer.settle();
      expect(await everywhere('searchActors', 'yellowwood')).toEqual([[], [], []]);
    });

    it('find feeds and starter packs', async () => {
      const { reader, writer, write, did } = stage;
      const feed = await write('ben', 'app.bsky.feed.generator', { did: did('ben'), displayName: 'Marsupials daily' });
      const purpose = 'app.bsky.graph.defs#referencelist';
      const list = await write('ben', 'app.bsky.graph.list', { name: 'marsupials', purpose });
      const pack = await write('ben', 'app.bsky.graph.starterpack', { name: 'Marsupial friends', list: list.uri });
      await writer.settle();
      const feeds = async (by: typeof reader): Promise<string[]> => {
        const params = { query: 'marsupials', limit: 5 };
        return urisOf((await by.query<{ feeds: Named[] }>(popularFeeds, params)).feeds);
      };
      expect(await feeds(reader)).toEqual([feed.uri]);
      expect(await feeds(stage.searcher)).toEqual([feed.uri]);
      type Packs = { readonly starterPacks: readonly AppBskyGraphDefs.StarterPackViewBasic[] };
      const packs = async (method: string, by = reader): Promise<string[]> =>
        urisOf((await by.query<Packs>(`app.bsky.graph.${method}`, { q: 'marsupial friends' })).starterPacks);
      expect(await packs('searchStarterPacksV2')).toEqual([pack.uri]);
      expect(await packs('searchStarterPacks')).toEqual([pack.uri]);
      expect(await packs('searchStarterPacks', skeletons.reader)).toEqual([pack.uri]);
      for (const { uri } of [feed, list, pack]) await writer.delete(uri);
      await writer.settle();
      expect(await packs('searchStarterPacksV2')).toEqual([]);
    });
  });
}
