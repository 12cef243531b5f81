/** What remains of an account that is deleted: nothing that others see. */
import { describe, expect, it } from 'vitest';
import type { StoredRecord } from '../oracle/record-writer.ts';
import { noticesOf, type Profile, postsOf, profileOf, repliesTo, urisOf } from './feature-reads.ts';
import type { FeatureStage, Name } from './feature-stage.ts';

/** Declares the tests of deletion, after which fay is gone; they come last. */
export function deletionTests(stage: FeatureStage): void {
  describe('deleted accounts', () => {
    it('are gone with posts, follows, likes, replies, notifications and places on lists', async () => {
      const { reader, writer, write, post, reply, did } = stage;
      const root = await post('ben', 'who reads this?');
      const list = await write('ben', 'app.bsky.graph.list', {
        name: 'readers',
        purpose: 'app.bsky.graph.defs#curatelist',
      });
      for (const name of ['cat', 'fay'] as const) {
        await write('ben', 'app.bsky.graph.listitem', { list: list.uri, subject: did(name) });
      }
      await write('fay', 'app.bsky.graph.follow', { subject: did('ben') });
      const byFay = await post('fay', 'my last words');
      await writer.settle();
      const answer = await reply('fay', root);
      await write('fay', 'app.bsky.feed.like', { subject: root });
      await writer.settle();

      const followersOf = async (name: Name): Promise<string[]> => {
        const params = { actor: did(name), limit: 50 };
        return (await reader.all<Profile>('app.bsky.graph.getFollowers', params, 'followers')).map((each) => each.did);
      };
      const membersOf = async ({ uri }: StoredRecord): Promise<string[]> => {
        const items = await reader.all<{ subject: Profile }>('app.bsky.graph.getList', { list: uri }, 'items');
        return items.map(({ subject }) => subject.did);
      };
      expect(await followersOf('ben')).toContain(did('fay'));
      expect(await repliesTo(stage, root, 'cat')).toEqual([answer.uri]);
      expect(urisOf(await noticesOf(stage, 'ben'))).toContain(answer.uri);
      expect(await membersOf(list)).toContain(did('fay'));

      await writer.deleteAccount('fay');
      await writer.settle();
      expect(await reader.refusal('app.bsky.actor.getProfile', { actor: did('fay') })).toBe('InvalidRequest');
      expect(await postsOf(stage, [byFay, answer], 'cat')).toEqual([]);
      expect(await repliesTo(stage, root, 'cat')).toEqual([]);
      expect(await followersOf('ben')).not.toContain(did('fay'));
      expect(await reader.all('app.bsky.feed.getLikes', { uri: root.uri }, 'likes')).toEqual([]);
      expect(urisOf(await noticesOf(stage, 'ben'))).not.toContain(answer.uri);
      expect(await membersOf(list)).toEqual([did('cat')]);
      expect((await profileOf(stage, 'ben')).did).toBe(did('ben'));
    });
  });
}
