/** Pages of feed generators and starter packs, and the status of feed generators. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RoutedNetwork } from '../support/routed-network.ts';
import { refusal } from '../support/router-plans.ts';
import { didOf, pagesOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob] = [didOf('alice'), didOf('bob')];
const generator = 'app.bsky.feed.generator';
const starterPack = 'app.bsky.graph.starterpack';

describe.each([{ slots: 2 }, { slots: 8 }])('listed records over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  let routed: RoutedNetwork;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
    routed = new RoutedNetwork(network);
  });
  afterEach(() => network[Symbol.asyncDispose]());

  const feed = (rkey: string, createdAt: string) =>
    network.put(alice, generator, { did: bob, displayName: rkey, createdAt }, rkey).uri;
  const pack = (rkey: string, createdAt: string) =>
    network.put(alice, starterPack, { name: rkey, list: `at://${alice}/app.bsky.graph.list/l`, createdAt }, rkey).uri;
  const walk = (method: 'GetActorFeeds' | 'GetActorStarterPacks', limit: number, actorDid = alice) =>
    pagesOf(async (cursor) => {
      const { uris, cursor: next } = await routed.ask(method, { actorDid, limit, cursor });
      return { items: uris, cursor: next };
    });

  it.each([1, 2, 7])('lists feeds by createdAt, also a future one, in pages of %i', async (limit) => {
    const uris = ['z', 'm', 'whats-hot', 'a', 'b'].map((rkey, index) => feed(rkey, `2024-0${index + 1}-01T00:00:00Z`));
    const future = feed('later', '2031-01-01T00:00:00Z');
    const pages = await walk('GetActorFeeds', limit);
    expect(pages.flat()).toEqual([future, ...uris.reverse()]);
    expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true);
  });

  it.each([1, 2, 7])('lists starter packs by sort time, in pages of %i', async (limit) => {
    const future = pack('later', '2031-01-01T00:00:00Z');
    const uris = ['z', 'm', 'a'].map((rkey) => pack(rkey, network.now));
    expect((await walk('GetActorStarterPacks', limit)).flat()).toEqual([...uris.reverse(), future]);
  });

  it('lists a record that was updated at its new time, and none that was deleted', async () => {
    const [first, second, third] = ['a', 'b', 'c'].map((rkey, index) => feed(rkey, `2024-0${index + 1}-01T00:00:00Z`));
    feed('a', '2024-09-01T00:00:00Z');
    network.delete({ uri: third! });
    expect((await walk('GetActorFeeds', 2)).flat()).toEqual([first, second]);
    network.account(alice, false, 'deleted');
    expect(await walk('GetActorFeeds', 2)).toEqual([[]]);
  });

  it('answers unknown and malformed actors with no page, a limit of 0 with none, a bad token with an error', async () => {
    feed('a', network.now);
    for (const actorDid of [bob, '', 'nonsense']) {
      expect(await routed.ask('GetActorFeeds', { actorDid, limit: 5 })).toMatchObject({ uris: [], cursor: '' });
      expect(await routed.ask('GetActorStarterPacks', { actorDid, limit: 5 })).toMatchObject({ uris: [], cursor: '' });
    }
    expect(await routed.ask('GetActorFeeds', { actorDid: alice, limit: 0 })).toMatchObject({ uris: [], cursor: '' });
    const error = await refusal(routed.ask('GetActorFeeds', { actorDid: alice, limit: 5, cursor: 'x' }));
    expect(error.code).toBe('InvalidArgument');
  });

  it('says of each feed generator whether it is there, taken down or its account inactive', async () => {
    const [there, down, away] = ['there', 'down', 'away'].map((rkey) => feed(rkey, network.now));
    const record = { type: 'record-takedown', collection: generator, rkey: 'down', ref: 'T' } as const;
    network.write(alice, record);
    const other = network.put(bob, generator, { did: bob, displayName: 'b', createdAt: network.now }, 'b').uri;
    network.account(bob, false, 'deactivated');
    network.delete({ uri: away! });
    const uris = [there!, other, `at://${alice}/app.bsky.feed.post/x`, down!, away!, '', 'at://x', `at://${alice}`];
    const { status } = await routed.ask('GetFeedGeneratorStatus', { uris });
    expect(status).toEqual(['active', 'deactivated', '', 'takendown', '', '', '', '']);
    expect(await routed.ask('GetFeedGeneratorStatus', { uris: [] })).toMatchObject({ status: [] });
  });
});
