/** Reads of the scenario through the AppView: profiles, feeds, threads, posts and the graph. */
import type {
  AppBskyActorDefs,
  AppBskyActorGetProfiles,
  AppBskyFeedDefs,
  AppBskyFeedGetLikes,
  AppBskyFeedGetPosts,
  AppBskyFeedGetPostThread,
  AppBskyGraphGetRelationships,
} from '@atproto/api';
import { describe, expect, it } from 'vitest';
import { didOf, type Member, type PostName, type RepostName, uriOf } from './scenario.ts';
import type { TestSubject } from './test-subject.ts';

type FeedItem = AppBskyFeedDefs.FeedViewPost;
type Profile = AppBskyActorDefs.ProfileViewDetailed;

/** Declares the tests of profiles. */
export function profileTests(subject: TestSubject): void {
  describe('profiles', () => {
    it('show counts, names and relations to the viewer', async () => {
      const { reader, scenario } = subject;
      const actor = didOf(scenario, 'alice');
      const seen = await reader.query<Profile>('app.bsky.actor.getProfile', { actor }, 'bob');
      expect(seen).toMatchObject({
        did: actor,
        handle: `${scenario.seed.prefix}alice.test`,
        displayName: 'the alice',
        description: 'I am alice',
        followersCount: 2,
        followsCount: 3,
        // Hello, picture, film and two replies.
        postsCount: 5,
      });
      expect(seen.viewer?.following).toMatch(new RegExp(`^at://${didOf(scenario, 'bob')}/app.bsky.graph.follow/`));
      expect(seen.viewer?.followedBy).toMatch(new RegExp(`^at://${actor}/app.bsky.graph.follow/`));
      expect(seen.viewer?.blockedBy).toBe(false);
      expect(seen.avatar).toContain(actor);
    });

    it('are found by handle, and an unknown one is refused', async () => {
      const { reader, scenario } = subject;
      const handle = `${scenario.seed.prefix}dan.test`;
      const dan = await reader.query<Profile>('app.bsky.actor.getProfile', { actor: handle });
      expect(dan).toMatchObject({ did: didOf(scenario, 'dan'), followersCount: 1, followsCount: 1, postsCount: 1 });
      expect(dan.displayName ?? '').toBe('');
      expect(dan.viewer).toBeUndefined();
      const refusal = await reader.refusal('app.bsky.actor.getProfile', { actor: 'nobody.test' });
      expect(refusal).toBe('InvalidRequest');
    });

    it('come in the order asked, without unknown ones', async () => {
      const { reader, scenario } = subject;
      const [carol, alice] = [didOf(scenario, 'carol'), didOf(scenario, 'alice')];
      const params = { actors: [carol, 'did:plc:bbbbbbbbbbbbbbbbbbbbbbbb', alice] };
      const seen = await reader.query<AppBskyActorGetProfiles.OutputSchema>(
        'app.bsky.actor.getProfiles',
        params,
        'dan',
      );
      expect(seen.profiles.map((profile) => profile.did)).toEqual([carol, alice]);
      // dan has unfollowed carol.
      expect(seen.profiles[0]?.viewer?.following).toBeUndefined();
    });
  });
}

