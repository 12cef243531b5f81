/** What users want to be told of: preferences, subscriptions, muted threads and priority. */
import type { AppBskyNotificationDefs } from '@atproto/api';
import { beforeAll, describe, expect, it } from 'vitest';
import { noticesOf, type Profile, postsOf, profileOf, urisOf } from './feature-reads.ts';
import type { FeatureStage, Name } from './feature-stage.ts';

type Preferences = AppBskyNotificationDefs.Preferences;

/** Declares the tests of what decides about notifications. */
export function preferenceTests(stage: FeatureStage): void {
  const call = async <Output = void>(method: string, input: Record<string, unknown>, by: Name): Promise<Output> => {
    const answer = await stage.reader.procedure<Output>(method, input, by);
    await stage.writer.settle();
    return answer;
  };
  const unreadOf = async (viewer: Name): Promise<number> =>
    (await stage.reader.query<{ count: number }>('app.bsky.notification.getUnreadCount', {}, viewer)).count;

  describe('notification preferences', () => {
    const preferences = async (viewer: Name): Promise<Preferences> => {
      const method = 'app.bsky.notification.getPreferences';
      return (await stage.reader.query<{ preferences: Preferences }>(method, {}, viewer)).preferences;
    };
    const put = (changes: Partial<Preferences>): Promise<{ preferences: Preferences }> =>
      call('app.bsky.notification.putPreferencesV2', changes, 'ann');

    it('want everything until they are set', async () => {
      expect(await preferences('ann')).toMatchObject({
        like: { include: 'all', list: true, push: true },
        verified: { list: true, push: true },
      });
    });

    it('are kept, each change beside what was set before', async () => {
      const like = { include: 'follows', list: false, push: true };
      const answer = await put({ like });
      expect(answer.preferences.like).toEqual(like);
      const starterpackJoined = { list: true, push: false };
      await put({ starterpackJoined });
      expect(await preferences('ann')).toMatchObject({ like, starterpackJoined, quote: { include: 'all' } });
      expect(await preferences('ben')).toMatchObject({ like: { include: 'all', list: true } });
    });
  });

  describe('activity subscriptions', () => {
    const subscribe = (to: Name, activitySubscription: { post: boolean; reply: boolean }): Promise<void> =>
      call('app.bsky.notification.putActivitySubscription', { subject: stage.did(to), activitySubscription }, 'ann');
    const subscriptions = async (): Promise<string[]> => {
      const method = 'app.bsky.notification.listActivitySubscriptions';
      const found = await stage.reader.all<Profile>(method, { limit: 1 }, 'subscriptions', 'ann');
      return found.map(({ did }) => did);
    };
    const stateOf = async (name: Name): Promise<unknown> =>
      (await profileOf(stage, name, 'ann')).viewer?.activitySubscription;

    beforeAll(async () => {
      for (const subject of ['cat', 'dee'] as const) {
        await stage.write('ann', 'app.bsky.graph.follow', { subject: stage.did(subject) });
      }
      await stage.writer.settle();
    });

    it('are listed, newest first, and show on the profile', async () => {
      await subscribe('cat', { post: true, reply: false });
      await subscribe('dee', { post: true, reply: true });
      expect(await subscriptions()).toEqual([stage.did('dee'), stage.did('cat')]);
      expect(await stateOf('cat')).toEqual({ post: true, reply: false });
      expect(await stateOf('ben')).toBeUndefined();
    });

    it('can be changed and ended', async () => {
      await subscribe('cat', { post: true, reply: true });
      expect(await stateOf('cat')).toEqual({ post: true, reply: true });
      await subscribe('dee', { post: false, reply: false });
      expect(await subscriptions()).toEqual([stage.did('cat')]);
      expect(await stateOf('dee')).toBeUndefined();
    });

    it('are up to who is subscribed to', async () => {
      const { writer } = stage;
      const associated = async (): Promise<unknown> =>
        (await profileOf(stage, 'cat', 'ann')).associated?.activitySubscription;
      expect(await associated()).toEqual({ allowSubscriptions: 'followers' });
      await writer.put('cat', 'app.bsky.notification.declaration', 'self', { allowSubscriptions: 'mutuals' });
      await writer.settle();
      expect(await associated()).toEqual({ allowSubscriptions: 'mutuals' });
      expect(await stateOf('cat')).toBeUndefined();
    });
  });

  describe('muted threads', () => {
    it('notify nobody until they are unmuted', async () => {
      const { writer, post, reply } = stage;
      const root = await post('ben', 'a busy thread');
      await writer.settle();
      const before = await reply('cat', root);
      await writer.settle();
      await call('app.bsky.graph.muteThread', { root: root.uri }, 'ben');
      const unread = await unreadOf('ben');
      const during = await reply('cat', root);
      await writer.settle();
      expect(await unreadOf('ben')).toBe(unread);
      const [shown, other] = [...(await postsOf(stage, [root], 'ben')), ...(await postsOf(stage, [root], 'ann'))];
      expect([shown?.viewer?.threadMuted, other?.viewer?.threadMuted]).toEqual([true, false]);
      await call('app.bsky.graph.unmuteThread', { root: root.uri }, 'ben');
      const after = await reply('cat', root);
      await writer.settle();
      expect(await unreadOf('ben')).toBe(unread + 1);
      const notices = urisOf(await noticesOf(stage, 'ben'));
      expect([before, during, after].map(({ uri }) => notices.includes(uri))).toEqual([true, false, true]);
      expect((await postsOf(stage, [root], 'ben'))[0]?.viewer?.threadMuted).toBe(false);
    });
  });

  describe('priority', () => {
    it('lists only notifications of whom the user follows', async () => {
      const { reader, writer, write, post, reply, did } = stage;
      const root = await post('dee', 'who answers?');
      await write('dee', 'app.bsky.graph.follow', { subject: did('cat') });
      await writer.settle();
      const [byCat, byFay] = [await reply('cat', root), await reply('fay', root)];
      await writer.settle();
      const shown = async (): Promise<boolean[]> => {
        const notices = urisOf(await noticesOf(stage, 'dee'));
        return [byCat, byFay].map(({ uri }) => notices.includes(uri));
      };
      expect(await shown()).toEqual([true, true]);
      await call('app.bsky.notification.putPreferences', { priority: true }, 'dee');
      expect(await shown()).toEqual([true, false]);
      const method = 'app.bsky.notification.listNotifications';
      expect(await reader.query(method, { limit: 1 }, 'dee')).toMatchObject({ priority: true });
      await call('app.bsky.notification.putPreferences', { priority: false }, 'dee');
      expect(await shown()).toEqual([true, true]);
    });
  });

  describe('seen notifications', () => {
    it('count no more, and later ones do', async () => {
      const { reader, writer, write, post } = stage;
      const subject = await post('fay', 'like me');
      await writer.settle();
      await write('cat', 'app.bsky.feed.like', { subject });
      await writer.settle();
      expect(await unreadOf('fay')).toBeGreaterThan(0);
      await reader.procedure('app.bsky.notification.updateSeen', { seenAt: new Date().toISOString() }, 'fay');
      expect(await unreadOf('fay')).toBe(0);
      const like = await write('dee', 'app.bsky.feed.like', { subject });
      await writer.settle();
      expect(await unreadOf('fay')).toBe(1);
      const [newest, older] = await noticesOf(stage, 'fay');
      expect(newest).toMatchObject({ uri: like.uri, reason: 'like', reasonSubject: subject.uri, isRead: false });
      expect(older?.isRead).toBe(true);
    });
  });
}
