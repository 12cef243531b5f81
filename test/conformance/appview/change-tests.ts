/** Blocks, notifications, and changes of handles, accounts, profiles and takedowns. */
import type {
  AppBskyActorDefs,
  AppBskyFeedDefs,
  AppBskyFeedGetPosts,
  AppBskyFeedGetPostThread,
  AppBskyNotificationGetUnreadCount,
  AppBskyNotificationListNotifications,
  ComAtprotoAdminGetSubjectStatus,
  ComAtprotoIdentityResolveHandle,
} from '@atproto/api';
import { describe, expect, it } from 'vitest';
import { didOf, type Member, type PostName, uriOf } from './scenario.ts';
import type { TestSubject } from './test-subject.ts';

type Profile = AppBskyActorDefs.ProfileViewDetailed;
type Notification = AppBskyNotificationListNotifications.Notification;

const updateSubjectStatus = 'com.atproto.admin.updateSubjectStatus';

/** Declares the tests of blocks. */
export function blockTests(subject: TestSubject): void {
  describe('blocks', () => {
    it('show on both sides', async () => {
      const { reader, scenario } = subject;
      const [bob, eve] = [didOf(scenario, 'bob'), didOf(scenario, 'eve')];
      const seenByBob = await reader.query<Profile>('app.bsky.actor.getProfile', { actor: eve }, 'bob');
      expect(seenByBob.viewer).toMatchObject({ blockedBy: true });
      const seenByEve = await reader.query<Profile>('app.bsky.actor.getProfile', { actor: bob }, 'eve');
      expect(seenByEve.viewer?.blocking).toMatch(new RegExp(`^at://${eve}/app.bsky.graph.block/`));
      const blocks = await reader.all<Profile>('app.bsky.graph.getBlocks', { limit: 1 }, 'blocks', 'eve');
      expect(blocks.map((profile) => profile.did)).toEqual([bob]);
    });

    it('close feeds and hide posts', async () => {
      const { reader, scenario } = subject;
      const [bob, eve] = [didOf(scenario, 'bob'), didOf(scenario, 'eve')];
      const feed = 'app.bsky.feed.getAuthorFeed';
      expect(await reader.refusal(feed, { actor: eve }, 'bob')).toBe('BlockedByActor');
      expect(await reader.refusal(feed, { actor: bob }, 'eve')).toBe('BlockedActor');
      const params = { uri: uriOf(scenario, 'eve hello') };
      const method = 'app.bsky.feed.getPostThread';
      const { thread } = await reader.query<AppBskyFeedGetPostThread.OutputSchema>(method, params, 'bob');
      expect(thread).toMatchObject({ blocked: true, uri: params.uri });
    });

    it('between others hide replies from everybody', async () => {
      const { reader, scenario } = subject;
      const params = { uri: uriOf(scenario, 'bob hello') };
      const method = 'app.bsky.feed.getPostThread';
      const { thread } = await reader.query<AppBskyFeedGetPostThread.OutputSchema>(method, params, 'carol');
      const replies = (thread as AppBskyFeedDefs.ThreadViewPost).replies as AppBskyFeedDefs.ThreadViewPost[];
      const shown = replies.filter((reply) => reply.post !== undefined).map((reply) => reply.post.uri);
      expect(shown).not.toContain(uriOf(scenario, 'eve answers bob'));
    });
  });
}