/** Declares the tests of author feeds and timelines. */
export function feedTests(subject: TestSubject): void {
  const feedOf = async (member: Member, filter?: string, limit = 2): Promise<string[]> => {
    const { reader, scenario } = subject;
    const params = { actor: didOf(scenario, member), limit, ...(filter === undefined ? {} : { filter }) };
    return (await reader.all<FeedItem>('app.bsky.feed.getAuthorFeed', params, 'feed')).map(uriOfItem);
  };
  const uris = (...names: (PostName | RepostName)[]): string[] => names.map((name) => uriOf(subject.scenario, name));

  describe('author feeds', () => {
    it('hold posts, replies and reposts, newest first', async () => {
      expect(await feedOf('alice')).toEqual(
        uris('alice answers bob', 'alice thread', 'alice film', 'alice picture', 'alice hello'),
      );
      expect(await feedOf('dan')).toEqual(uris('dan reposts alice', 'dan mentions'));
    });

    it('leave out replies on request', async () => {
      const seen = await feedOf('alice', 'posts_no_replies');
      expect(seen).toEqual(uris('alice film', 'alice picture', 'alice hello'));
    });

    it('hold only posts with media, or only with video', async () => {
      expect(await feedOf('alice', 'posts_with_media')).toEqual(uris('alice picture'));
      expect(await feedOf('alice', 'posts_with_video')).toEqual(uris('alice film'));
    });

    it('hold the author’s threads without replies to others', async () => {
      // In one page, since the AppView drops replies whose parent is on another.
      const seen = await feedOf('alice', 'posts_and_author_threads', 50);
      expect(seen).toEqual(uris('alice thread', 'alice film', 'alice picture', 'alice hello'));
    });

    it('lose deleted posts and deleted reposts', async () => {
      expect(await feedOf('bob', 'posts_no_replies')).toEqual(uris('bob hello'));
      expect(await feedOf('carol')).toEqual(uris('carol quotes', 'carol answers alice'));
    });
  });

  describe('timelines', () => {
    it('hold posts of the viewer and its follows, newest first, in pages of any size', async () => {
      const { reader } = subject;
      const timeline = (limit: number): Promise<FeedItem[]> =>
        reader.all<FeedItem>('app.bsky.feed.getTimeline', { limit }, 'feed', 'dan');
      const whole = (await timeline(50)).map(uriOfItem);
      expect(whole).toEqual(
        uris('dan reposts alice', 'bob under the gone one', 'bob answers', 'dan mentions', 'bob hello'),
      );
      expect((await timeline(2)).map(uriOfItem)).toEqual(whole);
    });

    it('name the reposters', async () => {
      const { reader, scenario } = subject;
      const items = await reader.all<FeedItem>('app.bsky.feed.getTimeline', { limit: 50 }, 'feed', 'alice');
      const repost = items.find((item) => uriOfItem(item) === uriOf(scenario, 'dan reposts alice'));
      expect(repost?.reason).toMatchObject({ by: { did: didOf(scenario, 'dan') } });
      expect(repost?.post.uri).toBe(uriOf(scenario, 'alice hello'));
    });
  });
}

/** Returns the URI of the repost of a feed item, else of its post. */
function uriOfItem(item: FeedItem): string {
  const reason = item.reason as AppBskyFeedDefs.ReasonRepost | undefined;
  return reason?.uri ?? item.post.uri;
}

function repliesOf(view: AppBskyFeedDefs.ThreadViewPost | undefined): AppBskyFeedDefs.ThreadViewPost[] {
  return (view?.replies ?? []) as AppBskyFeedDefs.ThreadViewPost[];
}

/** Declares the tests of threads and posts. */
export function threadTests(subject: TestSubject): void {
  const thread = async (name: PostName, viewer?: Member): Promise<AppBskyFeedDefs.ThreadViewPost> => {
    const params = { uri: uriOf(subject.scenario, name) };
    const method = 'app.bsky.feed.getPostThread';
    const answer = await subject.reader.query<AppBskyFeedGetPostThread.OutputSchema>(method, params, viewer);
    return answer.thread as AppBskyFeedDefs.ThreadViewPost;
  };

  describe('threads', () => {
    it('hold the replies below', async () => {
      const { scenario } = subject;
      const root = await thread('alice hello');
      expect(root.post).toMatchObject({ replyCount: 2, likeCount: 2, repostCount: 1, quoteCount: 1 });
      const replies = repliesOf(root);
      const below = new Set(replies.map((reply) => reply.post.uri));
      expect(below).toEqual(new Set([uriOf(scenario, 'bob answers'), uriOf(scenario, 'alice thread')]));
      const bob = replies.find((reply) => reply.post.uri === uriOf(scenario, 'bob answers'));
      const [alice] = repliesOf(bob);
      expect(alice?.post.uri).toBe(uriOf(scenario, 'alice answers bob'));
      const [carol] = repliesOf(alice);
      expect(carol?.post.uri).toBe(uriOf(scenario, 'carol answers alice'));
    });

    it('hold the posts above', async () => {
      const { scenario } = subject;
      const above: string[] = [];
      let at = (await thread('carol answers alice', 'dan')).parent as AppBskyFeedDefs.ThreadViewPost | undefined;
      while (at !== undefined) {
        above.push(at.post.uri);
        at = at.parent as AppBskyFeedDefs.ThreadViewPost | undefined;
      }
      const expected = ['alice answers bob', 'bob answers', 'alice hello'] as const;
      expect(above).toEqual(expected.map((name) => uriOf(scenario, name)));
    });

    it('show a deleted post as not found', async () => {
      const { reader, scenario } = subject;
      const orphan = await thread('bob under the gone one');
      expect(orphan.parent).toMatchObject({ uri: uriOf(scenario, 'bob gone'), notFound: true });
      const params = { uri: uriOf(scenario, 'bob gone') };
      expect(await reader.refusal('app.bsky.feed.getPostThread', params)).toBe('NotFound');
    });
  });

  describe('posts', () => {
    it('have counts, and the likes and reposts of the viewer', async () => {
      const { reader, scenario } = subject;
      const names = ['alice hello', 'bob gone', 'bob hello'] as const;
      const params = { uris: names.map((name) => uriOf(scenario, name)) };
      const { posts } = await reader.query<AppBskyFeedGetPosts.OutputSchema>('app.bsky.feed.getPosts', params, 'carol');
      expect(posts.map((post) => post.uri)).toEqual([params.uris[0], params.uris[2]]);
      expect(posts[0]).toMatchObject({ cid: scenario.refs['alice hello'].cidStr, record: { text: 'hello' } });
      expect(posts[0]?.viewer?.like).toMatch(new RegExp(`^at://${didOf(scenario, 'carol')}/app.bsky.feed.like/`));
      expect(posts[1]?.viewer).toMatchObject({ threadMuted: false });
      expect(posts[1]?.viewer?.repost).toBeUndefined();
      expect(posts[1]).toMatchObject({ repostCount: 0, likeCount: 1, replyCount: 1 });
    });
  });
}

