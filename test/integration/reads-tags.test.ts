/** Tags that operators give to records and actors. */

import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nsid } from '../../src/atproto/collection.ts';
import { parseRecordUri } from '../../src/atproto/compact-key.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import { didOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const [alice, bob] = [didOf('alice'), didOf('bob')];

describe.each([{ slots: 1 }, { slots: 8 }])('tags over $slots slots', ({ slots }) => {
  let reads: RoutedNetwork;
  beforeEach(() => {
    reads = new RoutedNetwork(new ReadsNetwork({ slots }));
  });
  afterEach(() => reads[Symbol.asyncDispose]());

  function tag({ uri }: StrongRef, ...tags: readonly string[]): void {
    const { did, collection, rkey } = parseRecordUri(uri)!;
    reads.network.write(did, { type: 'record-tags', collection, rkey, tags });
    reads.network.settle();
  }

  async function tagsOf({ uri }: StrongRef): Promise<readonly string[]> {
    // Twice, so that the second may come from a cache.
    await reads.ask('GetPostRecords', { uris: [uri] });
    return (await reads.ask('GetPostRecords', { uris: [uri] })).records[0]!.tags;
  }

  it('of a record are replaced, stay when it is updated or taken down, and go with it', async () => {
    const post = reads.network.post(alice, 'one');
    const other = reads.network.post(alice, 'two');
    tag(post, 'rank:1', 'hide');
    expect(await tagsOf(post)).toEqual(['rank:1', 'hide']);
    expect(await tagsOf(other)).toEqual([]);
    const { collection, rkey } = parseRecordUri(post.uri)!;
    reads.network.put(alice, collection, { text: 'new', createdAt: reads.network.now }, rkey);
    reads.network.put(alice, nsid.threadGate, { post: post.uri, createdAt: reads.network.now }, rkey);
    reads.network.write(alice, { type: 'record-takedown', collection, rkey, ref: 'T' });
    reads.network.settle();
    expect(await tagsOf(post)).toEqual(['rank:1', 'hide']);
    const { records, meta } = await reads.ask('GetPostRecords', { uris: [post.uri] });
    expect([records[0]!.takedownRef, meta[0]!.hasThreadGate]).toEqual(['T', true]);
    expect(JSON.parse(Buffer.from(records[0]!.record).toString())).toMatchObject({ text: 'new' });
    tag(post);
    expect(await tagsOf(post)).toEqual([]);
    tag(post, 'again');
    reads.network.delete(post);
    reads.network.put(alice, collection, { text: 'new', createdAt: reads.network.now }, rkey);
    reads.network.settle();
    expect(await tagsOf(post)).toEqual([]);
  });

  it('of what does not exist are not kept', async () => {
    const uri = `at://${bob}/app.bsky.feed.post/none`;
    reads.network.follow(bob, alice);
    tag({ uri, cid: '' }, 'x');
    const { records } = await reads.ask('GetPostRecords', { uris: [uri] });
    expect([Buffer.from(records[0]!.record).toString(), records[0]!.tags]).toEqual(['null', []]);
  });

  it('of likes and follows leave them in their order, and go with them', async () => {
    const posts = ['one', 'two', 'three'].map((text) => reads.network.post(alice, text));
    const likes = posts.map((post) => reads.network.like(bob, post));
    const again = reads.network.like(bob, posts[1]!);
    const follow = reads.network.follow(bob, alice);
    reads.network.settle();
    const [first, second, third] = likes as [StrongRef, StrongRef, StrongRef];
    const likeTags = async (ref: StrongRef) => {
      const { records } = await reads.ask('GetLikeRecords', { uris: [ref.uri] });
      return [records[0]!.cid, records[0]!.tags];
    };
    const listed = async () => (await reads.ask('GetActorLikes', { actorDid: bob, limit: 10 })).likes;
    const follows = async () => (await reads.ask('GetFollows', { actorDid: bob, limit: 10 })).follows;
    const before = await listed();
    tag(second, 'x', 'y');
    tag(follow, 'z');
    expect(await likeTags(second)).toEqual([second.cid, ['x', 'y']]);
    expect(await likeTags(first)).toEqual([first.cid, []]);
    expect(await listed()).toEqual(before);
    expect((await follows()).map(({ uri }) => uri)).toEqual([follow.uri]);
    const probed = await reads.ask('GetActorFollowsActors', { actorDid: bob, targetDids: [alice] });
    expect(probed.uris).toEqual([follow.uri]);
    tag(second);
    expect(await likeTags(second)).toEqual([second.cid, []]);
    expect(await listed()).toEqual(before);
    tag(again, 'kept');
    reads.network.delete(second);
    reads.network.settle();
    expect(await likeTags(again)).toEqual([again.cid, ['kept']]);
    expect((await listed()).map(({ uri }) => uri)).toEqual([again.uri, third.uri, first.uri]);
    reads.network.delete(again);
    reads.network.delete(follow);
    reads.network.settle();
    expect((await listed()).map(({ uri }) => uri)).toEqual([third.uri, first.uri]);
    expect(await follows()).toEqual([]);
  });

  it('of a like stay when it is updated', async () => {
    const post = reads.network.post(alice, 'one');
    const like = reads.network.like(bob, post);
    tag(like, 'x');
    const { collection, rkey } = parseRecordUri(like.uri)!;
    const newer = { subject: { cid: post.cid, uri: post.uri }, createdAt: reads.network.now };
    const updated = reads.network.put(bob, collection, newer, rkey);
    reads.network.settle();
    const { records } = await reads.ask('GetLikeRecords', { uris: [like.uri] });
    expect([records[0]!.cid, records[0]!.tags]).toEqual([updated.cid, ['x']]);
    expect((await reads.ask('GetActorLikes', { actorDid: bob, limit: 10 })).likes).toHaveLength(1);
  });

  it('of actor and profile come with the actor, until the account is deleted', async () => {
    reads.network.profile(alice, 'alice.test');
    const uri = `at://${alice}/app.bsky.actor.profile/self`;
    tag({ uri, cid: '' }, 'odd');
    reads.network.write(alice, { type: 'actor-tags', tags: ['a', 'b'] });
    reads.network.settle();
    const actor = async () => (await reads.ask('GetActors', { dids: [alice] })).actors[0]!;
    expect(await actor()).toMatchObject({ tags: ['a', 'b'], profileTags: ['odd'], profile: { tags: ['odd'] } });
    reads.network.write(alice, { type: 'actor-tags', tags: [] });
    reads.network.settle();
    expect(await actor()).toMatchObject({ tags: [], profileTags: ['odd'] });
    reads.network.write(alice, { type: 'actor-tags', tags: ['c'] });
    reads.network.account(alice, false, 'deleted');
    reads.network.profile(alice, 'alice.test');
    reads.network.settle();
    expect(await actor()).toMatchObject({ tags: [], profileTags: [] });
  });
});
