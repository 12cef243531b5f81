/** Reads of records, counts, actors and takedowns by item, in the order asked. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { didOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const [alice, bob, carol] = [didOf('alice'), didOf('bob'), didOf('carol')];
const absent = { cid: '', createdAt: undefined, indexedAt: undefined, sortedAt: undefined, takenDown: false };

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

describe.each([{ slots: 1 }, { slots: 8 }])('records and counts over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
  });
  afterEach(() => network[Symbol.asyncDispose]());

  it('returns posts with their text, cid and times, absent ones as null, in the order asked', async () => {
    const createdAt = new Date(network.timeMs - 5_000).toISOString();
    const indexedAt = network.timeMs;
    const post = network.put(alice, 'app.bsky.feed.post', { text: 'héllo 🦋', createdAt });
    const odd = network.put(bob, 'app.bsky.feed.post', { text: 'odd key', createdAt: network.now }, 'not-a-tid');
    network.settle();
    const missing = `at://${alice}/app.bsky.feed.post/3kaaaaaaaaaaa`;
    const uris = [
      odd.uri,
      missing,
      post.uri,
      `at://${didOf('nobody')}/app.bsky.feed.post/3kaaaaaaaaaaa`,
      post.uri,
      'at://x',
    ];
    const { records, meta } = await network.ask('GetPostRecordsRequest', { uris });
    expect(meta).toHaveLength(6);
    expect(records.map(({ cid }) => cid)).toEqual([odd.cid, '', post.cid, '', post.cid, '']);
    expect(records[1]).toMatchObject(absent);
    expect(textOf(records[1]!.record)).toBe('null');
    expect(JSON.parse(textOf(records[2]!.record))).toEqual({
      $type: 'app.bsky.feed.post',
      text: 'héllo 🦋',
      createdAt,
    });
    expect(records[2]).toMatchObject({ createdAt: Date.parse(createdAt), indexedAt, sortedAt: Date.parse(createdAt) });
    expect(JSON.parse(textOf(records[0]!.record))).toMatchObject({ text: 'odd key' });
  });

  it('returns likes, reposts, follows and blocks as they were written', async () => {
    const post = network.post(alice, 'one');
    const like = network.like(bob, post);
    const repost = network.repost(bob, post, { via: { uri: 'at://did:plc:x/app.bsky.feed.repost/1', cid: post.cid } });
    const follow = network.follow(bob, alice);
    const block = network.block(bob, carol);
    const second = network.like(bob, post);
    network.settle();
    const ask = async (
      name: 'GetLikeRecordsRequest' | 'GetRepostRecordsRequest' | 'GetFollowRecordsRequest' | 'GetBlockRecordsRequest',
      ref: StrongRef,
    ) => {
      const { records } = await network.ask(name, { uris: [ref.uri] });
      expect(records[0]!.cid).toBe(ref.cid);
      return JSON.parse(textOf(records[0]!.record));
    };
    expect(await ask('GetLikeRecordsRequest', like)).toMatchObject({ $type: 'app.bsky.feed.like', subject: post });
    expect(await ask('GetLikeRecordsRequest', second)).toMatchObject({ $type: 'app.bsky.feed.like', subject: post });
    expect(await ask('GetRepostRecordsRequest', repost)).toMatchObject({ subject: post, via: { cid: post.cid } });
    expect(await ask('GetFollowRecordsRequest', follow)).toMatchObject({ subject: alice });
    expect(await ask('GetBlockRecordsRequest', block)).toMatchObject({ subject: carol });
  });

  it('returns nothing of another collection and nothing deleted', async () => {
    const post = network.post(alice, 'one');
    const gone = network.post(alice, 'two');
    network.delete(gone);
    network.settle();
    const { records } = await network.ask('GetPostRecordsRequest', { uris: [gone.uri] });
    expect(textOf(records[0]!.record)).toBe('null');
    const { records: lists } = await network.ask('GetListRecordsRequest', { uris: [post.uri] });
    expect(textOf(lists[0]!.record)).toBe('null');
  });

  it('reports which records, blobs and actors are taken down, and by which reference', async () => {
    const post = network.post(alice, 'one');
    network.profile(bob, 'bob.test');
    const [, , rkey] = post.uri.slice(5).split('/') as [string, string, string];
    network.write(alice, { type: 'record-takedown', collection: 'app.bsky.feed.post', rkey, ref: 'REF-1' });
    network.write(alice, { type: 'blob-takedown', cid: 'bafkreiblob', ref: 'REF-2' });
    network.write(bob, { type: 'actor-takedown', ref: 'REF-3' });
    network.settle();
    const { records } = await network.ask('GetPostRecordsRequest', { uris: [post.uri] });
    expect(records[0]).toMatchObject({ takenDown: true, takedownRef: 'REF-1', cid: post.cid });
    expect(await network.ask('GetRecordTakedownRequest', { recordUri: post.uri })).toMatchObject({
      takenDown: true,
      takedownRef: 'REF-1',
    });
    expect(await network.ask('GetBlobTakedownRequest', { did: alice, cid: 'bafkreiblob' })).toMatchObject({
      takenDown: true,
      takedownRef: 'REF-2',
    });
    expect(await network.ask('GetBlobTakedownRequest', { did: alice, cid: 'bafkreiother' })).toMatchObject({
      takenDown: false,
      takedownRef: '',
    });
    expect(await network.ask('GetActorTakedownRequest', { did: bob })).toMatchObject({
      takenDown: true,
      takedownRef: 'REF-3',
    });
    network.write(bob, { type: 'actor-takedown', ref: null });
    network.settle();
    expect(await network.ask('GetActorTakedownRequest', { did: bob })).toMatchObject({
      takenDown: false,
      takedownRef: '',
    });
  });

  it('counts likes, reposts, replies and quotes once a subject, and not what is deleted', async () => {
    const post = network.post(alice, 'one');
    const other = network.post(alice, 'two');
    const like = network.like(bob, post);
    network.like(bob, post);
    network.like(carol, post);
    const repost = network.repost(carol, post);
    network.reply(bob, 'reply', post);
    network.post(bob, 'quote', { embed: { $type: 'app.bsky.embed.record', record: post } });
    network.settle();
    const refs = [other, post, { uri: 'at://nowhere', cid: '' }].map(({ uri, cid }) => ({ uri, cid }));
    const ask = () => network.ask('GetInteractionCountsRequest', { refs });
    expect(await ask()).toEqual({
      likes: [0, 2, 0],
      reposts: [0, 1, 0],
      replies: [0, 1, 0],
      quotes: [0, 1, 0],
      bookmarks: [0, 0, 0],
    });
    network.delete(like);
    network.delete(repost);
    network.settle();
    // Bob's second like replaces the first.
    expect(await ask()).toMatchObject({ likes: [0, 2, 0], reposts: [0, 0, 0] });
    expect(await network.ask('GetCountsForUsersRequest', { dids: [didOf('nobody'), alice, bob] })).toMatchObject({
      posts: [0, 2, 2],
      following: [0, 0, 0],
      followers: [0, 0, 0],
      drafts: [0, 0, 0],
    });
  });

  it('returns actors with their records, and defaults for unknown ones', async () => {
    const profile = network.profile(alice, 'alice.test');
    network.put(
      alice,
      'app.bsky.actor.status',
      { status: 'app.bsky.actor.status#live', createdAt: network.now },
      'self',
    );
    network.put(alice, 'chat.bsky.actor.declaration', { allowIncoming: 'none' }, 'self');
    network.put(alice, 'app.bsky.notification.declaration', { allowSubscriptions: 'mutuals' }, 'self');
    network.put(alice, 'app.bsky.labeler.service', { policies: { labelValues: [] }, createdAt: network.now }, 'self');
    network.account(bob, false, 'deactivated');
    network.settle();
    const request = { dids: [didOf('nobody'), alice, bob], returnAgeAssuranceForDids: [bob] };
    const [nobody, first, second] = (await network.ask('GetActorsRequest', request)).actors;
    expect(nobody).toMatchObject({
      exists: false,
      handle: '',
      allowActivitySubscriptionsFrom: 'followers',
      labeler: false,
    });
    expect(textOf(nobody!.profile!.record)).toBe('null');
    expect(first).toMatchObject({
      exists: true,
      handle: 'alice.test',
      labeler: true,
      allowIncomingChatsFrom: 'none',
      allowActivitySubscriptionsFrom: 'mutuals',
      upstreamStatus: '',
      takenDown: false,
      ageAssuranceStatus: undefined,
    });
    expect(first!.profile!.cid).toBe(profile.cid);
    expect(first!.createdAt).toBe(first!.profile!.createdAt);
    expect(JSON.parse(textOf(first!.statusRecord!.record))).toMatchObject({ status: 'app.bsky.actor.status#live' });
    expect(textOf(first!.germRecord!.record)).toBe('null');
    expect(second).toMatchObject({
      exists: true,
      handle: '',
      upstreamStatus: 'deactivated',
      ageAssuranceStatus: { status: 'unknown', access: 'unknown' },
    });
  });

  it('returns actors as they are after each change, although cached', async () => {
    network.profile(alice, 'alice.test');
    network.settle();
    const info = async () => (await network.ask('GetActorsRequest', { dids: [alice] })).actors[0]!;
    expect(await info()).toMatchObject({ handle: 'alice.test', takenDown: false, labeler: false, upstreamStatus: '' });
    network.write(alice, { type: 'actor-takedown', ref: 'REF' });
    network.settle();
    expect(await info()).toMatchObject({ takenDown: true, takedownRef: 'REF' });
    network.write(alice, { type: 'record-takedown', collection: 'app.bsky.actor.profile', rkey: 'self', ref: 'REF-2' });
    network.write(alice, { type: 'upstream-status', status: 'suspended' });
    network.settle();
    expect(await info()).toMatchObject({
      upstreamStatus: 'suspended',
      profile: { takenDown: true, takedownRef: 'REF-2' },
    });
    const service = network.put(alice, 'app.bsky.labeler.service', { policies: {}, createdAt: network.now }, 'self');
    network.settle();
    expect(await info()).toMatchObject({ labeler: true });
    network.delete(service);
    network.delete({ uri: `at://${alice}/app.bsky.actor.profile/self` });
    network.identity(bob, 'alice.test');
    network.settle();
    expect(await info()).toMatchObject({ labeler: false, handle: '' });
    expect(textOf((await info()).profile!.record)).toBe('null');
  });

  it('finds the DID of a handle, and the rev, identity and seen time of an actor', async () => {
    network.profile(alice, 'alice.test');
    network.identity(bob, 'bob.test');
    network.settle();
    const { dids } = await network.ask('GetDidsByHandlesRequest', {
      handles: ['bob.test', 'nobody.test', 'Alice.test', 'x'.repeat(400)],
    });
    expect(dids).toEqual([bob, '', alice, '']);
    expect((await network.ask('GetLatestRevRequest', { actorDid: alice })).rev).toBe(network.revOf(alice));
    expect((await network.ask('GetLatestRevRequest', { actorDid: carol })).rev).toBe('');
    network.identity(bob, 'alice.test');
    network.settle();
    expect((await network.ask('GetDidsByHandlesRequest', { handles: ['alice.test', 'bob.test'] })).dids).toEqual([
      bob,
      '',
    ]);
  });
});
