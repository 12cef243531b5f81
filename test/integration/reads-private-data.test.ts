/** Private data: what is listed, found by its subject and counted, page by page. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { privateNamespace } from '../../src/atproto/private-namespace.ts';
import type { PrivateMethod } from '../../src/entry/entry.ts';
import { notificationInclude } from '../../src/proto/generated/bsky-service.ts';
import { cidOfText, didOf, pagesOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const [alice, bob, carol] = [didOf('alice'), didOf('bob'), didOf('carol')];
const limits = [1, 2, 7, 50];

function keyOf(index: number): string {
  return `3l${String(index + 100).padStart(11, '2')}`;
}

describe.each([{ slots: 1 }, { slots: 8 }])('private data over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
    for (const did of [alice, bob, carol]) network.identity(did, null);
  });
  afterEach(() => network[Symbol.asyncDispose]());

  function put(did: string, method: PrivateMethod, namespace: string, key: string, value: object | null): void {
    const payload = value === null ? '' : JSON.stringify({ ...value, $type: namespace });
    network.write(did, { type: 'private-data', method, namespace, key, payload });
  }

  function bookmark(did: string, key: string, subject: StrongRef, method: PrivateMethod = 'create'): void {
    put(did, method, privateNamespace.bookmark, key, { subject: { uri: subject.uri, cid: subject.cid } });
  }

  function subscribe(did: string, key: string, subject: string, method: PrivateMethod = 'create', reply = false): void {
    const value = { subject, activitySubscription: { post: true, reply } };
    put(did, method, privateNamespace.activitySubscription, key, value);
  }

  async function bookmarkCount({ uri }: StrongRef): Promise<number> {
    const { bookmarks } = await network.ask('GetInteractionCountsRequest', { refs: [{ uri, cid: '' }] });
    return bookmarks[0]!;
  }

  async function bookmarksOf(did: string, limit = 50) {
    const pages = await pagesOf(async (cursor) => {
      const answer = await network.ask('GetActorBookmarksRequest', { actorDid: did, limit, cursor });
      expect(answer.bookmarks.length).toBeLessThanOrEqual(limit);
      return { items: answer.bookmarks, cursor: answer.cursor };
    });
    return pages.flat();
  }

  it('lists bookmarks by key, the greatest first, and finds them by subject', async () => {
    const posts = Array.from({ length: 9 }, (_unused, index) => network.post(bob, `post ${index}`));
    for (const [index, post] of posts.entries()) bookmark(alice, keyOf(index), post);
    network.settle();
    const expected = posts.map(({ uri }, index) => ({ key: keyOf(index), subject: uri })).reverse();
    for (const limit of limits) expect(await bookmarksOf(alice, limit)).toEqual(expected);
    expect(await bookmarksOf(bob)).toEqual([]);
    expect(await bookmarksOf(didOf('nobody'))).toEqual([]);
    const gone = `at://${bob}/app.bsky.feed.post/gone`;
    const uris = [posts[3]!.uri, gone, posts[3]!.uri, 'no uri', ''];
    const { bookmarks } = await network.ask('GetBookmarksByActorAndSubjectsRequest', { actorDid: alice, uris });
    const empty = { ref: undefined, subjectUri: '', subjectCid: '', indexedAt: undefined };
    const ref = { actorDid: alice, namespace: privateNamespace.bookmark, key: keyOf(3) };
    const found = { ref, subjectUri: posts[3]!.uri, subjectCid: posts[3]!.cid, indexedAt: expect.any(Number) };
    expect(bookmarks).toEqual([found, empty, found, empty, empty]);
    expect(await network.ask('GetBookmarksByActorAndSubjectsRequest', { actorDid: alice, uris: [] })).toEqual({
      bookmarks: [],
    });
  });

  it('counts each actor’s one bookmark of a post, whatever is repeated, moved or unreadable', async () => {
    const post = network.post(bob, 'one');
    bookmark(alice, keyOf(1), post);
    bookmark(alice, keyOf(1), post);
    bookmark(alice, keyOf(2), post);
    bookmark(carol, keyOf(1), post);
    bookmark(carol, keyOf(5), { uri: 'at://handle.test/app.bsky.feed.post/x', cid: cidOfText('x') });
    put(carol, 'create', privateNamespace.bookmark, keyOf(6), { subject: 'nothing' });
    network.settle();
    expect(await bookmarkCount(post)).toBe(2);
    expect(await bookmarksOf(alice)).toEqual([{ key: keyOf(1), subject: post.uri }]);
    expect(await bookmarksOf(carol)).toEqual([{ key: keyOf(1), subject: post.uri }]);
    put(alice, 'delete', privateNamespace.bookmark, keyOf(2), null);
    network.settle();
    expect(await bookmarkCount(post)).toBe(2);
    put(alice, 'delete', privateNamespace.bookmark, keyOf(1), null);
    put(alice, 'delete', privateNamespace.bookmark, keyOf(1), null);
    network.settle();
    expect(await bookmarkCount(post)).toBe(1);
    expect(await bookmarksOf(alice)).toEqual([]);
    bookmark(alice, keyOf(7), post);
    network.settle();
    expect(await bookmarkCount(post)).toBe(2);
  });

  it('lists drafts by their last update, keeps when they were created, and counts them', async () => {
    const draft = (key: string, method: PrivateMethod, text: string): void =>
      put(alice, method, privateNamespace.draft, key, { id: key, draft: { posts: [{ text }] } });
    for (let index = 0; index < 9; index++) draft(keyOf(index), 'create', `draft ${index} “é”`);
    network.settle();
    draft(keyOf(2), 'update', 'changed');
    draft(keyOf(20), 'update', 'was never created');
    draft(keyOf(3), 'create', 'was created already');
    put(alice, 'delete', privateNamespace.draft, keyOf(4), null);
    network.settle();
    const order = [2, 8, 7, 6, 5, 3, 1, 0].map(keyOf);
    for (const limit of limits) {
      const pages = await pagesOf(async (cursor) => {
        const answer = await network.ask('GetActorDraftsRequest', { actorDid: alice, limit, cursor });
        return { items: answer.drafts, cursor: answer.cursor };
      });
      const drafts = pages.flat();
      expect(drafts.map(({ key }) => key)).toEqual(order);
      const texts = drafts.map(({ payload }) => JSON.parse(Buffer.from(payload).toString()).draft.posts[0].text);
      expect(texts.slice(0, 2)).toEqual(['changed', 'draft 8 “é”']);
      expect(drafts[0]!.updatedAt!).toBeGreaterThan(drafts[0]!.createdAt!);
      expect(drafts[1]!.updatedAt).toBe(drafts[1]!.createdAt);
    }
    const { drafts } = await network.ask('GetCountsForUsersRequest', { dids: [alice, bob] });
    expect(drafts).toEqual([8, 0]);
  });

  it('lists and finds subscriptions to activity; an update changes what of, never of whom', async () => {
    const subjects = Array.from({ length: 9 }, (_unused, index) => didOf(`star${'abcdefghi'[index]}`));
    for (const [index, subject] of subjects.entries()) subscribe(alice, keyOf(index), subject);
    subscribe(alice, keyOf(50), subjects[0]!);
    subscribe(alice, keyOf(1), subjects[1]!, 'update', true);
    subscribe(alice, keyOf(2), bob, 'update');
    put(alice, 'delete', privateNamespace.activitySubscription, keyOf(3), null);
    network.settle();
    const expected = subjects.filter((_subject, index) => index !== 3).reverse();
    for (const limit of limits) {
      const pages = await pagesOf(async (cursor) => {
        const answer = await network.ask('GetActivitySubscriptionDidsRequest', { actorDid: alice, limit, cursor });
        return { items: answer.dids, cursor: answer.cursor };
      });
      expect(pages.flat()).toEqual(expected);
    }
    const subjectDids = [subjects[0]!, subjects[1]!, subjects[3]!, bob, 'x'];
    const answer = await network.ask('GetActivitySubscriptionsByActorAndSubjectsRequest', {
      actorDid: alice,
      subjectDids,
    });
    const namespace = privateNamespace.activitySubscription;
    const none = { actorDid: alice, namespace, key: '', subjectDid: '', post: undefined, reply: undefined };
    expect(answer.subscriptions).toEqual([
      { ...none, key: keyOf(0), subjectDid: subjects[0], post: {} },
      { ...none, key: keyOf(1), subjectDid: subjects[1], post: {}, reply: {} },
      none,
      none,
      none,
    ]);
  });

  it('gives preferences their defaults where they say nothing, and none to whom has none', async () => {
    const like = { include: 'follows', list: false, push: true };
    put(alice, 'update', privateNamespace.preferences, 'self', { like, verified: { push: false } });
    put(bob, 'create', privateNamespace.preferences, 'self', {});
    put(bob, 'create', privateNamespace.preferences, 'other', { like });
    put(bob, 'update', privateNamespace.preferences, 'self', { like });
    network.settle();
    const dids = [carol, alice, didOf('nobody'), bob];
    const { preferences } = await network.ask('GetNotificationPreferencesRequest', { dids });
    expect(preferences).toHaveLength(4);
    expect(preferences[0]).toMatchObject({ like: undefined });
    expect(preferences[0]!.entry).toHaveLength(0);
    expect(preferences[2]).toEqual(preferences[0]);
    const [on, off] = [{ enabled: true }, { enabled: false }];
    expect(preferences[1]).toMatchObject({
      like: { include: notificationInclude.FOLLOWS, list: off, push: on },
      reply: { include: notificationInclude.ALL, list: on, push: on },
      verified: { list: on, push: off },
    });
    expect(JSON.parse(Buffer.from(preferences[1]!.entry).toString())).toMatchObject({ like });
    expect(preferences[3]!.like).toEqual(preferences[1]!.like);
  });

  it('refuses page tokens that are not ours, and answers a limit of 0 with nothing', async () => {
    bookmark(alice, keyOf(1), network.post(bob, 'one'));
    network.settle();
    const asked = { actorDid: alice, limit: 5, cursor: '?' };
    const refused = { code: 'InvalidArgument' };
    await expect(network.ask('GetActorBookmarksRequest', asked)).rejects.toMatchObject(refused);
    await expect(network.ask('GetActorDraftsRequest', asked)).rejects.toMatchObject(refused);
    await expect(network.ask('GetActivitySubscriptionDidsRequest', asked)).rejects.toMatchObject(refused);
    const nothing = { ...asked, limit: 0, cursor: '' };
    expect(await network.ask('GetActorBookmarksRequest', nothing)).toEqual({ bookmarks: [], cursor: '' });
  });

  it('erases what was there of one kind, in steps, and nothing that comes later', async () => {
    const posts = Array.from({ length: 300 }, (_unused, index) => network.post(bob, `post ${index}`));
    for (const [index, post] of posts.entries()) bookmark(alice, keyOf(index), post);
    put(alice, 'create', privateNamespace.draft, keyOf(1), { id: keyOf(1) });
    network.write(alice, { type: 'erase', kind: 'bookmarks' });
    // While most still wait to be erased: one of the same key, one of the same subject, a new one.
    bookmark(alice, keyOf(299), posts[299]!);
    bookmark(alice, keyOf(350), posts[297]!);
    bookmark(alice, keyOf(400), network.post(bob, 'new'));
    network.settle();
    expect((await bookmarksOf(alice)).map(({ key }) => key)).toEqual([keyOf(400), keyOf(350), keyOf(299)]);
    expect(await bookmarkCount(posts[297]!)).toBe(1);
    expect(await bookmarkCount(posts[298]!)).toBe(0);
    expect(await bookmarkCount(posts[299]!)).toBe(1);
    expect((await network.ask('GetActorDraftsRequest', { actorDid: alice, limit: 5 })).drafts).toHaveLength(1);
    network.write(alice, { type: 'erase', kind: 'private-data' });
    network.settle();
    expect(await bookmarksOf(alice)).toEqual([]);
    expect((await network.ask('GetActorDraftsRequest', { actorDid: alice, limit: 5 })).drafts).toEqual([]);
    expect((await network.ask('GetCountsForUsersRequest', { dids: [alice] })).drafts).toEqual([0]);
  });

  describe('threads that are muted', () => {
    const notices = async (did: string): Promise<(readonly [string, string])[]> => {
      const request = { actorDid: did, limit: 50 };
      const { notifications } = await network.ask('GetNotificationsRequest', request);
      return notifications.map(({ uri, reason }) => [uri, reason] as const);
    };
    const unread = async (did: string): Promise<number> =>
      (await network.ask('GetUnreadNotificationCountRequest', { actorDid: did })).count;

    function mute(did: string, { uri }: StrongRef, present = true): void {
      const [owner, collection, rkey] = uri.slice(5).split('/') as [string, string, string];
      const root = { did: owner, collection, rkey };
      network.write(did, { type: present ? 'thread-mute' : 'thread-unmute', root });
      network.settle();
    }

    it('are named by their roots, until they are unmuted or cleared', async () => {
      const [one, two, three] = [network.post(bob, '1'), network.post(bob, '2'), network.post(bob, '3')];
      mute(alice, one);
      mute(alice, two);
      const threadRoots = [one.uri, three.uri, two.uri, one.uri, 'x', ''];
      const request = { actorDid: alice, threadRoots };
      const ask = async () => (await network.ask('GetThreadMutesOnSubjectsRequest', request)).muted;
      expect(await ask()).toEqual([true, false, true, true, false, false]);
      mute(alice, one, false);
      expect(await ask()).toEqual([false, false, true, false, false, false]);
      network.write(alice, { type: 'clear-thread-mutes' });
      network.settle();
      expect(await ask()).toEqual([false, false, false, false, false, false]);
    });

    it('hide what comes of them while they are muted, and nothing else', async () => {
      const root = network.post(bob, 'root');
      const mine = network.reply(alice, 'mine', root);
      const other = network.post(alice, 'other');
      network.settle();
      const before = network.reply(carol, 'before', root, mine);
      network.settle();
      mute(alice, root);
      const hidden = [network.reply(carol, 'hidden', root, mine), network.like(carol, mine), network.repost(bob, mine)];
      const quote = network.post(bob, 'q', { embed: { $type: 'app.bsky.embed.record', record: mine } });
      const like = network.like(carol, other);
      const follow = network.follow(carol, alice);
      network.settle();
      const shown = [
        [follow.uri, 'follow'],
        [like.uri, 'like'],
        [before.uri, 'reply'],
      ];
      expect(await notices(alice)).toEqual(shown);
      expect(await unread(alice)).toBe(3);
      mute(alice, root, false);
      expect(await notices(alice)).toEqual(shown);
      const after = network.reply(carol, 'after', root, mine);
      for (const record of [...hidden, quote]) network.delete(record);
      network.settle();
      expect(await notices(alice)).toEqual([[after.uri, 'reply'], ...shown]);
      expect(await unread(alice)).toBe(4);
    });

    it('hide a post by the highest of its reasons alone', async () => {
      const [muted, other] = [network.post(alice, 'muted'), network.post(alice, 'other')];
      mute(alice, muted);
      const facets = [
        { index: { byteStart: 0, byteEnd: 1 }, features: [{ $type: 'app.bsky.richtext.facet#mention', did: alice }] },
      ];
      const reply = { root: muted, parent: muted };
      const embedOf = (record: StrongRef) => ({ $type: 'app.bsky.embed.record', record });
      const mention = network.post(bob, 'x', { facets, reply });
      const quoted = network.post(bob, 'x', { embed: embedOf(other), reply });
      network.post(bob, 'x', { embed: embedOf(muted), reply: { root: other, parent: other } });
      network.settle();
      expect(await notices(alice)).toEqual([
        [quoted.uri, 'quote'],
        [mention.uri, 'mention'],
      ]);
      expect(await unread(alice)).toBe(2);
    });
  });

  it('shows that an actor asks for notifications of those it follows alone', async () => {
    const isPriority = async (): Promise<boolean> =>
      (await network.ask('GetActorsRequest', { dids: [alice] })).actors[0]!.priorityNotifications;
    network.like(bob, network.post(alice, 'one'));
    network.settle();
    expect(await isPriority()).toBe(false);
    network.write(alice, { type: 'notification-priority', isPriority: true });
    network.settle();
    expect(await isPriority()).toBe(true);
    // One who never looked has seen everything by then, as on the official plane.
    expect((await network.ask('GetUnreadNotificationCountRequest', { actorDid: alice })).count).toBe(0);
    network.write(alice, { type: 'notification-priority', isPriority: false });
    network.settle();
    expect(await isPriority()).toBe(false);
  });
});
