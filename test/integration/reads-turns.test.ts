/** Long reads let others go first: each turn takes few rows, and answers are as if it had not. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type RecordRef, recordUri } from '../../src/atproto/compact-key.ts';
import { ByteWriter } from '../../src/base/bytes.ts';
import { encodeMessage } from '../../src/proto/codec.ts';
import { turnMsMax } from '../../src/read/lookup/turn.ts';
import {
  encodeListProbes,
  encodeProbes,
  encodeRawFollowersAmong,
  openProbesAnswer,
  privateBit,
  readSubscriptions,
} from '../../src/wire/edge-messages.ts';
import { encodeTimeline } from '../../src/wire/feed-messages.ts';
import { encodeLabelersPosition } from '../../src/wire/labelers-page.ts';
import { encodeTexts } from '../../src/wire/message.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { decodeOpThreadsAnswer, encodeThread } from '../../src/wire/thread-messages.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { RowCounter } from '../support/row-counter.ts';
import { decodeNewestByAuthorsAnswer, encodeNewestByAuthors, keyBytesOf, rawLists } from '../support/wire-messages.ts';
import { didOf, numberedDid, ReadsNetwork, type StrongRef } from './reads-network.ts';

const [alice, bob, mallory] = [didOf('alice'), didOf('bob'), didOf('mallory')];
/** A turn ends at the first look at the clock, which may come after a step of some hundred rows. */
const turnRowsMax = 400;

/** Its time stands still or, once `isHasty`, every look ends a turn. */
class HastyClock extends ManualClock {
  isHasty = false;
  /** The most rows that were read from one look to the next. */
  turnRows = 0;

  override monotonicMs(): number {
    if (this.isHasty) this.endTurn();
    return super.monotonicMs();
  }

  endTurn(): void {
    this.advance(turnMsMax);
    this.turnRows = Math.max(this.turnRows, counter.count);
    counter.count = 0;
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

describe('a read that lasts longer than its turn', () => {
  const authors = Array.from({ length: 300 }, (_unused, index) => numberedDid(index));
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

it('merges feeds that other pages read on meanwhile in their order', async () => {
  const authors = [alice, bob, mallory];
  const uris: string[] = [];
  for (let index = 0; index < 360; index++) uris.unshift(network.post(authors[index % 3]!, 'post').uri);
  network.settle();
  clock.isHasty = true;
  const limits = [400, 90, 200, 150, 10];
  let yieldCount = 0;
  const answers = limits.map((limit) => {
    const answer = network.callNow(nodeCalls.newestByAuthors, encodeNewestByAuthors({ before: null, limit, authors }));
    if (!(answer instanceof Uint8Array)) yieldCount++;
    return answer instanceof Uint8Array ? Buffer.from(answer) : answer;
  });
  expect(yieldCount).toBeGreaterThan(1);
  for (const [index, answer] of (await Promise.all(answers)).entries()) {
    const items = decodeNewestByAuthorsAnswer(answer);
    expect(items.map(({ itemUri }) => itemUri)).toEqual(uris.slice(0, limits[index]));
  }
});

describe('a turn reads some hundred rows at most', () => {
  const listOf = (rkey: string): RecordRef => ({ did: mallory, collection: 'app.bsky.graph.list', rkey });
  const count = 1_500;
  const times = <Item>(make: (index: number) => Item): Item[] =>
    Array.from({ length: count }, (_unused, index) => make(index));

  /** Answers a call whose every look ends a turn, with the rows of the longest turn. */
  async function hasty(method: string, payload: Buffer): Promise<{ answer: Uint8Array; rows: number }> {
    counter.count = 0;
    clock.turnRows = 0;
    clock.isHasty = true;
    const answer = await network.call(method, payload);
    clock.isHasty = false;
    clock.endTurn();
    return { answer, rows: clock.turnRows };
  }

  it('of the lists to which actors subscribe', async () => {
    const createdAt = network.now;
    network.putAll(
      alice,
      'app.bsky.graph.listblock',
      times((index) => ({ subject: recordUri(listOf(`l${index}`)), createdAt })),
    );
    for (let index = 0; index < count; index++)
      network.write(bob, { type: 'list-mute', list: listOf(`l${String(index).padStart(4, '0')}`) });
    network.settle();
    const source = Buffer.from(alice + bob);
    const ranges = { source, starts: [0, alice.length], ends: [alice.length, source.length] };
    const kinds = privateBit.listBlocks | privateBit.listMutes;
    const probes = [0, 1].map((owner) => ({ owner, kinds, subject: owner }));
    const { answer, rows } = await hasty(nodeCalls.probeEdges, encodeProbes(ranges, [0, 1], probes));
    const reader = openProbesAnswer(Buffer.from(answer));
    // No probe of an edge found one.
    expect(reader.varint()).toBe(0);
    const subscriptions = readSubscriptions(reader);
    expect(subscriptions.map(({ owners, lists }) => [owners, lists.count])).toEqual([
      [[0], 1_000],
      [[1], 1_000],
    ]);
    expect(rows).toBeLessThan(turnRowsMax);
  });

  it('of the lists that an actor is on', async () => {
    const createdAt = network.now;
    const items = times((index) => ({ subject: alice, list: recordUri(listOf(`l${index}`)), createdAt }));
    network.putAll(mallory, 'app.bsky.graph.listitem', items);
    network.putAll(
      mallory,
      'app.bsky.graph.listitem',
      items.slice(0, 900).map((item) => ({ ...item, subject: bob })),
    );
    network.settle();
    const source = Buffer.from(alice + bob);
    const ranges = { source, starts: [0, alice.length], ends: [alice.length, source.length] };
    const others = times((index) => keyBytesOf(listOf(`x${index}`)));
    const asked = encodeListProbes(
      ranges,
      [0, 1],
      [rawLists(others)],
      [0, 1].map((subject) => ({ subject, lists: 0 })),
    );
    // Bob's are cached at the third request, alice's are too many.
    for (let time = 1; time <= 3; time++) expect((await hasty(nodeCalls.listed, asked)).rows).toBeLessThan(turnRowsMax);
    expect(
      (await hasty(nodeCalls.listed, encodeListProbes(ranges, [1], [rawLists(others)], [{ subject: 0, lists: 0 }])))
        .rows,
    ).toBe(0);
  });

  it('of an OP thread, and of labelers', async () => {
    const root = network.post(alice, 'root');
    const reply = { text: 'r', createdAt: network.now, reply: { root, parent: root } };
    network.putAll(
      alice,
      'app.bsky.feed.post',
      times(() => reply),
    );
    for (let index = 0; index < 400; index++)
      network.put(numberedDid(index), 'app.bsky.labeler.service', { policies: { labelValues: [] } }, 'self');
    network.settle();
    const thread = await hasty(nodeCalls.opThreads, encodeTexts([root.uri]));
    expect(decodeOpThreadsAnswer(Buffer.from(thread.answer))[0]).toHaveLength(2);
    expect(thread.rows).toBeLessThan(turnRowsMax);
    const labelers = await hasty(nodeCalls.labelers, encodeLabelersPosition({ slot: 0, owner: 0 }));
    expect(
      Buffer.from(labelers.answer)
        .toString('latin1')
        .match(/labeler\.service\/self/g),
    ).toHaveLength(400);
    expect(labelers.rows).toBeLessThan(turnRowsMax + 100);
  });
});
