/** Reads of author feeds, merged feeds and threads over slots with effects applied. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { decodeMessage } from '../../src/proto/codec.ts';
import { feedType } from '../../src/proto/generated/bsky-service.ts';
import { createReadHandlers } from '../../src/read/handler/read-handlers.ts';
import { slotOf } from '../../src/shardmap/slot-of.ts';
import {
  encodeTimeline,
  type FeedItem,
  feedItemAt,
  openTimelineAnswer,
  type RawFeed,
} from '../../src/wire/feed-messages.ts';
import { decodeTexts, encodeTexts } from '../../src/wire/message.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { peerReader } from '../../src/wire/peer-bytes.ts';
import { decodeOpThreadsAnswer, encodeThread } from '../../src/wire/thread-messages.ts';
import { decodeNewestByAuthorsAnswer, encodeNewestByAuthors } from '../support/wire-messages.ts';
import { cidOfText, didOf, pagesOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const [alice, bob, carol, dave] = [didOf('alice'), didOf('bob'), didOf('carol'), didOf('dave')];
const image = { $type: 'app.bsky.embed.images', images: [{ alt: '', image: { $type: 'blob' } }] };
const video = { $type: 'app.bsky.embed.video', video: { $type: 'blob' } };

describe.each([{ slots: 1 }, { slots: 8 }])('feeds over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
  });
  afterEach(() => network[Symbol.asyncDispose]());

  async function authorFeed(did: string, type: number = feedType.UNSPECIFIED, limit = 50): Promise<string[]> {
    const pages = await pagesOf(async (cursor) => {
      const answer = await network.ask('GetAuthorFeedRequest', { actorDid: did, limit, cursor, feedType: type });
      return { items: answer.items, cursor: answer.cursor };
    });
    expect(pages.every((page) => page.length <= limit)).toBe(true);
    return pages.flat().map(({ uri, repost }) => (repost === '' ? uri : `${repost} of ${uri}`));
  }

  it('shows posts, replies, media, video and own threads as each type of author feed requires', async () => {
    const first = network.post(alice, 'first');
    const withImage = network.post(alice, 'image', { embed: image });
    const withVideo = network.post(alice, 'video', { embed: video });
    const others = network.post(bob, 'other');
    const reply = network.reply(alice, 'reply to bob', others);
    const own = network.reply(alice, 'own thread', first);
    const repost = network.repost(alice, others);
    network.settle();
    const reposted = `${repost.uri} of ${others.uri}`;
    for (const limit of [1, 3, 50]) {
      expect(await authorFeed(alice, feedType.UNSPECIFIED, limit)).toEqual([
        reposted,
        own.uri,
        reply.uri,
        withVideo.uri,
        withImage.uri,
        first.uri,
      ]);
      expect(await authorFeed(alice, feedType.POSTS_NO_REPLIES, limit)).toEqual([
        reposted,
        withVideo.uri,
        withImage.uri,
        first.uri,
      ]);
      expect(await authorFeed(alice, feedType.POSTS_WITH_MEDIA, limit)).toEqual([withImage.uri]);
      expect(await authorFeed(alice, feedType.POSTS_WITH_VIDEO, limit)).toEqual([withVideo.uri]);
      expect(await authorFeed(alice, feedType.POSTS_AND_AUTHOR_THREADS, limit)).toEqual([
        reposted,
        own.uri,
        withVideo.uri,
        withImage.uri,
        first.uri,
      ]);
    }
    expect(await authorFeed(didOf('nobody'))).toEqual([]);
  });

  it('leaves out reposts while their post does not exist', async () => {
    const post = network.post(alice, 'one');
    const repost = network.repost(bob, post);
    const again = network.repost(bob, post);
    const early = network.repost(carol, { uri: `at://${alice}/app.bsky.feed.post/later`, cid: post.cid });
    network.settle();
    expect(await authorFeed(bob)).toEqual([`${again.uri} of ${post.uri}`, `${repost.uri} of ${post.uri}`]);
    expect(await authorFeed(carol)).toEqual([]);
    const later = network.put(alice, 'app.bsky.feed.post', { text: 'later', createdAt: network.now }, 'later');
    network.delete(post);
    network.settle();
    expect(await authorFeed(carol)).toEqual([`${early.uri} of ${later.uri}`]);
    expect(await authorFeed(bob)).toEqual([]);
    network.delete(early);
    network.settle();
    expect(await authorFeed(carol)).toEqual([]);
  });

  /** Reads all newest items of authors, page by page, as a router does. */
  async function newest(authors: readonly string[], limit: number): Promise<FeedItem[]> {
    const found: FeedItem[] = [];
    let before: FeedItem | null = null;
    for (;;) {
      const answer = decodeNewestByAuthorsAnswer(
        await network.call(nodeCalls.newestByAuthors, encodeNewestByAuthors({ before, limit, authors })),
      );
      found.push(...answer);
      if (answer.length < limit) return found;
      before = answer.at(-1)!;
    }
  }

  it('merges the newest items of authors, page by page, equal times included', async () => {
    const authors = [alice, bob, carol, dave, didOf('silent'), 'did:web:author.example'];
    const writers = authors.filter((did) => did !== didOf('silent'));
    const posts: { ref: StrongRef; timeMs: number }[] = [];
    const start = network.timeMs;
    for (let index = 0; index < 200; index++) {
      // Runs of five posts in one millisecond, by one author or several.
      const timeMs = start + Math.floor(index / 5);
      network.timeMs = timeMs;
      posts.push({
        ref: network.post(
          writers[(index * 7 + (index >> 4)) % (index % 3 === 0 ? 1 : writers.length)]!,
          `post ${index}`,
        ),
        timeMs,
      });
    }
    network.timeMs = start + 100;
    network.repost(bob, { uri: `at://${alice}/app.bsky.feed.post/none`, cid: posts[0]!.ref.cid });
    network.settle();
    for (const limit of [1, 3, 50, 500]) {
      const items = await newest(authors, limit);
      expect(items).toHaveLength(posts.length);
      expect(new Set(items.map(({ itemUri }) => itemUri))).toEqual(new Set(posts.map(({ ref }) => ref.uri)));
      const times = items.map(({ sortMs }) => sortMs);
      expect(times).toEqual([...times].sort((a, b) => b - a));
      expect(items.every(({ itemUri, postUri }) => itemUri === postUri)).toBe(true);
    }
    expect(await newest([didOf('silent'), didOf('nobody')], 10)).toEqual([]);
  });

  it('skips reposts of missing posts that turn up too late', async () => {
    for (let index = 0; index < 300; index++) {
      network.repost(bob, { uri: `at://${alice}/app.bsky.feed.post/none`, cid: cidOfText('none') });
    }
    const posts = Array.from({ length: 5 }, (_unused, index) => network.post(alice, `post ${index}`));
    network.settle();
    const { rows } = network.cluster.stateOf(bob);
    const scan = rows.scan.bind(rows);
    let rowCount = 0;
    vi.spyOn(rows, 'scan').mockImplementation(function* (range) {
      for (const row of scan(range)) {
        rowCount++;
        yield row;
      }
    });
    const request = encodeNewestByAuthors({ before: null, limit: 5, authors: [alice, bob] });
    const items = decodeNewestByAuthorsAnswer(await network.call(nodeCalls.newestByAuthors, request));
    expect(items.map(({ itemUri }) => itemUri)).toEqual(posts.map(({ uri }) => uri).reverse());
    expect(rowCount).toBeLessThan(60);
  });

  it('answers the same however small its caches are', async () => {
    const authors = [...'abcdefghijklmnopqrstuvwxyz'].map((letter) => didOf(`author${letter}`));
    authors.push('did:web:author.example', 'did:plc:short');
    for (let index = 0; index < 120; index++) network.post(authors[(index * 11) % authors.length]!, `post ${index}`);
    network.settle();
    const stateOf = (slot: number) => network.cluster.slots[slot]?.state;
    const few = createReadHandlers({
      slots,
      stateOf,
      refreshReads: () => {},
      didCacheBytes: 12_000,
      recordCacheBytes: 0,
    });
    const request = encodeNewestByAuthors({ before: null, limit: 500, authors });
    const ask = () =>
      few.handlers.get(nodeCalls.newestByAuthors)!(request, {
        method: '',
        epoch: 1,
        deadlineMs: Number.MAX_SAFE_INTEGER,
      });
    const expected = Buffer.from(await network.call(nodeCalls.newestByAuthors, request));
    expect(decodeNewestByAuthorsAnswer(expected)).toHaveLength(120);
    for (let round = 0; round < 3; round++) expect(Buffer.from(await ask())).toEqual(expected);
    const post = network.post(authors[3]!, 'new');
    network.cluster.settle();
    for (const { state, index } of network.cluster.slots) few.invalidate(index, state.takeChanges());
    expect(decodeNewestByAuthorsAnswer(await ask())[0]!.itemUri).toBe(post.uri);
  });

  function itemsOf(feed: RawFeed): FeedItem[] {
    return Array.from({ length: feed.count }, (_unused, index) => feedItemAt(feed, index));
  }

  it('returns the items of the viewer and of the follows of this node, and names the others', async () => {
    const authors = [...'abcdefghijklmnopqrstuvwxyz'].map((letter) => didOf(`author${letter}`));
    authors.push('did:web:author.example', didOf('silent'));
    const writers = authors.slice(0, -1);
    const posts: { did: string; timeMs: number; uri: string }[] = [];
    const startMs = network.timeMs;
    for (let index = 0; index < 120; index++) {
      // Runs of four posts in one millisecond, by one or several authors: pages end within runs.
      const timeMs = startMs + Math.floor(index / 4);
      network.timeMs = timeMs;
      const did = writers[(index % 3 === 0 ? 0 : index * 11) % writers.length]!;
      posts.push({ did, timeMs, uri: network.post(did, `post ${index}`).uri });
    }
    const own = network.post(alice, 'own');
    for (const did of [...authors, alice]) network.follow(alice, did);
    network.settle();
    const home = slotOf(alice, slots);
    const half = createReadHandlers({
      slots,
      // This node serves the viewer's slot and every other one.
      stateOf: (slot) => ((slot ^ home) & 1 ? undefined : network.cluster.slots[slot]?.state),
      refreshReads: () => {},
      didCacheBytes: 12_000,
      recordCacheBytes: 0,
    });
    const ask = async (before: FeedItem | null, limit: number) => {
      const request = encodeTimeline({ before, limit, did: alice });
      const context = { method: '', epoch: 1, deadlineMs: Number.MAX_SAFE_INTEGER };
      return openTimelineAnswer(Buffer.from(await half.handlers.get(nodeCalls.timeline)!(request, context)));
    };
    const isHere = (did: string) => ((slotOf(did, slots) ^ home) & 1) === 0;
    const expected = posts
      .filter(({ did }) => isHere(did))
      .sort((a, b) => b.timeMs - a.timeMs || (a.uri < b.uri ? 1 : -1));
    for (const limit of [1, 2, 7, 200]) {
      const found: FeedItem[] = [];
      for (;;) {
        const answer = await ask(found.at(-1) ?? null, limit);
        const elsewhere = answer.elsewhere.flatMap(({ slot, count, texts }) => {
          const reader = peerReader(texts, 'follows');
          const dids = Array.from({ length: count }, () => reader.text());
          reader.end();
          expect(dids.every((did) => slotOf(did, slots) === slot)).toBe(true);
          return dids;
        });
        expect(new Set(elsewhere)).toEqual(new Set(authors.filter((did) => !isHere(did))));
        expect([answer.followCount, answer.next]).toEqual([authors.length, '']);
        const page = itemsOf(answer.followed);
        found.push(...page);
        if (page.length < limit) break;
      }
      expect(found.map(({ itemUri }) => itemUri)).toEqual(expected.map(({ uri }) => uri));
    }
    expect(itemsOf((await ask(null, 10)).own).map(({ itemUri }) => itemUri)).toEqual([own.uri]);
    // The commit that changes follows and authors invalidates their cached entries.
    const local = authors.find((did) => isHere(did))!;
    const follow = network.follow(alice, dave);
    const post = network.post(local, 'new');
    network.cluster.settle();
    for (const { state, index } of network.cluster.slots) half.invalidate(index, state.takeChanges());
    const after = await ask(null, 1);
    expect(itemsOf(after.followed)[0]!.itemUri).toBe(post.uri);
    expect(after.followCount).toBe(authors.length + 1);
    network.delete(follow);
    network.cluster.settle();
    for (const { state, index } of network.cluster.slots) half.invalidate(index, state.takeChanges());
    expect((await ask(null, 1)).followCount).toBe(authors.length);
  });

  it('shows the latest commit in the merged feed', async () => {
    const post = network.post(alice, 'one');
    network.settle();
    expect((await newest([alice, bob], 10)).map(({ itemUri }) => itemUri)).toEqual([post.uri]);
    const repost = network.repost(bob, post);
    const second = network.post(alice, 'two');
    network.settle();
    expect((await newest([alice, bob], 10)).map(({ itemUri, postUri }) => [itemUri, postUri])).toEqual([
      [second.uri, second.uri],
      [repost.uri, post.uri],
      [post.uri, post.uri],
    ]);
    network.delete(post);
    network.settle();
    expect((await newest([alice, bob], 10)).map(({ itemUri }) => itemUri)).toEqual([second.uri]);
  });

  async function thread(root: StrongRef, anchor: StrongRef, above = 10, below = 10) {
    const answer = await network.call(
      nodeCalls.thread,
      encodeThread({ root: root.uri, anchor: anchor.uri, above, below }),
    );
    return decodeMessage('GetThreadResponse', answer);
  }

  it('reads threads up and down, within limits, through existing posts', async () => {
    const root = network.post(alice, 'root');
    const a = network.reply(bob, 'a', root);
    const b = network.reply(carol, 'b', root);
    const aa = network.reply(alice, 'aa', root, a);
    const aaa = network.reply(bob, 'aaa', root, aa);
    const ba = network.reply(dave, 'ba', root, b);
    network.settle();
    const uris = (...refs: StrongRef[]) => refs.map(({ uri }) => uri);
    expect((await thread(root, root)).uris).toEqual(uris(root, ba, aaa, aa, b, a));
    expect((await thread(root, root, 10, 1)).uris).toEqual(uris(root, b, a));
    expect((await thread(root, root, 0, 0)).uris).toEqual(uris(root));
    expect((await thread(root, aaa)).uris).toEqual(uris(aaa, aa, a, root));
    expect((await thread(root, aaa, 1)).uris).toEqual(uris(aaa, aa));
    expect((await thread(root, aa)).uris).toEqual(uris(aa, a, root, aaa));
    network.delete(aa);
    network.settle();
    expect((await thread(root, root)).uris).toEqual(uris(root, ba, b, a));
    expect((await thread(root, aaa)).uris).toEqual(uris(aaa));
    expect((await thread(root, aa)).uris).toEqual(uris(aaa));
    network.delete(root);
    network.settle();
    expect((await thread(root, a)).uris).toEqual(uris(a));
    expect((await thread(root, root)).uris).toEqual(uris(ba, b, a));
    expect((await thread(root, { uri: `at://${bob}/app.bsky.feed.post/none`, cid: '' })).uris).toEqual([]);
  });

  it('returns the OP threads of roots, and the roots that posts claim', async () => {
    const root = network.post(alice, 'root');
    const first = network.reply(alice, '1', root);
    const others = network.reply(bob, 'between', root);
    const second = network.reply(alice, '2', root, first);
    const third = network.reply(alice, '3', root, second);
    const plain = network.post(bob, 'plain');
    network.settle();
    const chain = (...refs: StrongRef[]) => refs.map(({ uri }) => uri);
    expect((await thread(root, others)).opThread).toEqual(chain(root, first, second, third));
    const roots = decodeTexts(
      await network.call(
        nodeCalls.postRoots,
        encodeTexts([third.uri, plain.uri, `at://${alice}/app.bsky.feed.post/none`, 'x']),
      ),
    );
    expect(roots).toEqual([root.uri, plain.uri, '', '']);
    const ask = async () =>
      decodeOpThreadsAnswer(await network.call(nodeCalls.opThreads, encodeTexts([plain.uri, root.uri, 'x'])));
    expect(await ask()).toEqual([[], chain(root, first, second, third), []]);
    network.delete(second);
    network.settle();
    expect((await ask())[1]).toEqual(chain(root, first, second, third));
    network.delete(third);
    network.settle();
    expect((await ask())[1]).toEqual(chain(root, first));
    const late = network.reply(alice, 'late', root, first);
    network.settle();
    expect((await ask())[1]).toEqual(chain(root, first, late));
  });
});
