/** What feeds and threads say besides: who of whom one follows likes a post, and OP threads. */
import type { AppBskyUnspeccedGetPostThreadV2 } from '@atproto/api';
import { describe, expect, it } from 'vitest';
import { waitUntil } from '../network/wait-until.ts';
import type { StoredRecord } from '../oracle/record-writer.ts';
import { type FeedItem, urisOf } from './feature-reads.ts';
import type { FeatureStage, Name } from './feature-stage.ts';

const deadlineMs = 20_000;

/** Declares the tests of what the AppView's gates open. */
export function opThreadTests(stage: FeatureStage): void {
  const newestBy = async (name: Name, viewer: Name): Promise<FeedItem> => {
    const params = { actor: stage.did(name), limit: 1 };
    const { feed } = await stage.reader.query<{ feed: FeedItem[] }>('app.bsky.feed.getAuthorFeed', params, viewer);
    return feed[0]!;
  };

  describe('known likers', () => {
    it('are those of a post whom the viewer follows', async () => {
      const { writer, write, post, did } = stage;
      const follow = (whom: Name): Promise<StoredRecord> =>
        write('cat', 'app.bsky.graph.follow', { subject: did(whom) });
      await follow('ann');
      await follow('ben');
      const subject = await post('eli', 'like this');
      await writer.settle();
      for (const name of ['ann', 'dee', 'ben', 'fay'] as const) await write(name, 'app.bsky.feed.like', { subject });
      await writer.delete((await follow('fay')).uri);
      await writer.settle();
      // The AppView goes without them after 100 ms.
      const known = await waitUntil('the known likers to be shown', deadlineMs, async () => {
        const { post: shown } = await newestBy('eli', 'cat');
        expect(shown.uri).toBe(subject.uri);
        return shown.viewer?.knownLikers;
      });
      expect(known.actors.map((actor) => actor.did)).toEqual([did('ben'), did('ann')]);
      expect(known.count).toBe(2);
    });
  });

  describe('OP threads', () => {
    it('count the posts in which an author goes on', async () => {
      const { reader, writer, post, reply } = stage;
      const root = await post('ben', 'a story');
      await writer.settle();
      const other = await reply('cat', root);
      const second = await reply('ben', root);
      await writer.settle();
      const third = await reply('ben', second, root);
      await writer.settle();
      await reply('ben', other, root);
      await writer.settle();
      type Thread = AppBskyUnspeccedGetPostThreadV2.OutputSchema;
      const params = { anchor: root.uri, below: 6 };
      const { thread } = await reader.query<Thread>('app.bsky.unspecced.getPostThreadV2', params, 'dee');
      const values = new Map(thread.map(({ uri, value }) => [uri, value]));
      const inThread = [root, second, third];
      for (const [index, { uri }] of inThread.entries()) {
        expect(values.get(uri)).toMatchObject({ opThread: true, opThreadPostIndex: index + 1, opThreadPostCount: 3 });
      }
      expect(values.get(other.uri)).toMatchObject({ opThread: false });
      const feed = await reader.all<FeedItem>(
        'app.bsky.feed.getAuthorFeed',
        { actor: stage.did('ben'), limit: 50 },
        'feed',
        'dee',
      );
      const item = feed.find((each) => each.post.uri === third.uri);
      expect(item).toMatchObject({ opThreadPostIndex: 3, opThreadPostCount: 3 });
      expect(urisOf(feed.map((each) => each.post))).toEqual(expect.arrayContaining(urisOf(inThread)));
    });
  });
}
