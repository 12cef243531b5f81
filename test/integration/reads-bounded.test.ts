/** What a request reads is bounded, however strangers arranged the data; pages go on from there. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RecordRef, recordUri } from '../../src/atproto/compact-key.ts';
import { decodeMessage } from '../../src/proto/codec.ts';
import { edgePageRowsMax } from '../../src/slot/table/edge-walk.ts';
import {
  encodeListProbes,
  encodeProbes,
  openListedAnswer,
  openProbesAnswer,
  privateBit,
  readSubscriptions,
} from '../../src/wire/edge-messages.ts';
import { encodeFollowsOf, followsPageLimit, openFollowsOfAnswer } from '../../src/wire/follows-messages.ts';
import { encodeTexts } from '../../src/wire/message.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { decodeOpThreadsAnswer, encodeThread } from '../../src/wire/thread-messages.ts';
import { RowCounter } from '../support/row-counter.ts';
import { encodeNewestByAuthors, keyBytesOf, rawLists } from '../support/wire-messages.ts';
import { didOf, numberedDid, pagesOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob, mallory] = [didOf('alice'), didOf('bob'), didOf('mallory')];

let counter: RowCounter;
let network: ReadsNetwork;
beforeEach(() => {
  counter = new RowCounter();
  network = new ReadsNetwork({ slots: 1 }, false, counter);
  for (const did of [alice, bob, mallory]) network.identity(did, null);
});
afterEach(() => network[Symbol.asyncDispose]());

/** Returns what `ask` gives, and how many rows it read. */
async function counted<Answer>(ask: () => Promise<Answer>): Promise<{ answer: Answer; rows: number }> {
  counter.count = 0;
  const answer = await ask();
  return { answer, rows: counter.count };
}

function mentionOf(did: string): object {
  const features = [{ $type: 'app.bsky.richtext.facet#mention', did }];
  return { text: 'x', facets: [{ index: { byteStart: 0, byteEnd: 1 }, features }] };
}

describe('notifications', () => {
  it('are counted by reading three rows at any number of unread ones', async () => {
    for (let commit = 0; commit < 4; commit++) {
      const mentions = Array.from({ length: 1_500 }, () => mentionOf(alice));
      network.putAll(mallory, 'app.bsky.feed.post', mentions);
    }
    network.settle();
    const ask = () => network.ask('GetUnreadNotificationCountRequest', { actorDid: alice });
    const all = await counted(ask);
    expect(all.answer.count).toBe(6_000);
    expect(all.rows).toBeLessThanOrEqual(3);
    network.write(alice, { type: 'notification-seen', seenMs: network.timeMs - 2_001 });
    network.settle();
    const rest = await counted(ask);
    expect(rest.answer.count).toBe(3_000);
    expect(rest.rows).toBeLessThanOrEqual(3);
  });

  it('of followed actors are found page by page, a thousand rows each', async () => {
    network.follow(alice, bob);
    const [byBob] = network.putAll(bob, 'app.bsky.feed.post', [mentionOf(alice)]);
    // All of one millisecond, which a token must be able to divide.
    const createdAt = network.now;
    const mentions = Array.from({ length: 2_500 }, () => ({ ...mentionOf(alice), createdAt }));
    network.putAll(mallory, 'app.bsky.feed.post', mentions);
    network.settle();
    let rowsMax = 0;
    const pages = await pagesOf(async (cursor) => {
      const request = { actorDid: alice, limit: 50, cursor, priority: true };
      const { answer, rows } = await counted(() => network.ask('GetNotificationsRequest', request));
      rowsMax = Math.max(rowsMax, rows);
      return { items: answer.notifications, cursor: answer.cursor };
    });
    expect(pages.flat().map(({ uri }) => uri)).toEqual([byBob]);
    expect(pages).toHaveLength(3);
    expect(rowsMax).toBeLessThan(2_100);
    const all = await pagesOf(async (cursor) => {
      const answer = await network.ask('GetNotificationsRequest', { actorDid: alice, limit: 1_000, cursor });
      return { items: answer.notifications, cursor: answer.cursor };
    });
    expect(new Set(all.flat().map(({ uri }) => uri)).size).toBe(2_501);
    expect(all.map(({ length }) => length)).toEqual([500, 500, 500, 500, 500, 1]);
  });
});