/** Declares the tests of notifications, which mark alice's as seen. */
export function notificationTests(subject: TestSubject): void {
  const list = (viewer: Member, limit: number): Promise<Notification[]> =>
    subject.reader.all<Notification>('app.bsky.notification.listNotifications', { limit }, 'notifications', viewer);
  const unread = async (viewer: Member): Promise<number> => {
    const method = 'app.bsky.notification.getUnreadCount';
    return (await subject.reader.query<AppBskyNotificationGetUnreadCount.OutputSchema>(method, {}, viewer)).count;
  };

  describe('notifications', () => {
    it('list replies, likes, reposts, quotes, mentions and follows, newest first', async () => {
      const { scenario } = subject;
      const seen = (await list('alice', 50)).map((notice) => [notice.reason, notice.author.did] as const);
      const did = (member: Member): string => didOf(scenario, member);
      expect(seen).toEqual([
        ['repost', did('dan')],
        ['like', did('carol')],
        ['like', did('bob')],
        ['quote', did('carol')],
        ['reply', did('carol')],
        ['reply', did('bob')],
        ['mention', did('dan')],
        ['follow', did('carol')],
        ['follow', did('bob')],
      ]);
      expect((await list('alice', 1)).map((notice) => notice.uri)).toHaveLength(seen.length);
    });

    it('name their subjects', async () => {
      const { scenario } = subject;
      const about = new Map((await list('alice', 50)).map((notice) => [notice.reason, notice.reasonSubject]));
      expect(about.get('repost')).toBe(uriOf(scenario, 'alice hello'));
      expect(about.get('quote')).toBe(uriOf(scenario, 'alice hello'));
      expect(about.get('follow')).toBeUndefined();
    });

    it('count as unread until they are seen', async () => {
      const { reader } = subject;
      expect(await unread('alice')).toBe(9);
      expect(await unread('dan')).toBe(1);
      const seenAt = new Date().toISOString();
      await reader.procedure('app.bsky.notification.updateSeen', { seenAt }, 'alice');
      expect(await unread('alice')).toBe(0);
      expect(await unread('dan')).toBe(1);
      expect((await list('alice', 50)).every((notice) => notice.isRead)).toBe(true);
    });
  });
}

/** Declares the tests of profiles, handles and accounts that change. */
export function accountTests(subject: TestSubject): void {
  describe('accounts', () => {
    it('can rename themselves', async () => {
      const { network, reader, scenario } = subject;
      const alice = didOf(scenario, 'alice');
      await scenario.seed.updateProfile(alice, { displayName: 'renamed', createdAt: new Date().toISOString() });
      await network.processAll();
      const seen = await reader.query<Profile>('app.bsky.actor.getProfile', { actor: alice });
      expect(seen.displayName).toBe('renamed');
      expect(seen.avatar).toBeUndefined();
    });

    it('can change their handle', async () => {
      const { network, reader, scenario } = subject;
      const [carol, handle] = [didOf(scenario, 'carol'), `${scenario.seed.prefix}caroline.test` as const];
      await scenario.seed.updateHandle(carol, handle);
      await network.processAll();
      const seen = await reader.query<Profile>('app.bsky.actor.getProfile', { actor: handle });
      expect(seen).toMatchObject({ did: carol, handle });
      const resolve = 'com.atproto.identity.resolveHandle';
      const resolved = await reader.query<ComAtprotoIdentityResolveHandle.OutputSchema>(resolve, { handle });
      expect(resolved.did).toBe(carol);
      const former = `${scenario.seed.prefix}carol.test`;
      expect(await reader.refusal('app.bsky.actor.getProfile', { actor: former })).toBe('InvalidRequest');
    });

    it('disappear while they are deactivated, and come back', async () => {
      const { network, reader, scenario } = subject;
      const dan = didOf(scenario, 'dan');
      const { agent } = scenario.seed;
      const headers = scenario.seed.getHeaders(dan);
      const followersOfBob = async (): Promise<string[]> => {
        const params = { actor: didOf(scenario, 'bob') };
        return (await reader.all<Profile>('app.bsky.graph.getFollowers', params, 'followers')).map((item) => item.did);
      };
      await agent.com.atproto.server.deactivateAccount({}, { headers, encoding: 'application/json' });
      await network.processAll();
      expect(await reader.refusal('app.bsky.actor.getProfile', { actor: dan })).toBe('AccountDeactivated');
      expect(await followersOfBob()).not.toContain(dan);
      await agent.com.atproto.server.activateAccount(undefined, { headers });
      await network.processAll();
      const seen = await reader.query<Profile>('app.bsky.actor.getProfile', { actor: dan });
      expect(seen).toMatchObject({ did: dan, postsCount: 1 });
      expect(await followersOfBob()).toContain(dan);
    });

    it('read through their PDS, which queries the AppView for them', async () => {
      const { scenario } = subject;
      const bob = didOf(scenario, 'bob');
      const headers = { ...scenario.seed.getHeaders(bob), 'atproto-proxy': `${subject.appViewDid}#bsky_appview` };
      const { data } = await scenario.seed.agent.app.bsky.feed.getTimeline({ limit: 50 }, { headers });
      expect(data.feed.map((item) => item.post.uri)).toContain(uriOf(scenario, 'alice hello'));
    });
  });
}

