/** What a request reads is bounded, however strangers arranged the data; pages go on from there. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RecordRef, recordUri, writeRecordRef } from '../../src/atproto/compact-key.ts';
import { ByteWriter } from '../../src/base/bytes.ts';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import { turnMsMax } from '../../src/read/lookup/turn.ts';
import { edgePageRowsMax } from '../../src/slot/table/edge-walk.ts';
import {
  decodeListedAnswer,
  encodeListProbes,
  encodeProbes,
  encodeRawFollowersAmong,
  openProbesAnswer,
  privateBit,
  readSubscriptions,
} from '../../src/wire/edge-messages.ts';
import { encodeTimeline } from '../../src/wire/feed-messages.ts';
import { encodeFollowsOf, followsPageLimit, openFollowsOfAnswer } from '../../src/wire/follows-messages.ts';
import { encodeTexts } from '../../src/wire/message.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { decodeOpThreadsAnswer, encodeThread } from '../../src/wire/thread-messages.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { RowCounter } from '../support/row-counter.ts';
import { encodeNewestByAuthors, rawLists } from '../support/wire-messages.ts';
import { didOf, pagesOf, ReadsNetwork, type StrongRef } from './reads-network.ts';

const [alice, bob, mallory] = [didOf('alice'), didOf('bob'), didOf('mallory')];

/** Its time stands still or, once `isHasty`, every look ends a turn. */
class HastyClock extends ManualClock {
  isHasty = false;

  override monotonicMs(): number {
    if (this.isHasty) this.advance(turnMsMax);
    return super.monotonicMs();
  }
}

let counter: RowCounter;
let clock: HastyClock;
let network: ReadsNetwork;
beforeEach(() => {
  counter = new RowCounter();
  clock = new HastyClock();
  network = new ReadsNetwork({ slots: 1 }, false, counter, clock);
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

/** The DID of a number. */
function didOfNumber(number: number): string {
  return didOf(`n${[...number.toString(8)].map((digit) => 'abcdefgh'[Number(digit)]).join('')}z`);
}

describe('pages of edges', () => {
  it('of a repo that crowds its records into one second read a bounded window, and hold each edge once', async () => {
    const count = 3 * edgePageRowsMax;
    const createdAt = network.now;
    const follows = Array.from({ length: count }, (_unused, index) => ({ subject: didOfNumber(index), createdAt }));
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

function keyBytesOf(ref: RecordRef): Buffer {
  const writer = new ByteWriter(256);
  writeRecordRef(writer, ref);
  return writer.finish();
}

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
    putItems(Array.from({ length: 6_000 }, (_unused, index) => ({ subject: didOfNumber(index), list: listUri })));
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
      network.put(didOfNumber(index), 'app.bsky.graph.referencelistoptout', optOut);
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
      expect(decodeListedAnswer(answer, 2)).toEqual([0, 0]);
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
    const [subscriptions] = readSubscriptions(openProbesAnswer(first.answer));
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
    // The key below the parent and the row of each reply; before, one scan for small threads.
    expect(rows).toBeGreaterThan(20_000);
    expect(rows).toBeLessThan(21_500);
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
      subject: { uri: `at://${didOfNumber(index)}/app.bsky.feed.post/3kaaaaaaaaaaa`, cid: post.cid },
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

describe('a read that lasts longer than its turn', () => {
  const authors = Array.from({ length: 300 }, (_unused, index) => didOfNumber(index));
  let root: StrongRef;
  let replies: StrongRef[];
  let list: RecordRef;
  beforeEach(() => {
    root = network.post(alice, 'root');
    replies = authors.map((author) => network.reply(author, 'reply', root));
    for (let index = 0; index < 20; index++) network.reply(alice, 'more', root, replies[index]!);
    for (const author of authors) network.follow(alice, author);
    for (const author of authors) network.follow(author, alice);
    list = { did: mallory, collection: 'app.bsky.graph.list', rkey: 'l' };
    network.put(mallory, list.collection, { name: 'l', purpose: 'p', createdAt: network.now }, list.rkey);
    const items = authors.map((subject) => ({ subject, list: recordUri(list), createdAt: network.now }));
    network.putAll(mallory, 'app.bsky.graph.listitem', items);
    for (const author of authors.slice(0, 150))
      network.put(author, 'app.bsky.graph.listblock', { subject: recordUri(list), createdAt: network.now });
    network.settle();
  });

  function calls(): Record<string, Buffer> {
    const dids = Buffer.concat(authors.map((did) => new ByteWriter().text(did).finish()));
    const subjects = Buffer.concat([alice, bob].map((did) => new ByteWriter().text(did).finish()));
    const probed = { source: Buffer.from(authors.join('')), starts: [] as number[], ends: [] as number[] };
    for (let index = 0; index < authors.length; index++) {
      probed.starts.push(index * 32);
      probed.ends.push(index * 32 + 32);
    }
    const indexes = authors.map((_author, index) => index);
    const refs = replies.map(({ uri }) => ({ uri, cid: '' }));
    return {
      [nodeCalls.thread]: encodeThread({ root: root.uri, anchor: root.uri, above: 10, below: 10 }),
      [nodeCalls.postRoots]: encodeTexts(replies.map(({ uri }) => uri)),
      [nodeCalls.opThreads]: encodeTexts([root.uri, ...replies.map(({ uri }) => uri)]),
      [nodeCalls.timeline]: encodeTimeline({ did: alice, before: null, limit: 100 }),
      [nodeCalls.newestByAuthors]: encodeNewestByAuthors({ before: null, limit: 100, authors }),
      [nodeCalls.followersAmong]: encodeRawFollowersAmong(subjects, 2, dids, authors.length),
      [nodeCalls.probeEdges]: encodeProbes(
        probed,
        indexes,
        indexes.map((owner) => ({ owner, kinds: 31, subject: (owner + 1) % authors.length })),
      ),
      [nodeCalls.listed]: encodeListProbes(
        probed,
        indexes,
        [rawLists([keyBytesOf(list)])],
        indexes.map((subject) => ({ subject, lists: 0 })),
      ),
      [nodeCalls.lists]: encodeTexts(authors.map(() => recordUri(list))),
      [nodeCalls.newestPosts]: encodeNewestByAuthors({ before: null, limit: 100, authors }),
      'bsky.GetListMembership': encodeMessage('GetListMembershipRequest', {
        actorDid: authors[0]!,
        listUris: authors.map(() => recordUri(list)),
      }),
      'bsky.GetLikesByActorAndSubjects': encodeMessage('GetLikesByActorAndSubjectsRequest', { actorDid: alice, refs }),
    };
  }

  it('lets other reads go first, several at once, and answers as if it had never stopped', async () => {
    const requests = Object.entries(calls());
    const expected: Uint8Array[] = [];
    for (const [method, payload] of requests) expected.push(await network.call(method, payload));
    clock.isHasty = true;
    const running = requests.map(([method, payload]) => {
      // The caller reuses the payload's memory.
      const volatile = Buffer.from(payload);
      const answer = network.callNow(method, volatile);
      volatile.fill(0xff);
      expect(answer, method).toBeInstanceOf(Promise);
      return answer;
    });
    const quick = network.callNow('bsky.GetNotificationSeen', Buffer.alloc(0));
    expect(quick).toBeInstanceOf(Uint8Array);
    expect(await Promise.all(running)).toEqual(expected);
  });
});