describe('pages of edges', () => {
  it('of a repo that crowds its records into one second read a bounded window, and hold each edge once', async () => {
    const count = 3 * edgePageRowsMax;
    const createdAt = network.now;
    const follows = Array.from({ length: count }, (_unused, index) => ({ subject: numberedDid(index), createdAt }));
    for (let from = 0; from < count; from += 2_000)
      network.putAll(mallory, 'app.bsky.graph.follow', follows.slice(from, from + 2_000));
    network.settle();
    let rowsMax = 0;
    const pages = await pagesOf(async (cursor) => {
      const request = { actorDid: mallory, limit: 100, cursor };
      const { answer, rows } = await counted(() => network.ask('GetFollowsRequest', request));
      rowsMax = Math.max(rowsMax, rows);
      return { items: answer.follows, cursor: answer.cursor };
    });
    expect(new Set(pages.flat().map(({ subjectDid }) => subjectDid)).size).toBe(count);
    expect(pages.flat()).toHaveLength(count);
    expect(pages.length).toBeLessThan(count / 100 + 5);
    expect(rowsMax).toBeLessThan(2 * edgePageRowsMax + 10);
  });
});

describe('lists', () => {
  const own = { did: mallory, collection: 'app.bsky.graph.list' };
  const listOf = (rkey: string): RecordRef => ({ ...own, rkey });

  /** Puts actors on lists, a thousand items a commit. */
  function putItems(items: readonly { subject: string; list: string }[]): void {
    const records = items.map((item) => ({ ...item, createdAt: network.now }));
    for (let from = 0; from < records.length; from += 1_000)
      network.putAll(mallory, 'app.bsky.graph.listitem', records.slice(from, from + 1_000));
    network.settle();
  }

  it('of many members are read a page at a time, and counted by reading one row', async () => {
    const listUri = recordUri(listOf('l'));
    network.put(mallory, own.collection, { name: 'l', purpose: 'app.bsky.graph.defs#referencelist' }, 'l');
    putItems(Array.from({ length: 6_000 }, (_unused, index) => ({ subject: numberedDid(index), list: listUri })));
    const page = await counted(() => network.ask('GetListMembersRequest', { listUri, limit: 100 }));
    expect(page.answer.listitems).toHaveLength(100);
    expect(page.rows).toBeLessThan(110);
    const count = await counted(() => network.ask('GetListCountRequest', { listUri }));
    expect(count.answer.count).toBe(6_000);
    expect(count.rows).toBeLessThan(4);
    const members = await counted(() =>
      network.call(nodeCalls.membersOf, encodeFollowsOf({ did: listUri, after: '', limit: followsPageLimit })),
    );
    expect(openFollowsOfAnswer(members.answer).count).toBe(followsPageLimit);
    expect(members.rows).toBeLessThan(followsPageLimit + 10);
    // Those who opted out cost rows, but only so many.
    for (let index = 6_000; index-- > 3_000; ) {
      const optOut = { subject: listUri, createdAt: network.now };
      network.put(numberedDid(index), 'app.bsky.graph.referencelistoptout', optOut);
    }
    network.settle();
    const empty = await counted(() => network.ask('GetListMembersRequest', { listUri, limit: 100 }));
    expect(empty.answer).toMatchObject({ listitems: [], cursor: expect.stringMatching(/./) });
    expect(empty.rows).toBeLessThan(4_100);
  });

  it('that an actor is on are looked up in few rows, however many there are', async () => {
    const [few, many] = [60, 6_000];
    putItems(
      Array.from({ length: few }, (_unused, index) => ({ subject: alice, list: recordUri(listOf(`l${index}`)) })),
    );
    putItems(
      Array.from({ length: many }, (_unused, index) => ({ subject: bob, list: recordUri(listOf(`l${index}`)) })),
    );
    const lists = ['l1', 'l2', 'none'].map((rkey) => keyBytesOf(listOf(rkey)));
    const source = Buffer.from(alice + bob);
    const ranges = { source, starts: [0, alice.length], ends: [alice.length, source.length] };
    const probes = [0, 1].map((subject) => ({ subject, lists: 0 }));
    const asked = encodeListProbes(ranges, [0, 1], [rawLists(lists)], probes);
    const rows: number[] = [];
    for (let time = 0; time < 4; time++) {
      const { answer, rows: each } = await counted(() => network.call(nodeCalls.listed, asked));
      // Both actors are on the first list.
      expect([...openListedAnswer(answer).rest()]).toEqual([1, 0, 1, 0, 0]);
      rows.push(each);
    }
    expect(rows[0]).toBeLessThan(140);
    expect(Math.max(...rows)).toBeLessThan(1_100);
    expect(rows.at(-1)).toBeLessThan(5);
    const listUris = ['l5999', 'none'].map((rkey) => recordUri(listOf(rkey)));
    const membership = await counted(() => network.ask('GetListMembershipRequest', { actorDid: bob, listUris }));
    expect(membership.answer.listitemUris).toEqual([expect.stringContaining(mallory), '']);
    expect(membership.rows).toBeLessThan(4);
  });

  it('to which an actor subscribes are answered up to a thousand, and cached', async () => {
    const blocks = Array.from({ length: 1_500 }, (_unused, index) => ({
      subject: recordUri(listOf(`l${index}`)),
      createdAt: network.now,
    }));
    network.putAll(alice, 'app.bsky.graph.listblock', blocks);
    network.settle();
    const source = Buffer.from(alice);
    const ranges = { source, starts: [0], ends: [source.length] };
    const probe = { owner: 0, kinds: privateBit.listBlocks, subject: 0 };
    const asked = encodeProbes(ranges, [0], [probe, probe]);
    const first = await counted(() => network.call(nodeCalls.probeEdges, asked));
    const reader = openProbesAnswer(first.answer);
    expect(reader.varint()).toBe(0);
    const [subscriptions] = readSubscriptions(reader);
    expect([subscriptions!.owners, subscriptions!.lists.count]).toEqual([[0], 1_000]);
    expect(first.rows).toBeLessThan(1_010);
    const second = await counted(() => network.call(nodeCalls.probeEdges, asked));
    expect([second.rows, second.answer]).toEqual([0, first.answer]);
  });
});

