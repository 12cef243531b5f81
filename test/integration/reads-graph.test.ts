/** Reads of edges: pages, probes and lists, complete and in order. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { probeBit } from '../../src/atproto/edge-kind.ts';
import { encodeFollowsOf } from '../../src/wire/follows-messages.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import {
  decodeFollowersAmongAnswer,
  decodeFollowsOfAnswer,
  decodeProbesAnswer,
  encodeFollowersAmong,
  encodeProbeEdges,
} from '../support/wire-messages.ts';
import { didOf, pagesOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const [alice, bob, carol] = [didOf('alice'), didOf('bob'), didOf('carol')];
const names = 'abcdefghijklmnopqrstuvwxyz'.slice(0, 7).split('');
const fans = [...names.map((name) => didOf(`fan${name}`)), 'did:web:fan.example'];

describe.each([{ slots: 1 }, { slots: 8 }])('edges over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
  });
  afterEach(() => network[Symbol.asyncDispose]());

  describe.each([{ limit: 1 }, { limit: 3 }, { limit: 50 }])('in pages of $limit', ({ limit }) => {
    it('lists followers newest first, none lost among equal times', async () => {
      const at = network.timeMs;
      const follows = fans.map((fan, index) => {
        // Three follows per millisecond.
        network.timeMs = at + Math.floor(index / 3);
        return network.follow(fan, alice);
      });
      network.settle();
      const pages = await pagesOf(async (cursor) => {
        const { followers, cursor: next } = await network.ask('GetFollowersRequest', {
          actorDid: alice,
          limit,
          cursor,
        });
        return { items: followers, cursor: next };
      });
      expect(pages.map((page) => page.length)).toEqual(
        Array.from({ length: Math.ceil(fans.length / limit) }, (_unused, page) =>
          Math.min(limit, fans.length - page * limit),
        ),
      );
      const found = pages.flat();
      expect(new Set(found.map(({ uri }) => uri))).toEqual(new Set(follows.map(({ uri }) => uri)));
      expect(found.map(({ subjectDid }) => subjectDid)).toEqual(found.map(() => alice));
      expect(found.filter(({ uri, actorDid }) => !uri.startsWith(`at://${actorDid}/`))).toEqual([]);
      const indexes = found.map(({ actorDid }) => Math.floor(fans.indexOf(actorDid) / 3));
      expect(indexes).toEqual([...indexes].sort((a, b) => b - a));
    });

    it('lists follows, blocks, likes and reposts of an actor newest first, one per subject', async () => {
      const post = network.post(alice, 'one');
      const posts = fans.map((fan) => network.post(fan, 'x'));
      const follows = fans.map((fan) => network.follow(bob, fan));
      network.follow(bob, fans[0]!);
      const blocks = fans.map((fan) => network.block(bob, fan));
      const likes = posts.map((each) => network.like(bob, each));
      network.like(bob, posts[0]!);
      const reposts = posts.map((each) => network.repost(bob, each));
      const undone = network.like(bob, post);
      network.delete(undone);
      network.settle();
      const uris = (refs: readonly { uri: string }[]) => refs.map(({ uri }) => uri).reverse();
      const followPages = await pagesOf(async (cursor) => {
        const answer = await network.ask('GetFollowsRequest', { actorDid: bob, limit, cursor });
        return { items: answer.follows, cursor: answer.cursor };
      });
      expect(followPages.flat().map(({ uri }) => uri)).toEqual(uris(follows));
      expect(followPages.flat().map(({ subjectDid }) => subjectDid)).toEqual([...fans].reverse());
      const blockPages = await pagesOf(async (cursor) => {
        const answer = await network.ask('GetBlocksRequest', { actorDid: bob, limit, cursor });
        return { items: answer.blockUris, cursor: answer.cursor };
      });
      expect(blockPages.flat()).toEqual(uris(blocks));
      const likePages = await pagesOf(async (cursor) => {
        const answer = await network.ask('GetActorLikesRequest', { actorDid: bob, limit, cursor });
        return { items: answer.likes, cursor: answer.cursor };
      });
      expect(likePages.flat().map(({ uri, subject }) => [uri, subject])).toEqual(
        likes.map(({ uri }, index) => [uri, posts[index]!.uri]).reverse(),
      );
      const repostPages = await pagesOf(async (cursor) => {
        const answer = await network.ask('GetActorRepostsRequest', { actorDid: bob, limit, cursor });
        return { items: answer.uris, cursor: answer.cursor };
      });
      expect(repostPages.flat()).toEqual(uris(reposts));
    });

    it('lists likes, reposts and quotes of a post', async () => {
      const post = network.post(alice, 'one');
      const likes = fans.map((fan) => network.like(fan, post));
      const reposts = fans.map((fan) => network.repost(fan, post));
      const quotes = fans.map((fan) =>
        network.post(fan, 'q', { embed: { $type: 'app.bsky.embed.record', record: post } }),
      );
      network.delete(likes[2]!);
      network.settle();
      const subject = { uri: post.uri, cid: post.cid };
      const read = async (
        name:
          | 'GetLikesBySubjectRequest'
          | 'GetLikesBySubjectSortedRequest'
          | 'GetRepostsBySubjectRequest'
          | 'GetQuotesBySubjectSortedRequest',
      ) => {
        const pages = await pagesOf(async (cursor) => {
          const answer = await network.ask(name, { subject, limit, cursor });
          return { items: answer.uris, cursor: answer.cursor };
        });
        return pages.flat();
      };
      const newestFirst = (refs: readonly { uri: string }[]) => refs.map(({ uri }) => uri).reverse();
      const left = newestFirst(likes.filter((_like, index) => index !== 2));
      expect(await read('GetLikesBySubjectSortedRequest')).toEqual(left);
      expect(await read('GetLikesBySubjectRequest')).toEqual(left);
      expect(await read('GetRepostsBySubjectRequest')).toEqual(newestFirst(reposts));
      expect(await read('GetQuotesBySubjectSortedRequest')).toEqual(newestFirst(quotes));
      network.delete(post);
      network.settle();
      // Deleting a post removes its list of quotes, but not those of likes and reposts.
      expect(await read('GetQuotesBySubjectSortedRequest')).toEqual([]);
      expect(await read('GetLikesBySubjectSortedRequest')).toEqual(left);
    });
  });

  it('finds the records by which one actor points at given subjects', async () => {
    const post = network.post(alice, 'one');
    const other = network.post(alice, 'two');
    const like = network.like(bob, post);
    const repost = network.repost(bob, other);
    const follow = network.follow(bob, alice);
    network.follow(bob, 'did:web:fan.example');
    network.settle();
    const refs = [other, post, { uri: 'at://nothing', cid: '' }].map(({ uri, cid }) => ({ uri, cid }));
    expect((await network.ask('GetLikesByActorAndSubjectsRequest', { actorDid: bob, refs })).uris).toEqual([
      '',
      like.uri,
      '',
    ]);
    expect((await network.ask('GetRepostsByActorAndSubjectsRequest', { actorDid: bob, refs })).uris).toEqual([
      repost.uri,
      '',
      '',
    ]);
    const targetDids = [carol, alice, 'x'.repeat(3000)];
    expect((await network.ask('GetActorFollowsActorsRequest', { actorDid: bob, targetDids })).uris).toEqual([
      '',
      follow.uri,
      '',
    ]);
    expect((await network.ask('GetActorFollowsActorsRequest', { actorDid: carol, targetDids })).uris).toEqual([
      '',
      '',
      '',
    ]);
  });

  it('finds likes by their subjects, cached or not, and sees each that comes and goes', async () => {
    const posts = Array.from({ length: 4 }, (_unused, index) => network.post(alice, `post ${index}`));
    const self = network.put(alice, 'app.bsky.labeler.service', { createdAt: network.now }, 'self');
    const refs = [...posts, self, { uri: 'at://nothing', cid: '' }].map(({ uri, cid }) => ({ uri, cid }));
    const likes = new Map<string, StrongRef>();
    const check = async (): Promise<void> => {
      network.settle();
      const expected = refs.map(({ uri }) => likes.get(uri)?.uri ?? '');
      // The third request finds them cached.
      for (let time = 1; time <= 3; time++) {
        const { uris } = await network.ask('GetLikesByActorAndSubjectsRequest', { actorDid: bob, refs });
        expect(uris).toEqual(expected);
      }
    };
    await check();
    for (const post of [posts[2]!, posts[0]!, self]) {
      likes.set(post.uri, network.like(bob, post));
      await check();
    }
    network.delete(likes.get(posts[2]!.uri)!);
    likes.delete(posts[2]!.uri);
    await check();
    const { cache } = network.reads.records;
    expect(cache.hits).toBeGreaterThan(4);
  });

  it('finds likes by their subjects among more than are cached', async () => {
    const createdAt = network.now;
    const uriOf = (index: number): string => `at://${alice}/app.bsky.feed.post/p${index}`;
    const { cid } = network.post(alice, 'any');
    const liked = Array.from({ length: 700 }, (_unused, index) => ({ uri: uriOf(index), cid }));
    network.putAll(
      bob,
      'app.bsky.feed.like',
      liked.map((subject) => ({ subject, createdAt })),
    );
    network.settle();
    const refs = [699, 700, 0].map((index) => ({ uri: uriOf(index), cid }));
    for (let time = 1; time <= 3; time++) {
      const { uris } = await network.ask('GetLikesByActorAndSubjectsRequest', { actorDid: bob, refs });
      expect(uris.map((uri) => uri !== '')).toEqual([true, false, true]);
    }
  });

  it('finds which candidates follow which subjects', async () => {
    network.follow(bob, alice);
    network.settle();
    const request = encodeFollowersAmong({ subjects: [alice, carol, 'y'.repeat(3000)], candidates: [carol, bob] });
    expect(decodeFollowersAmongAnswer(await network.call(nodeCalls.followersAmong, request))).toEqual([[bob], [], []]);
  });

  it('probes edges, cached or not, and sees each that comes and goes', async () => {
    const web = 'did:web:example.com';
    const dids = [alice, bob, carol, web, `did:web:${'x'.repeat(4000)}`];
    const { follow, block } = probeBit;
    const probes = [
      { owner: 1, kinds: follow, subject: 0 },
      { owner: 0, kinds: follow | block, subject: 1 },
      { owner: 2, kinds: block, subject: 1 },
      { owner: 3, kinds: follow | block, subject: 0 },
      { owner: 0, kinds: follow | block, subject: 3 },
      { owner: 0, kinds: follow | block, subject: 4 },
    ];
    const rkeyOf = ({ uri }: { uri: string }) => uri.split('/').at(-1)!;
    /** Returns for each probe and kind the rkey, or ''. */
    const probe = async () => {
      const found = decodeProbesAnswer(await network.call(nodeCalls.probeEdges, encodeProbeEdges({ dids, probes })));
      const rkeysOf = new Map(found.map(({ probe: index, rkeys }) => [index, rkeys]));
      return probes.flatMap(({ kinds }, index) =>
        [follow, block].flatMap((kind) => ((kinds & kind) === 0 ? [] : [rkeysOf.get(index)?.[kind] ?? ''])),
      );
    };
    /** More often than it takes until an actor's edges are cached. */
    const expectAlways = async (rkeys: string[]) => {
      for (let asked = 0; asked < 5; asked++) expect(await probe()).toEqual([...rkeys, '', '']);
    };
    await expectAlways(['', '', '', '', '', '', '', '']);
    const [bobFollows, aliceBlocks] = [network.follow(bob, alice), network.block(alice, bob)];
    const [webFollows, aliceFollowsWeb] = [network.follow(web, alice), network.follow(alice, web)];
    network.settle();
    const [a, b, c, d] = [bobFollows, aliceBlocks, webFollows, aliceFollowsWeb].map(rkeyOf) as [
      string,
      string,
      string,
      string,
    ];
    await expectAlways([a, '', b, '', c, '', d, '']);
    const carolBlocks = network.block(carol, bob);
    network.delete(aliceBlocks);
    network.delete(aliceFollowsWeb);
    const aliceBlocksWeb = network.block(alice, web);
    network.settle();
    await expectAlways([a, '', '', rkeyOf(carolBlocks), c, '', '', rkeyOf(aliceBlocksWeb)]);
    network.account(bob, false, 'deleted');
    network.account(carol, false, 'deleted');
    network.settle();
    await expectAlways(['', '', '', '', c, '', '', rkeyOf(aliceBlocksWeb)]);
  });

  it('returns an actor among its follows when it follows itself, cached or not', async () => {
    const ask = async () => {
      const request = encodeFollowsOf({ did: bob, after: '', limit: 50 });
      return decodeFollowsOfAnswer(await network.call(nodeCalls.followsOf, request));
    };
    network.follow(bob, alice);
    const own = network.follow(bob, bob);
    network.settle();
    for (const _time of ['read', 'cached']) {
      const { dids, next } = await ask();
      expect({ dids: [...dids].sort(), next }).toEqual({ dids: [alice, bob], next: '' });
    }
    network.delete(own);
    network.settle();
    expect(await ask()).toEqual({ dids: [alice], next: '' });
  });

  it('returns all follows of an actor in pages', async () => {
    for (const fan of fans) network.follow(bob, fan);
    network.settle();
    for (const limit of [1, 3, 50]) {
      const pages = await pagesOf(async (after) => {
        const { dids, next } = decodeFollowsOfAnswer(
          await network.call(nodeCalls.followsOf, encodeFollowsOf({ did: bob, after, limit })),
        );
        return { items: dids, cursor: next };
      });
      expect(pages.flat()).toHaveLength(fans.length);
      expect(new Set(pages.flat())).toEqual(new Set(fans));
      expect(pages).toHaveLength(Math.ceil(fans.length / limit));
    }
  });

  it('returns no item and no token for a limit of 0, and refuses malformed tokens', async () => {
    network.follow(bob, alice);
    network.settle();
    expect(await network.ask('GetFollowersRequest', { actorDid: alice, limit: 0 })).toEqual({
      followers: [],
      cursor: '',
    });
    for (const cursor of ['x', '12', '12__!', 'abc__AQ', `1__${'A'.repeat(3000)}`]) {
      await expect(network.ask('GetFollowersRequest', { actorDid: alice, limit: 5, cursor })).rejects.toMatchObject({
        code: 'InvalidArgument',
      });
    }
    const { followers } = await network.ask('GetFollowersRequest', { actorDid: alice, limit: 5, cursor: '0__' });
    expect(followers).toEqual([]);
  });
});