/** Declares the tests of the graph and of reactions. */
export function graphTests(subject: TestSubject): void {
  const dids = async (
    method: string,
    params: Record<string, unknown>,
    field: string,
    viewer?: Member,
  ): Promise<string[]> =>
    (await subject.reader.all<{ did: string }>(method, { limit: 1, ...params }, field, viewer)).map((item) => item.did);
  const did = (member: Member): string => didOf(subject.scenario, member);

  describe('the graph', () => {
    it('lists followers and follows, newest first', async () => {
      const followers = await dids('app.bsky.graph.getFollowers', { actor: did('alice') }, 'followers');
      expect(followers).toEqual([did('carol'), did('bob')]);
      const follows = await dids('app.bsky.graph.getFollows', { actor: did('alice') }, 'follows', 'bob');
      expect(follows).toEqual([did('dan'), did('carol'), did('bob')]);
      expect(await dids('app.bsky.graph.getFollows', { actor: did('dan') }, 'follows')).toEqual([did('bob')]);
    });

    it('lists the followers that the viewer follows', async () => {
      // The AppView shows only the first five.
      const params = { actor: did('bob'), limit: 50 };
      const known = await dids('app.bsky.graph.getKnownFollowers', params, 'followers', 'alice');
      expect(new Set(known)).toEqual(new Set([did('carol'), did('dan')]));
    });

    it('has the relationships between actors', async () => {
      const { reader } = subject;
      const params = { actor: did('bob'), others: [did('alice'), did('dan'), did('eve')] };
      const method = 'app.bsky.graph.getRelationships';
      const { relationships } = await reader.query<AppBskyGraphGetRelationships.OutputSchema>(method, params);
      expect(relationships).toMatchObject([
        { did: did('alice'), following: expect.any(String), followedBy: expect.any(String) },
        { did: did('dan'), followedBy: expect.any(String) },
        { did: did('eve') },
      ]);
      expect(relationships[1]).not.toHaveProperty('following');
    });
  });

  describe('reactions', () => {
    it('are listed by post', async () => {
      const { reader, scenario } = subject;
      const uri = uriOf(scenario, 'alice hello');
      const likes = await reader.all<AppBskyFeedGetLikes.Like>('app.bsky.feed.getLikes', { uri, limit: 1 }, 'likes');
      expect(likes.map((like) => like.actor.did)).toEqual([did('carol'), did('bob')]);
      expect(await dids('app.bsky.feed.getRepostedBy', { uri }, 'repostedBy')).toEqual([did('dan')]);
      const quotes = await reader.all<{ uri: string }>('app.bsky.feed.getQuotes', { uri, limit: 1 }, 'posts');
      expect(quotes.map((quote) => quote.uri)).toEqual([uriOf(scenario, 'carol quotes')]);
    });

    it('are listed for their author only, without those of deleted posts', async () => {
      const { reader, scenario } = subject;
      const params = { actor: did('alice'), limit: 1 };
      const liked = await reader.all<FeedItem>('app.bsky.feed.getActorLikes', params, 'feed', 'alice');
      expect(liked.map((item) => item.post.uri)).toEqual([uriOf(scenario, 'bob hello')]);
      expect(await reader.refusal('app.bsky.feed.getActorLikes', params, 'bob')).toBe('InvalidRequest');
    });
  });
}
