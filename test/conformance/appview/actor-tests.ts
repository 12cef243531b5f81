/** What else profiles and posts show: status, pins, known followers, tags and age assurance. */
import type { AppBskyUnspeccedGetPostThreadV2 } from '@atproto/api';
import { describe, expect, it } from 'vitest';
import { type FeedItem, noticesOf, postsOf, profileOf, urisOf } from './feature-reads.ts';
import type { FeatureStage, Name } from './feature-stage.ts';

const profile = 'app.bsky.actor.profile';

/** Declares the tests of actors. */
export function actorTests(stage: FeatureStage): void {
  describe('statuses', () => {
    it('show that an actor is live, and from where, until they are deleted', async () => {
      const { writer, write, did } = stage;
      const external = { uri: 'https://live.example/cat', title: 'cat is live', description: '' };
      const embed = { $type: 'app.bsky.embed.external', external };
      const body = { status: 'app.bsky.actor.status#live', durationMinutes: 30, embed };
      const status = await write('cat', 'app.bsky.actor.status', body, 'self');
      await writer.settle();
      const shown = (await profileOf(stage, 'cat', 'ann')).status;
      expect(shown).toMatchObject({ uri: status.uri, status: body.status, isActive: true, embed: { external } });
      expect(Date.parse(shown!.expiresAt!)).toBeGreaterThan(Date.now());
      const [post] = await postsOf(stage, [await postBy('cat')], 'ann');
      expect(post?.author.status).toMatchObject({ isActive: true });
      expect((await profileOf(stage, 'dee', 'ann')).status).toBeUndefined();

      const subject = { $type: 'com.atproto.repo.strongRef', ...status };
      const method = 'com.atproto.admin.updateSubjectStatus';
      const takedown = { applied: true, ref: 'ref-live' };
      await stage.reader.adminProcedure(method, { subject, takedown });
      expect((await profileOf(stage, 'cat', 'ann')).status).toBeUndefined();
      expect((await profileOf(stage, 'cat', 'cat')).status).toMatchObject({ isDisabled: true });

      await writer.delete(status.uri);
      await writer.settle();
      expect((await profileOf(stage, 'cat', 'cat')).status).toBeUndefined();
      expect((await profileOf(stage, 'cat', 'cat')).did).toBe(did('cat'));
    });
  });

  describe('pinned posts', () => {
    it('show on the profile and come first in the feed', async () => {
      const { reader, writer, did } = stage;
      const pinned = await stage.post('dee', 'keep this up');
      const later = await stage.post('dee', 'something newer');
      await writer.put('dee', profile, 'self', { displayName: 'the dee', pinnedPost: pinned });
      await writer.settle();
      expect((await profileOf(stage, 'dee')).pinnedPost).toMatchObject(pinned);
      const params = { actor: did('dee'), limit: 2, includePins: true, filter: 'posts_no_replies' };
      const { feed } = await reader.query<{ feed: FeedItem[] }>('app.bsky.feed.getAuthorFeed', params, 'ann');
      expect(feed[0]).toMatchObject({ post: pinned, reason: { $type: 'app.bsky.feed.defs#reasonPin' } });
      expect(feed[1]?.post.uri).toBe(later.uri);
      expect((await postsOf(stage, [pinned, later], 'dee')).map((post) => post.viewer?.pinned)).toEqual([true, false]);
    });
  });

  describe('known followers', () => {
    it('are whom the viewer follows, blocked ones left out', async () => {
      const { writer, write, did } = stage;
      const follow = (by: Name, whom: Name) => write(by, 'app.bsky.graph.follow', { subject: did(whom) });
      for (const name of ['ann', 'ben', 'dee'] as const) await follow(name, 'fay');
      for (const name of ['ann', 'ben'] as const) await follow('eli', name);
      await writer.settle();
      const known = async (): Promise<string[]> => {
        const { viewer } = await profileOf(stage, 'fay', 'eli');
        return (viewer?.knownFollowers?.followers ?? []).map((follower) => follower.did).sort();
      };
      expect(await known()).toEqual([did('ann'), did('ben')].sort());
      expect((await profileOf(stage, 'fay', 'eli')).viewer?.knownFollowers?.count).toBe(2);
      const block = await write('ben', 'app.bsky.graph.block', { subject: did('fay') });
      await writer.settle();
      expect(await known()).toEqual([did('ann')]);
      await writer.delete(block.uri);
      await writer.settle();
      expect(await known()).toHaveLength(2);
    });
  });

  describe('tags of records', () => {
    it('move replies out of sight until they are cleared', async () => {
      const { reader, writer, operator, post, reply } = stage;
      const root = await post('fay', 'tell me');
      await writer.settle();
      const [odd, good] = [await reply('dee', root), await reply('eli', root)];
      await writer.settle();
      type Thread = AppBskyUnspeccedGetPostThreadV2.OutputSchema;
      const thread = (method: string): Promise<Thread> =>
        reader.query<Thread>(`app.bsky.unspecced.${method}`, { anchor: root.uri }, 'cat');
      expect(urisOf((await thread('getPostThreadV2')).thread)).toContain(odd.uri);
      await operator.tagRecord(odd.uri, ['hide-in-threads']);
      expect(urisOf((await thread('getPostThreadV2')).thread)).toEqual([root.uri, good.uri]);
      expect(urisOf((await thread('getPostThreadOtherV2')).thread)).toEqual([odd.uri]);
      const notices = urisOf(await noticesOf(stage, 'fay'));
      expect([odd, good].map(({ uri }) => notices.includes(uri))).toEqual([false, true]);
      await operator.tagRecord(odd.uri, []);
      expect(urisOf((await thread('getPostThreadV2')).thread)).toContain(odd.uri);
      expect(urisOf(await noticesOf(stage, 'fay'))).toContain(odd.uri);
    });
  });

  describe('age assurance', () => {
    it('is unknown until it begins, and then as it goes on', async () => {
      const { reader, writer, bsync, did } = stage;
      const state = async (): Promise<unknown> =>
        (await reader.query<{ state: unknown }>('app.bsky.ageassurance.getState', { countryCode: 'GB' }, 'dee')).state;
      expect(await state()).toEqual({ status: 'unknown', access: 'unknown' });
      const createdAt = new Date().toISOString();
      const events = [
        { key: '3kaaaaaaaaa2a', status: 'pending', access: 'unknown' },
        { key: '3kaaaaaaaaa2b', status: 'assured', access: 'full' },
      ];
      for (const { key, ...shown } of events) {
        const event = { attemptId: key, createdAt, countryCode: 'GB', ...shown };
        await bsync.put('CREATE', { actorDid: did('dee'), namespace: 'app.bsky.ageassurance.defs#event', key }, event);
        await writer.settle();
        expect(await state()).toEqual({ ...shown, lastInitiatedAt: createdAt });
        const older = await reader.query('app.bsky.unspecced.getAgeAssuranceState', {}, 'dee');
        expect(older).toEqual({ status: shown.status, lastInitiatedAt: createdAt });
      }
    });
  });

  async function postBy(name: Name): Promise<{ uri: string; cid: string }> {
    const written = await stage.post(name, 'on air');
    await stage.writer.settle();
    return written;
  }
}
