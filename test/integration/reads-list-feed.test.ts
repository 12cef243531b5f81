/** The feed of a list: its members' posts, newest first, over two nodes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ListRecords } from '../support/list-records.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import { refusal } from '../support/router-plans.ts';
import { didOf, pagesOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob, carol, dave] = [didOf('alice'), didOf('bob'), didOf('carol'), 'did:web:dave.example'];

describe.each([
  { slots: 2, isCached: true },
  { slots: 8, isCached: false },
])('the feed of a list over $slots slots, cached: $isCached', ({ slots, isCached }) => {
  let network: ReadsNetwork;
  let routed: RoutedNetwork;
  let lists: ListRecords;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
    routed = new RoutedNetwork(network, isCached);
    lists = new ListRecords(network);
  });
  afterEach(() => network[Symbol.asyncDispose]());

  const feedOf = async (listUri: string, limit = 50) => {
    const pages = await pagesOf(async (cursor) => {
      const { items, cursor: next } = await routed.ask('GetListFeed', { listUri, limit, cursor });
      return { items: items.map(({ uri, cid, repost }) => ({ uri, cid, repost })), cursor: next };
    });
    return pages;
  };
  const asItem = ({ uri, cid }: { readonly uri: string; readonly cid: string }) => ({ uri, cid, repost: '' });

  it.each([1, 2, 7])('shows posts and replies of members, no reposts, in pages of %i', async (limit) => {
    const list = lists.list(alice);
    for (const member of [bob, carol, dave]) lists.add(list, member);
    const expected: { uri: string; cid: string }[] = [];
    const at = network.timeMs;
    for (let index = 0; index < 9; index++) {
      // Three posts share each millisecond.
      network.timeMs = at + Math.floor(index / 3);
      const author = [bob, carol, dave][index % 3]!;
      const first = expected[0];
      expected.push(
        index % 2 === 1 && first !== undefined
          ? network.reply(author, `${index}`, first)
          : network.post(author, `${index}`),
      );
      network.repost(bob, network.post(alice, `of no member ${index}`));
    }
    const pages = await feedOf(list, limit);
    expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true);
    const found = pages.flat();
    expect(new Set(found)).toEqual(new Set(expected.map(asItem)));
    expect(found).toHaveLength(expected.length);
    const times = found.map(({ uri }) => Math.floor(expected.findIndex((post) => post.uri === uri) / 3));
    expect(times).toEqual(times.toSorted((a, b) => b - a));
  });

  it('follows its members and their posts as they come and go', async () => {
    const list = lists.list(alice);
    const [older, newer] = [network.post(bob, 'older'), network.post(carol, 'newer')];
    const item = lists.add(list, bob);
    expect(await feedOf(list)).toEqual([[asItem(older)]]);
    lists.add(list, carol);
    expect((await feedOf(list)).flat()).toEqual([asItem(newer), asItem(older)]);
    network.delete(item);
    expect((await feedOf(list)).flat()).toEqual([asItem(newer)]);
    network.delete(newer);
    expect(await feedOf(list)).toEqual([[]]);
    network.delete({ uri: list });
    const last = network.post(carol, 'last');
    expect((await feedOf(list)).flat()).toEqual([asItem(last)]);
  });

  it('leaves out who opted out of a reference list, also for its owner, and of no other', async () => {
    const [reference, curated] = [lists.list(alice, 'referencelist'), lists.list(alice)];
    for (const list of [reference, curated]) {
      for (const member of [bob, carol, dave]) lists.add(list, member);
      lists.optOut(carol, list);
    }
    const posts = [bob, carol, dave].map((member) => network.post(member, 'x'));
    expect((await feedOf(reference)).flat()).toEqual([asItem(posts[2]!), asItem(posts[0]!)]);
    expect((await feedOf(curated)).flat()).toHaveLength(3);
  });

  it('follows opt-outs and the purpose of the list as they change', async () => {
    const list = lists.list(alice);
    for (const member of [bob, carol]) lists.add(list, member);
    const [ofBob, ofCarol] = [network.post(bob, 'x'), network.post(carol, 'x')].map(asItem);
    const feed = async () => (await feedOf(list)).flat();
    const update = (purpose: string) =>
      network.put(
        alice,
        'app.bsky.graph.list',
        { name: 'n', purpose: `app.bsky.graph.defs#${purpose}`, createdAt: network.now },
        list.split('/').at(-1)!,
      );
    expect(await feed()).toEqual([ofCarol, ofBob]);
    const out = lists.optOut(carol, list);
    expect(await feed()).toEqual([ofCarol, ofBob]);
    update('referencelist');
    expect(await feed()).toEqual([ofBob]);
    network.delete(out);
    expect(await feed()).toEqual([ofCarol, ofBob]);
    lists.optOut(bob, list);
    expect(await feed()).toEqual([ofCarol]);
    update('modlist');
    expect(await feed()).toEqual([ofCarol, ofBob]);
  });

  it("takes one call to the list's node and one to each other, as all of a node's members do", async () => {
    const list = lists.list(alice);
    const members = Array.from({ length: 16 }, (_unused, index) => `did:web:m${index}.example`);
    for (const member of members) lists.add(list, member);
    for (const member of members) network.post(member, 'x');
    const before = routed.calls.length;
    expect((await feedOf(list)).flat()).toHaveLength(members.length);
    // The nodes of the cached variant are one node, which serves all slots.
    expect(routed.calls.slice(before)).toEqual(['slot.listFeed', ...(isCached ? [] : ['slot.newestPosts'])]);
  });

  it('goes on below many reposts of an author, and past more members than one page of them', async () => {
    const list = lists.list(alice);
    const post = network.post(bob, 'below');
    const subject = network.post(carol, 'reposted');
    const reposts = Array.from({ length: 300 }, () => ({ subject, createdAt: network.now }));
    network.putAll(bob, 'app.bsky.feed.repost', reposts);
    lists.add(list, bob);
    const items = Array.from({ length: 5_500 }, (_unused, index) => ({
      subject: `did:web:m${index}.example`,
      list,
      createdAt: network.now,
    }));
    for (let at = 0; at < items.length; at += 1_000)
      network.putAll(alice, 'app.bsky.graph.listitem', items.slice(at, at + 1_000));
    const last = network.post(items.at(-1)!.subject, 'last member');
    expect((await feedOf(list)).flat()).toEqual([asItem(last), asItem(post)]);
  });

  it('is empty for unknown lists and for a limit of 0, and refuses a bad token', async () => {
    const list = lists.list(alice);
    lists.add(list, bob);
    network.post(bob, 'x');
    for (const listUri of ['', 'at://x', `at://${alice}`, `${list}x`, `at://${carol}/app.bsky.graph.list/x`])
      expect(await routed.ask('GetListFeed', { listUri, limit: 5 })).toEqual({ items: [], cursor: '' });
    expect(await routed.ask('GetListFeed', { listUri: list, limit: 0 })).toEqual({ items: [], cursor: '' });
    const error = await refusal(routed.ask('GetListFeed', { listUri: list, limit: 5, cursor: 'x' }));
    expect(error.code).toBe('InvalidArgument');
  });
});
