/** Notifications: which are listed and counted, in which order, page by page. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Notification } from '../../src/proto/generated/bsky-service.ts';
import { didOf, pagesOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob, carol, dave] = [didOf('alice'), didOf('bob'), didOf('carol'), didOf('dave')];

describe.each([{ slots: 1 }, { slots: 8 }])('notifications over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
    for (const [index, did] of [alice, bob, carol, dave].entries()) network.identity(did, `actor${index}.test`);
  });
  afterEach(() => network[Symbol.asyncDispose]());

  async function list(did: string, limit = 50, priority = false): Promise<Notification[]> {
    const pages = await pagesOf(async (cursor) => {
      const answer = await network.ask('GetNotificationsRequest', { actorDid: did, limit, cursor, priority });
      // The AppView would parse a date, and lose what follows its millisecond.
      if (answer.cursor !== '') expect(Date.parse(answer.cursor)).toBeNaN();
      return { items: answer.notifications, cursor: answer.cursor };
    });
    return pages.flat();
  }

  async function unread(did: string): Promise<number> {
    return (await network.ask('GetUnreadNotificationCountRequest', { actorDid: did })).count;
  }

  it('lists actions of others, newest first, and none of one’s own', async () => {
    const post = network.post(alice, 'one');
    network.like(alice, post);
    const like = network.like(bob, post);
    const repost = network.repost(carol, post);
    const viaLike = network.like(dave, post, { via: { uri: repost.uri, cid: repost.cid } });
    const follow = network.follow(bob, alice);
    const reply = network.reply(bob, 'reply', post);
    network.settle();
    const found = await list(alice);
    expect(found.map(({ uri, reason, reasonSubject }) => [uri, reason, reasonSubject])).toEqual([
      [reply.uri, 'reply', post.uri],
      [follow.uri, 'follow', ''],
      [viaLike.uri, 'like', post.uri],
      [repost.uri, 'repost', post.uri],
      [like.uri, 'like', post.uri],
    ]);
    expect(found.every(({ recipientDid, timestamp }) => recipientDid === alice && timestamp !== undefined)).toBe(true);
    expect((await list(carol)).map(({ uri, reason, reasonSubject }) => [uri, reason, reasonSubject])).toEqual([
      [viaLike.uri, 'like-via-repost', repost.uri],
    ]);
    expect(await unread(alice)).toBe(5);
  });

  it('keeps one notice per post, with the highest reason, as reasons come and go', async () => {
    const post = network.post(alice, 'one');
    const facets = [
      { index: { byteStart: 0, byteEnd: 1 }, features: [{ $type: 'app.bsky.richtext.facet#mention', did: alice }] },
    ];
    const both = network.post(bob, 'x', {
      facets,
      reply: { root: post, parent: post },
      embed: { $type: 'app.bsky.embed.record', record: post },
    });
    network.settle();
    expect((await list(alice)).map(({ uri, reason }) => [uri, reason])).toEqual([[both.uri, 'mention']]);
    network.delete(both);
    network.settle();
    expect(await list(alice)).toEqual([]);
    expect(await unread(alice)).toBe(0);
  });

  it('lists no notice about a record that is gone, and still counts it', async () => {
    const post = network.post(alice, 'one');
    network.like(bob, post);
    network.delete(post);
    network.settle();
    expect(await list(alice)).toEqual([]);
    expect(await unread(alice)).toBe(1);
  });

  it('counts only what is newer than the seen time and not taken down', async () => {
    const post = network.post(alice, 'one');
    network.like(bob, post);
    const seenMs = network.timeMs;
    const reply = network.reply(carol, 'seen at the same time', post);
    const later = network.reply(carol, 'later', post);
    network.write(alice, { type: 'notification-seen', seenMs });
    network.settle();
    expect((await network.ask('GetNotificationSeenRequest', { actorDid: alice })).timestamp).toBe(seenMs);
    expect((await network.ask('GetNotificationSeenRequest', { actorDid: bob })).timestamp).toBeUndefined();
    expect(await unread(alice)).toBe(1);
    const rkey = later.uri.split('/').at(-1)!;
    network.write(carol, { type: 'record-takedown', collection: 'app.bsky.feed.post', rkey, ref: 'REF' });
    network.settle();
    expect(await unread(alice)).toBe(0);
    expect((await list(alice)).map(({ uri }) => uri).slice(0, 2)).toEqual([later.uri, reply.uri]);
    expect(await unread(didOf('nobody'))).toBe(0);
  });

  it('marks authors that the recipient follows, and lists only those on request', async () => {
    const post = network.post(alice, 'one');
    network.follow(alice, carol);
    const byBob = network.like(bob, post);
    const byCarol = network.like(carol, post);
    network.settle();
    expect((await list(alice)).map(({ uri, priority }) => [uri, priority])).toEqual([
      [byCarol.uri, true],
      [byBob.uri, false],
    ]);
    expect((await list(alice, 50, true)).map(({ uri }) => uri)).toEqual([byCarol.uri]);
    expect((await list(alice, 1, true)).map(({ uri }) => uri)).toEqual([byCarol.uri]);
  });

  it('neither loses nor repeats notices of one millisecond, whatever the page size', async () => {
    const start = network.timeMs;
    const posts = Array.from({ length: 10 }, (_unused, index) => network.post(alice, `post ${index}`));
    const likes: string[] = [];
    for (let index = 0; index < 30; index++) {
      network.timeMs = start + 60_000 + Math.floor(index / 4);
      likes.push(network.like([bob, carol, dave][index % 3]!, posts[index % 10]!).uri);
    }
    network.settle();
    for (const limit of [1, 3, 50]) {
      const found = (await list(alice, limit)).map(({ uri }) => uri);
      expect(found).toHaveLength(30);
      expect(new Set(found)).toEqual(new Set(likes));
    }
    const { notifications } = await network.ask('GetNotificationsRequest', { actorDid: alice, limit: 3 });
    expect(notifications).toHaveLength(3);
  });

  it('starts before the time in the cursor, and refuses what is no time', async () => {
    const post = network.post(alice, 'one');
    const like = network.like(bob, post);
    const cursor = network.now;
    network.like(carol, post);
    network.settle();
    const { notifications } = await network.ask('GetNotificationsRequest', { actorDid: alice, limit: 10, cursor });
    expect(notifications.map(({ uri }) => uri)).toEqual([like.uri]);
    await expect(
      network.ask('GetNotificationsRequest', { actorDid: alice, limit: 10, cursor: 'x' }),
    ).rejects.toMatchObject({ code: 'InvalidArgument' });
    expect(await network.ask('GetNotificationsRequest', { actorDid: alice, limit: 0 })).toEqual({
      notifications: [],
      cursor: '',
    });
  });
});
