/** What a request reads is bounded, however strangers arranged the data; pages go on from there. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { edgePageRowsMax } from '../../src/slot/table/edge-walk.ts';
import { RowCounter } from '../support/row-counter.ts';
import { didOf, pagesOf, ReadsNetwork } from './reads-network.ts';

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
    expect(all.map(({ length }) => length)).toEqual([1_000, 1_000, 501]);
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