/** Declares the tests of takedowns, which restore everything at the end. */
export function takedownTests(subject: TestSubject): void {
  const setTakedown = (target: Record<string, unknown>, applied: boolean): Promise<void> => {
    const takedown = applied ? { applied, ref: 'ref-1' } : { applied };
    return subject.reader.adminProcedure(updateSubjectStatus, { subject: target, takedown });
  };
  const shownPosts = async (name: PostName): Promise<number> => {
    const params = { uris: [uriOf(subject.scenario, name)] };
    const answer = await subject.reader.query<AppBskyFeedGetPosts.OutputSchema>(
      'app.bsky.feed.getPosts',
      params,
      'bob',
    );
    return answer.posts.length;
  };
  const status = (params: Record<string, string>): Promise<ComAtprotoAdminGetSubjectStatus.OutputSchema> =>
    subject.reader.adminQuery('com.atproto.admin.getSubjectStatus', params);

  describe('takedowns', () => {
    it('of a record hide it from everybody, and can be undone', async () => {
      const { reader, scenario } = subject;
      const { uriStr: uri, cidStr: cid } = scenario.refs['alice picture'];
      const target = { $type: 'com.atproto.repo.strongRef', uri, cid };
      await setTakedown(target, true);
      expect(await shownPosts('alice picture')).toBe(0);
      expect(await reader.refusal('app.bsky.feed.getPostThread', { uri }, 'bob')).toBe('NotFound');
      expect((await status({ uri })).takedown).toMatchObject({ applied: true, ref: 'ref-1' });
      await setTakedown(target, false);
      expect(await shownPosts('alice picture')).toBe(1);
      expect((await status({ uri })).takedown).toMatchObject({ applied: false });
    });

    it('of an account hide it and its posts, and can be undone', async () => {
      const { reader, scenario } = subject;
      const did = didOf(scenario, 'alice');
      const target = { $type: 'com.atproto.admin.defs#repoRef', did };
      await setTakedown(target, true);
      expect(await reader.refusal('app.bsky.actor.getProfile', { actor: did }, 'bob')).toBe('AccountTakedown');
      expect(await shownPosts('alice hello')).toBe(0);
      expect((await status({ did })).takedown).toMatchObject({ applied: true, ref: 'ref-1' });
      await setTakedown(target, false);
      const seen = await reader.query<Profile>('app.bsky.actor.getProfile', { actor: did }, 'bob');
      expect(seen.did).toBe(did);
      expect(await shownPosts('alice hello')).toBe(1);
    });

    it('of a blob are stored, and can be undone', async () => {
      const { scenario } = subject;
      const did = didOf(scenario, 'bob');
      const blob = scenario.seed.profiles[did]!.avatar.cid;
      const target = { $type: 'com.atproto.admin.defs#repoBlobRef', did, cid: blob };
      expect((await status({ did, blob })).takedown).toMatchObject({ applied: false });
      await setTakedown(target, true);
      // The AppView shows this word, whatever the reference of the blob's takedown.
      expect((await status({ did, blob })).takedown).toMatchObject({ applied: true, ref: 'TAKEDOWN' });
      await setTakedown(target, false);
      expect((await status({ did, blob })).takedown).toMatchObject({ applied: false });
    });
  });
}