describe('walks', () => {
  it('of a thread read ten thousand replies, deleted ones included', async () => {
    const root = network.post(alice, 'root');
    const reply = { text: 'r', createdAt: network.now, reply: { root, parent: root } };
    for (let commit = 0; commit < 11; commit++) {
      const uris = network.putAll(mallory, 'app.bsky.feed.post', new Array<object>(1_000).fill(reply));
      network.deleteAll(uris);
      network.settle();
    }
    const last = network.reply(bob, 'there', root);
    network.settle();
    const ask = encodeThread({ root: root.uri, anchor: root.uri, above: 10, below: 10 });
    const { answer, rows } = await counted(() => network.call(nodeCalls.thread, ask));
    expect(decodeMessage('GetThreadResponse', answer).uris).toEqual([root.uri, last.uri]);
    // The key below the parent and the row of each reply; before, a scan of as many rows.
    expect(rows).toBeGreaterThan(30_000);
    expect(rows).toBeLessThan(30_500);
  }, 180_000);

  it('of OP threads read twenty thousand replies for all roots, two thousand for each', async () => {
    const root = network.post(alice, 'root');
    const reply = { text: 'r', createdAt: network.now, reply: { root, parent: root } };
    network.putAll(alice, 'app.bsky.feed.post', new Array<object>(2_500).fill(reply));
    network.settle();
    const ask = encodeTexts(new Array<string>(15).fill(root.uri));
    const { answer, rows } = await counted(() => network.call(nodeCalls.opThreads, ask));
    const threads = decodeOpThreadsAnswer(answer);
    expect(threads.map(({ length }) => length)).toEqual([...new Array<number>(10).fill(2), 0, 0, 0, 0, 0]);
    expect(rows).toBeLessThan(20_100);
  });

  it('of feeds skip some thousand reposts of posts that do not exist, and feeds go on from there', async () => {
    const post = network.post(mallory, 'below');
    const createdAt = network.now;
    const reposts = Array.from({ length: 6_000 }, (_unused, index) => ({
      subject: { uri: `at://${numberedDid(index)}/app.bsky.feed.post/3kaaaaaaaaaaa`, cid: post.cid },
      createdAt,
    }));
    for (let from = 0; from < reposts.length; from += 2_000)
      network.putAll(mallory, 'app.bsky.feed.repost', reposts.slice(from, from + 2_000));
    network.settle();
    let rowsMax = 0;
    const pages = await pagesOf(async (cursor) => {
      const request = { actorDid: mallory, limit: 50, cursor };
      const { answer, rows } = await counted(() => network.ask('GetAuthorFeedRequest', request));
      rowsMax = Math.max(rowsMax, rows);
      return { items: answer.items, cursor: answer.cursor };
    });
    expect(pages.map((items) => items.map(({ uri }) => uri))).toEqual([[], [post.uri]]);
    expect(rowsMax).toBeLessThan(5_010);
    const newest = encodeNewestByAuthors({ before: null, limit: 50, authors: [mallory] });
    expect((await counted(() => network.call(nodeCalls.newestByAuthors, newest))).rows).toBeLessThan(2_500);
  });
});
