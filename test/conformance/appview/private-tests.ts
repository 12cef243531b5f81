/** What users keep to themselves and the AppView keeps in bsync: bookmarks, drafts and mutes. */
import type { AppBskyActorDefs, AppBskyBookmarkDefs, AppBskyDraftDefs } from '@atproto/api';
import { beforeAll, describe, expect, it } from 'vitest';
import type { StoredRecord } from '../oracle/record-writer.ts';
import { postsOf, profileOf, timelineOf, urisOf } from './feature-reads.ts';
import type { FeatureStage, Name } from './feature-stage.ts';

type Bookmark = AppBskyBookmarkDefs.BookmarkView;
type Draft = AppBskyDraftDefs.DraftView;

/** Declares the tests of bookmarks, drafts and mutes. */
export function privateTests(stage: FeatureStage): void {
  const call = async <Output = void>(method: string, input: Record<string, unknown>, by: Name): Promise<Output> => {
    const answer = await stage.reader.procedure<Output>(method, input, by);
    await stage.writer.settle();
    return answer;
  };

  describe('bookmarks', () => {
    let posts: StoredRecord[] = [];
    const bookmark = ({ uri, cid }: StoredRecord, by: Name): Promise<void> =>
      call('app.bsky.bookmark.createBookmark', { uri, cid }, by);
    const bookmarks = (by: Name, limit = 1): Promise<Bookmark[]> =>
      stage.reader.all<Bookmark>('app.bsky.bookmark.getBookmarks', { limit }, 'bookmarks', by);
    const stateOf = async (post: StoredRecord, viewer: Name): Promise<unknown[]> => {
      const [shown] = await postsOf(stage, [post], viewer);
      return [shown?.viewer?.bookmarked, shown?.bookmarkCount];
    };

    beforeAll(async () => {
      posts = [];
      for (const text of ['one', 'two', 'three']) posts.push(await stage.post('cat', text));
      await stage.writer.settle();
      for (const post of posts) await bookmark(post, 'ann');
      await bookmark(posts[0]!, 'ben');
    });

    it('are listed for who made them, newest first', async () => {
      const listed = await bookmarks('ann');
      expect(listed.map(({ subject }) => subject.uri)).toEqual(urisOf(posts).reverse());
      expect(listed[0]).toMatchObject({ item: { uri: posts[2]!.uri, viewer: { bookmarked: true } } });
      expect((await bookmarks('ben')).map(({ subject }) => subject)).toMatchObject([posts[0]]);
      expect(await bookmarks('cat')).toEqual([]);
    });

    it('show on the post to who made them, and are counted for all', async () => {
      expect(await stateOf(posts[0]!, 'ann')).toEqual([true, 2]);
      expect(await stateOf(posts[1]!, 'ben')).toEqual([false, 1]);
      expect(await stateOf(posts[0]!, 'cat')).toEqual([false, 2]);
    });

    it('exist once for a post, and go once', async () => {
      await bookmark(posts[0]!, 'ben');
      expect(await bookmarks('ben')).toHaveLength(1);
      const { uri } = posts[0]!;
      for (let time = 0; time < 2; time += 1) await call('app.bsky.bookmark.deleteBookmark', { uri }, 'ben');
      expect(await bookmarks('ben')).toEqual([]);
      expect(await stateOf(posts[0]!, 'ann')).toEqual([true, 1]);
      await bookmark(posts[0]!, 'ben');
      expect(await stateOf(posts[0]!, 'ben')).toEqual([true, 2]);
    });

    it('stay when their post is deleted, and show it as not found', async () => {
      await stage.writer.delete(posts[2]!.uri);
      await stage.writer.settle();
      const [newest] = await bookmarks('ann');
      expect(newest).toMatchObject({ subject: { uri: posts[2]!.uri }, item: { notFound: true } });
    });

    it('are for posts only', async () => {
      const subject = { uri: posts[0]!.uri.replace('feed.post', 'feed.like'), cid: posts[0]!.cid };
      await expect(bookmark(subject, 'ann')).rejects.toThrow('can be bookmarked');
    });
  });

  describe('drafts', () => {
    const draft = (text: string): AppBskyDraftDefs.Draft => ({ posts: [{ text }] });
    const create = async (text: string): Promise<string> =>
      (await call<{ id: string }>('app.bsky.draft.createDraft', { draft: draft(text) }, 'dee')).id;
    const textsOf = async (by: Name, limit = 1): Promise<string[]> => {
      const drafts = await stage.reader.all<Draft>('app.bsky.draft.getDrafts', { limit }, 'drafts', by);
      return drafts.map((each) => each.draft.posts[0]!.text);
    };

    it('are listed for their author, the last changed first', async () => {
      const first = await create('first');
      const second = await create('second');
      expect(await textsOf('dee')).toEqual(['second', 'first']);
      await call('app.bsky.draft.updateDraft', { draft: { id: first, draft: draft('first, again') } }, 'dee');
      expect(await textsOf('dee')).toEqual(['first, again', 'second']);
      expect(await textsOf('ann')).toEqual([]);
      await call('app.bsky.draft.deleteDraft', { id: second }, 'dee');
      expect(await textsOf('dee')).toEqual(['first, again']);
    });

    it('are refused above their limit, which deleted ones do not count for', async () => {
      await create('second');
      await create('third');
      await expect(create('fourth')).rejects.toMatchObject({ error: 'DraftLimitReached' });
      expect(await textsOf('dee', 50)).toEqual(['third', 'second', 'first, again']);
    });

    it('are not made by updates of what does not exist', async () => {
      await call('app.bsky.draft.updateDraft', { draft: { id: '3zzzzzzzzzz2z', draft: draft('ghost') } }, 'ben');
      expect(await textsOf('ben')).toEqual([]);
    });
  });

  describe('mutes', () => {
    const mute = (name: Name, how: Record<string, boolean> = {}): Promise<void> =>
      call('app.bsky.graph.muteActor', { actor: stage.did(name), ...how }, 'fay');
    const unmute = (name: Name): Promise<void> => call('app.bsky.graph.unmuteActor', { actor: stage.did(name) }, 'fay');
    const shownUris = async (): Promise<string[]> =>
      (await timelineOf(stage, 'fay')).map(
        (item) => (item.reason as { uri?: string } | undefined)?.uri ?? item.post.uri,
      );

    it('hide an actor, and are listed, newest first', async () => {
      const { reader, did, write, writer, post } = stage;
      for (const subject of ['ann', 'ben'] as const) {
        await write('fay', 'app.bsky.graph.follow', { subject: did(subject) });
      }
      const byAnn = await post('ann', 'to fay');
      await writer.settle();
      expect(await shownUris()).toContain(byAnn.uri);
      await mute('ann');
      await mute('ben');
      const mutes = await reader.all<AppBskyActorDefs.ProfileView>(
        'app.bsky.graph.getMutes',
        { limit: 1 },
        'mutes',
        'fay',
      );
      expect(mutes.map((each) => each.did)).toEqual([did('ben'), did('ann')]);
      expect(await shownUris()).not.toContain(byAnn.uri);
      expect((await profileOf(stage, 'ann', 'fay')).viewer).toMatchObject({ muted: true });
      await unmute('ann');
      await unmute('ben');
      expect(await shownUris()).toContain(byAnn.uri);
      expect((await profileOf(stage, 'ann', 'fay')).viewer).toMatchObject({ muted: false });
    });

    it('can hide reposts or quotes alone', async () => {
      const { write, writer, post } = stage;
      const subject = await post('cat', 'worth sharing');
      await writer.settle();
      const repost = await write('ben', 'app.bsky.feed.repost', { subject });
      const embed = { $type: 'app.bsky.embed.record', record: subject };
      const quote = await post('ben', 'see', { embed });
      const plain = await post('ben', 'plain');
      await writer.settle();
      const shown = async (): Promise<boolean[]> => {
        const uris = await shownUris();
        return [repost, quote, plain].map(({ uri }) => uris.includes(uri));
      };
      expect(await shown()).toEqual([true, true, true]);
      await mute('ben', { onlyReposts: true });
      expect(await shown()).toEqual([false, true, true]);
      expect((await profileOf(stage, 'ben', 'fay')).viewer).toMatchObject({ muted: false, mutedOnlyReposts: true });
      await mute('ben', { onlyQuoteposts: true });
      expect(await shown()).toEqual([true, false, true]);
      await unmute('ben');
      expect(await shown()).toEqual([true, true, true]);
    });
  });
}
