/** Tags that operators give to records and actors. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { nsid } from '../../src/atproto/collection.ts';
import { parseRecordUri } from '../../src/atproto/compact-key.ts';
import { didOf, type StrongRef } from './reads-network.ts';
import { RoutedReads } from './routed-reads.ts';

const [alice, bob] = [didOf('alice'), didOf('bob')];

describe.each([{ slots: 1 }, { slots: 8 }])('tags over $slots slots', ({ slots }) => {
  let reads: RoutedReads;
  beforeEach(() => {
    reads = new RoutedReads(slots);
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

  it('of what does not exist, and of likes, are not kept', async () => {
    const post = reads.network.post(alice, 'one');
    const like = reads.network.like(bob, post);
    tag(like, 'x');
    tag({ uri: `at://${bob}/app.bsky.feed.post/none`, cid: '' }, 'x');
    const { records } = await reads.ask('GetLikeRecords', { uris: [like.uri] });
    expect([records[0]!.cid, records[0]!.tags]).toEqual([like.cid, []]);
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
