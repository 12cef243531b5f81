/** Lists as the official data plane reads them: members, counts, membership, opt-outs. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ListRecords } from '../support/list-records.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import { refusal } from '../support/router-plans.ts';
import { didOf, pagesOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob, carol] = [didOf('alice'), didOf('bob'), didOf('carol')];
const members = ['a', 'b', 'c', 'd', 'e'].map((name) => didOf(`member${name}`));

describe.each([{ slots: 2 }, { slots: 8 }])('lists over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  let routed: RoutedNetwork;
  let lists: ListRecords;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
    routed = new RoutedNetwork(network);
    lists = new ListRecords(network);
  });
  afterEach(() => network[Symbol.asyncDispose]());

  const membersOf = async (listUri: string, limit = 50, viewerDid = bob) => {
    const pages = await pagesOf(async (cursor) => {
      const { listitems, cursor: next } = await routed.ask('GetListMembers', { listUri, limit, cursor, viewerDid });
      return { items: listitems, cursor: next };
    });
    return pages;
  };
  const countOf = async (listUri: string) => (await routed.ask('GetListCount', { listUri })).count;
  const membership = async (actorDid: string, listUris: readonly string[]) =>
    (await routed.ask('GetListMembership', { actorDid, listUris })).listitemUris;

  it.each([1, 2, 7])('lists members newest first, those of one millisecond too, in pages of %i', async (limit) => {
    const list = lists.list(alice);
    const at = network.timeMs;
    const items = members.map((member, index) => {
      // Two items a millisecond.
      network.timeMs = at + Math.floor(index / 2);
      return lists.add(list, member).uri;
    });
    lists.add(lists.list(alice), carol);
    const pages = await membersOf(list, limit);
    expect(
      pages.map((page) => page.length).every((length, index) => length === limit || index === pages.length - 1),
    ).toBe(true);
    const found = pages.flat();
    expect(new Set(found.map(({ uri }) => uri))).toEqual(new Set(items));
    const times = found.map(({ did }) => Math.floor(members.indexOf(did) / 2));
    expect(times).toEqual(times.toSorted((a, b) => b - a));
    expect(await countOf(list)).toBe(members.length);
  });

  it('lists what an actor made newest first, without what it deleted', async () => {
    const [first, second, third] = [lists.list(alice), lists.list(alice, 'modlist'), lists.list(alice)];
    network.delete({ uri: second });
    const pages = await pagesOf(async (cursor) => {
      const { listUris, cursor: next } = await routed.ask('GetActorLists', { actorDid: alice, limit: 1, cursor });
      return { items: listUris, cursor: next };
    });
    expect(pages).toEqual([[third], [first]]);
    expect(await routed.ask('GetActorLists', { actorDid: 'nobody', limit: 5 })).toMatchObject({ listUris: [] });
  });

  it('counts one item for an actor however many there are, and the next oldest once that goes', async () => {
    const list = lists.list(alice);
    const items = [lists.add(list, bob), lists.add(list, bob), lists.add(list, bob)].map(({ uri }) => uri);
    expect(await membership(bob, [list])).toEqual([items[0]]);
    expect(await countOf(list)).toBe(1);
    network.delete({ uri: items[1]! });
    network.delete({ uri: items[0]! });
    expect(await membership(bob, [list])).toEqual([items[2]]);
    expect((await membersOf(list)).flat()).toEqual([{ uri: items[2], did: bob, subjectOptedOut: false }]);
    network.delete({ uri: items[2]! });
    expect(await membership(bob, [list])).toEqual(['']);
    expect([await countOf(list), await membersOf(list)]).toEqual([0, [[]]]);
  });

  it('moves a member whose item is updated to another list or another actor', async () => {
    const [one, two] = [lists.list(alice), lists.list(alice)];
    const { uri } = lists.add(one, bob, 'item');
    lists.add(two, carol, 'item');
    expect(await membership(bob, [one, two])).toEqual(['', '']);
    expect(await membership(carol, [one, two])).toEqual(['', uri]);
    const { listItems } = await routed.ask('GetListCounts', { refs: [one, two].map((list) => ({ uri: list })) });
    expect(listItems).toEqual([0, 1]);
  });

  it('keeps the members of a list whose record goes, until their items do', async () => {
    const list = lists.list(alice);
    const item = lists.add(list, bob);
    network.delete({ uri: list });
    expect((await membersOf(list)).flat().map(({ did }) => did)).toEqual([bob]);
    expect([await countOf(list), await membership(bob, [list])]).toEqual([1, [item.uri]]);
    network.account(alice, false, 'deleted');
    expect([await countOf(list), await membership(bob, [list])]).toEqual([0, ['']]);
  });

  it('hides who opted out from the update on that makes a list a reference list, until one unmakes it', async () => {
    const [list, other] = [lists.list(alice), lists.list(alice, 'referencelist')];
    for (const uri of [list, other]) {
      lists.add(uri, carol);
      lists.optOut(carol, uri);
    }
    const isShown = async (uri: string) => (await membersOf(uri)).flat().length === 1;
    const update = (uri: string, purpose: string) =>
      network.put(
        alice,
        'app.bsky.graph.list',
        { name: 'n', purpose: `app.bsky.graph.defs#${purpose}`, createdAt: network.now },
        uri.split('/').at(-1)!,
      );
    expect([await isShown(list), await isShown(other)]).toEqual([true, false]);
    update(list, 'referencelist');
    update(other, 'modlist');
    expect([await isShown(list), await isShown(other)]).toEqual([false, true]);
    update(list, 'curatelist');
    expect(await isShown(list)).toBe(true);
  });

  it('hides who opted out of a reference list from all but its owner, and of no other list', async () => {
    const [reference, curated] = [lists.list(alice, 'referencelist'), lists.list(alice)];
    for (const list of [reference, curated]) for (const member of members) lists.add(list, member);
    const outs = [reference, curated].map((list) => lists.optOut(members[1]!, list).uri);
    lists.optOut(members[1]!, reference);
    lists.optOut(bob, reference);
    for (const limit of [1, 2, 7]) {
      const shown = (await membersOf(reference, limit)).flat();
      expect(shown.map(({ did }) => did)).toEqual(members.filter((_did, index) => index !== 1).reverse());
      expect(shown.some(({ subjectOptedOut }) => subjectOptedOut)).toBe(false);
    }
    expect((await membersOf(curated)).flat()).toHaveLength(members.length);
    const own = (await membersOf(reference, 2, alice)).flat();
    expect(own.map(({ subjectOptedOut }) => subjectOptedOut)).toEqual([false, false, false, true, false]);
    expect(await countOf(reference)).toBe(members.length);
    const ask = (actorDid: string) =>
      routed.ask('GetReferencelistoptoutsByActorAndSubjects', {
        actorDid,
        subjectUris: [curated, reference, reference, `at://${alice}/app.bsky.graph.list/none`, ''],
      });
    expect((await ask(members[1]!)).uris).toEqual(['', outs[0], outs[0], '', '']);
    expect((await ask(carol)).uris).toEqual(['', '', '', '', '']);
    // No later opt-out takes the place of one that is deleted.
    network.delete({ uri: outs[0]! });
    expect((await ask(members[1]!)).uris).toEqual(['', '', '', '', '']);
    expect((await membersOf(reference)).flat()).toHaveLength(members.length);
  });

  it('ends with a full page where only members who opted out follow', async () => {
    const list = lists.list(alice, 'referencelist');
    for (const member of members) lists.add(list, member);
    lists.optOut(members[0]!, list);
    lists.optOut(members[1]!, list);
    const sizes = (await membersOf(list, 1)).map((page) => page.length);
    expect(sizes).toEqual(members.slice(2).map(() => 1));
  });

  it('finds the record by which an actor blocks a list, also of a list that does not exist', async () => {
    const list = lists.list(bob, 'modlist');
    const [first, second] = [lists.block(alice, list), lists.block(alice, list)];
    const ask = (listUri: string, actorDid = alice) => routed.ask('GetBlocklistSubscription', { actorDid, listUri });
    expect((await ask(list)).listblockUri).toBe(first.uri);
    network.delete(first);
    network.delete({ uri: list });
    expect((await ask(list)).listblockUri).toBe(second.uri);
    for (const none of ['', 'at://x', `at://${bob}`]) expect((await ask(none)).listblockUri).toBe('');
    expect((await ask(list, 'nobody')).listblockUri).toBe('');
  });

  it('answers unknown lists and actors with nothing, in the order asked, and refuses a bad token', async () => {
    const list = lists.list(alice);
    const item = lists.add(list, bob);
    const unknown = ['', 'at://x', `at://${carol}/app.bsky.graph.list/x`, `${list}x`, 'at://alice.example/a/b'];
    for (const uri of unknown) {
      expect(await routed.ask('GetListMembers', { listUri: uri, limit: 5 })).toMatchObject({
        listitems: [],
        cursor: '',
      });
      expect(await countOf(uri)).toBe(0);
    }
    expect(await membership(bob, [...unknown, list, ...unknown])).toEqual([
      ...unknown.map(() => ''),
      item.uri,
      ...unknown.map(() => ''),
    ]);
    expect(await membership('nobody', [list, list])).toEqual(['', '']);
    expect(await membership(bob, [])).toEqual([]);
    const refs = [...unknown, list].map((uri) => ({ uri }));
    expect((await routed.ask('GetListCounts', { refs })).listItems).toEqual([...unknown.map(() => 0), 1]);
    expect((await routed.ask('GetListCounts', { refs: [] })).listItems).toEqual([]);
    expect(await routed.ask('GetListMembers', { listUri: list, limit: 0 })).toMatchObject({ listitems: [] });
    const error = await refusal(routed.ask('GetListMembers', { listUri: list, limit: 5, cursor: 'x' }));
    expect(error.code).toBe('InvalidArgument');
  });
});
