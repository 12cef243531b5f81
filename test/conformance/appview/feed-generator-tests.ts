/** Feed generators: their views, and feeds whose skeletons come from their service. */
import type { AppBskyFeedDefs, AppBskyFeedGetFeedGenerator } from '@atproto/api';
import { beforeAll, describe, expect, it } from 'vitest';
import type { StoredRecord } from '../oracle/record-writer.ts';
import type { FeatureStage } from './feature-stage.ts';

type Generator = AppBskyFeedDefs.GeneratorView;
type FeedItem = AppBskyFeedDefs.FeedViewPost;

const missingRkey = '3zzzzzzzzzz2z';

/** Declares the tests of feed generators, of which ann makes two. */
export function feedGeneratorTests(stage: FeatureStage): void {
  describe('feed generators', () => {
    let [news, art]: StoredRecord[] = [];
    let posts: StoredRecord[] = [];
    let serviceDid = '';

    beforeAll(async () => {
      const { network, writer, did, write } = stage;
      const uri = `at://${did('ann')}/app.bsky.feed.generator/news`;
      posts = [await stage.post('ben', 'first'), await stage.post('cat', 'second'), await stage.post('ben', 'third')];
      const repost = await write('dee', 'app.bsky.feed.repost', { subject: posts[0] });
      const gone = `at://${did('ben')}/app.bsky.feed.post/${missingRkey}`;
      const service = await network.createFeedGen({
        [uri]: ({ params }: { params: { limit: number; cursor?: string } }) => {
          const reason = { $type: 'app.bsky.feed.defs#skeletonReasonRepost', repost: repost.uri };
          const all = [
            { post: posts[1]!.uri, feedContext: 'because' },
            { post: gone },
            { post: posts[0]!.uri, reason },
            { post: posts[2]!.uri },
          ];
          const start = Number(params.cursor ?? 0);
          const feed = all.slice(start, start + params.limit);
          const next = start + feed.length;
          return {
            encoding: 'application/json',
            body: { feed, ...(next < all.length ? { cursor: String(next) } : {}) },
          };
        },
      } as Parameters<typeof network.createFeedGen>[0]);
      serviceDid = service.did;
      const generator = 'app.bsky.feed.generator';
      news = await write('ann', generator, { did: serviceDid, displayName: 'News', description: 'all of it' }, 'news');
      art = await write('ann', generator, { did: serviceDid, displayName: 'Art' }, 'art');
      await write('ben', 'app.bsky.feed.like', { subject: news });
      // On the official plane the counts of an actor begin with a post or a follow.
      await stage.post('ann', 'I make feeds');
      await writer.settle();
    });

    it('are listed by their author, newest first, and counted on its profile', async () => {
      const { reader, did } = stage;
      const params = { actor: did('ann'), limit: 1 };
      const feeds = await reader.all<Generator>('app.bsky.feed.getActorFeeds', params, 'feeds', 'cat');
      expect(feeds.map(({ uri }) => uri)).toEqual([art!.uri, news!.uri]);
      expect(await reader.query('app.bsky.actor.getProfile', { actor: did('ann') })).toMatchObject({
        associated: { feedgens: 2 },
      });
    });

    it('have a view with likes, their creator and the like of the viewer', async () => {
      const { reader, did } = stage;
      const params = { feed: news!.uri };
      const method = 'app.bsky.feed.getFeedGenerator';
      const seen = await reader.query<AppBskyFeedGetFeedGenerator.OutputSchema>(method, params, 'ben');
      expect(seen).toMatchObject({
        isOnline: true,
        view: {
          uri: news!.uri,
          cid: news!.cid,
          did: serviceDid,
          displayName: 'News',
          description: 'all of it',
          likeCount: 1,
          creator: { did: did('ann'), displayName: 'the ann' },
          viewer: { like: expect.stringContaining(`at://${did('ben')}/app.bsky.feed.like/`) },
        },
      });
    });

    it('come in the order asked, without unknown ones', async () => {
      const unknown = news!.uri.replace('/news', '/unknown');
      const params = { feeds: [art!.uri, unknown, news!.uri] };
      const { feeds } = await stage.reader.query<{ feeds: Generator[] }>('app.bsky.feed.getFeedGenerators', params);
      expect(feeds.map(({ uri }) => uri)).toEqual([art!.uri, news!.uri]);
    });

    it('serve what their service names, in its order, without posts that are gone', async () => {
      const { reader, did } = stage;
      const items = await reader.all<FeedItem>('app.bsky.feed.getFeed', { feed: news!.uri, limit: 2 }, 'feed', 'ann');
      expect(items.map(({ post }) => post.uri)).toEqual([posts[1]!.uri, posts[0]!.uri, posts[2]!.uri]);
      expect(items[0]).toMatchObject({ feedContext: 'because', post: { author: { displayName: 'the cat' } } });
      expect(items[1]?.reason).toMatchObject({ by: { did: did('dee') } });
    });

    it('serve nothing of whom the viewer mutes', async () => {
      const { reader, writer, did } = stage;
      await reader.procedure('app.bsky.graph.muteActor', { actor: did('ben') }, 'ann');
      await writer.settle();
      const params = { feed: news!.uri, limit: 10 };
      const items = await reader.all<FeedItem>('app.bsky.feed.getFeed', params, 'feed', 'ann');
      expect(items.map(({ post }) => post.uri)).toEqual([posts[1]!.uri]);
      await reader.procedure('app.bsky.graph.unmuteActor', { actor: did('ben') }, 'ann');
      await writer.settle();
      expect(await reader.all<FeedItem>('app.bsky.feed.getFeed', params, 'feed', 'ann')).toHaveLength(3);
    });

    it('are shown in posts that embed them, until they are deleted', async () => {
      const { reader, writer } = stage;
      const embed = { $type: 'app.bsky.embed.record', record: art };
      const post = await stage.post('cat', 'try this', { embed });
      await writer.settle();
      const shown = async (): Promise<unknown> => {
        const { posts: views } = await reader.query<{ posts: AppBskyFeedDefs.PostView[] }>('app.bsky.feed.getPosts', {
          uris: [post.uri],
        });
        return views[0]?.embed;
      };
      const generatorView = { $type: 'app.bsky.feed.defs#generatorView', uri: art!.uri, displayName: 'Art' };
      expect(await shown()).toMatchObject({ record: generatorView });
      await writer.delete(art!.uri);
      await writer.settle();
      expect(await shown()).toMatchObject({ record: { notFound: true } });
      expect(await reader.refusal('app.bsky.feed.getFeedGenerator', { feed: art!.uri })).toBe('InvalidRequest');
    });
  });
}
