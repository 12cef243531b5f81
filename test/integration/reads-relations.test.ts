/** Relations by list and by mute, each in its own direction, over two nodes. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ListRecords } from '../support/list-records.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import { refusal } from '../support/router-plans.ts';
import { didOf, pagesOf, ReadsNetwork } from './reads-network.ts';

const [alice, bob, carol, dave] = [didOf('alice'), didOf('bob'), didOf('carol'), didOf('dave')];
const unrelated = {
  muted: false,
  mutedByList: '',
  blockedBy: '',
  blocking: '',
  blockedByList: '',
  blockingByList: '',
  following: '',
  followedBy: '',
  mutedOnlyReposts: false,
  mutedOnlyQuoteposts: false,
};
const unblocked = { blockedBy: '', blocking: '', blockedByList: '', blockingByList: '' };

describe.each([
  { slots: 2, isCached: true },
  { slots: 8, isCached: false },
])('relations over $slots slots, cached: $isCached', ({ slots, isCached }) => {
  let network: ReadsNetwork;
  let routed: RoutedNetwork;
  let lists: ListRecords;
  let list: string;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
    routed = new RoutedNetwork(network, isCached);
    lists = new ListRecords(network);
    list = lists.list(carol, 'modlist');
  });
  afterEach(() => network[Symbol.asyncDispose]());

  const relations = async (actorDid: string, ...targetDids: string[]) =>
    (await routed.ask('GetRelationships', { actorDid, targetDids })).relationships;
  const existence = (...pairs: (readonly [string, string])[]) =>
    routed.ask('GetBlockExistence', { pairs: pairs.map(([a, b]) => ({ a, b })) });
  const viaList = async (actorDid: string, targetDid: string) =>
    (await routed.ask('GetBidirectionalBlockViaList', { actorDid, targetDid })).listUri;
  const mutedVia = async (actorDid: string, targetDid: string) =>
    (await routed.ask('GetActorMutesActorViaList', { actorDid, targetDid })).listUri;

  it('says who blocks whom by a list, in both directions, while subscription and item last', async () => {
    const item = lists.add(list, bob);
    const block = lists.block(alice, list);
    const unused = lists.list(carol, 'modlist');
    lists.block(alice, unused);
    lists.block(dave, unused);
    expect(await relations(alice, bob, carol, dave)).toEqual([
      { ...unrelated, blockingByList: list },
      unrelated,
      unrelated,
    ]);
    expect(await relations(bob, carol, alice)).toEqual([unrelated, { ...unrelated, blockedByList: list }]);
    expect(await existence([alice, bob], [bob, alice], [alice, carol], [bob, dave])).toEqual({
      exists: [true, true, false, false],
      blocks: [{ ...unblocked, blockingByList: list }, { ...unblocked, blockedByList: list }, unblocked, unblocked],
    });
    expect([await viaList(alice, bob), await viaList(bob, alice), await viaList(alice, carol)]).toEqual([
      list,
      list,
      '',
    ]);
    network.delete(item);
    // Often enough for every cache.
    for (let time = 0; time < 5; time++) expect(await relations(alice, bob)).toEqual([unrelated]);
    lists.add(list, bob);
    for (let time = 0; time < 5; time++) expect(await relations(alice, bob)).toMatchObject([{ blockingByList: list }]);
    network.delete(block);
    expect(await relations(alice, bob)).toEqual([unrelated]);
    expect((await existence([bob, alice])).exists).toEqual([false]);
    expect(await viaList(bob, alice)).toBe('');
  });

  it('says whom an actor mutes by a list, to that actor alone', async () => {
    lists.add(list, bob);
    await routed.ask('CreateActorMutelistSubscription', { actorDid: alice, subjectUri: list });
    expect(await relations(alice, carol, bob)).toEqual([unrelated, { ...unrelated, mutedByList: list }]);
    expect(await relations(bob, alice)).toEqual([unrelated]);
    expect(await mutedVia(alice, bob)).toBe(list);
    expect([await mutedVia(bob, alice), await mutedVia(alice, carol), await mutedVia('', bob)]).toEqual(['', '', '']);
    expect((await existence([alice, bob])).exists).toEqual([false]);
    await routed.ask('ClearActorMutelistSubscriptions', { actorDid: alice });
    expect([await relations(alice, bob), await mutedVia(alice, bob)]).toEqual([[unrelated], '']);
  });

  it('says how an actor mutes another, by scope', async () => {
    const mute = (subjectDid: string, scope: object = {}) =>
      routed.ask('CreateActorMute', { actorDid: alice, subjectDid, ...scope });
    await mute(bob);
    await mute(carol, { onlyReposts: true });
    await mute(dave, { onlyReposts: true, onlyQuoteposts: true });
    expect(await relations(alice, bob, carol, dave, didOf('erin'))).toEqual([
      { ...unrelated, muted: true },
      { ...unrelated, mutedOnlyReposts: true },
      { ...unrelated, mutedOnlyReposts: true, mutedOnlyQuoteposts: true },
      unrelated,
    ]);
    expect(await relations(bob, alice)).toEqual([unrelated]);
    for (let time = 0; time < 5; time++) await relations(alice, bob);
    await routed.ask('DeleteActorMute', { actorDid: alice, subjectDid: bob });
    await mute(carol);
    expect(await relations(alice, bob, carol)).toEqual([unrelated, { ...unrelated, muted: true }]);
    await routed.ask('ClearActorMutes', { actorDid: alice });
    expect(await relations(alice, carol)).toEqual([unrelated]);
  });

  it('tells all at once, of several lists any one, and of a list that is gone as well', async () => {
    const other = lists.list(dave, 'curatelist');
    for (const each of [list, other]) {
      lists.add(each, bob);
      lists.add(each, alice);
      lists.block(alice, each);
    }
    lists.block(bob, other);
    lists.mute(alice, other);
    network.delete({ uri: list });
    const [follow, block] = [network.follow(alice, bob), network.block(bob, alice)];
    await routed.ask('CreateActorMute', { actorDid: alice, subjectDid: bob });
    const [relation] = await relations(alice, bob);
    expect([list, other]).toContain(relation!.blockingByList);
    expect(relation).toMatchObject({
      muted: true,
      mutedByList: other,
      blockedByList: other,
      following: follow.uri,
      blockedBy: block.uri,
    });
    const { exists, blocks } = await existence([bob, alice], [alice, bob]);
    expect(exists).toEqual([true, true]);
    expect(blocks).toMatchObject([
      { blocking: block.uri, blockedBy: '', blockingByList: other },
      { blocking: '', blockedBy: block.uri, blockedByList: other },
    ]);
  });

  it('finds actors on few, on many and on very many lists', async () => {
    lists.block(alice, list);
    const many = [didOf('few'), didOf('many'), didOf('verymany')];
    for (const [index, count] of [3, 100, 1_200].entries()) {
      const records = Array.from({ length: count }, (_unused, at) => ({
        subject: many[index]!,
        list: `at://${dave}/app.bsky.graph.list/l${at}`,
        createdAt: network.now,
      }));
      network.putAll(dave, 'app.bsky.graph.listitem', records);
    }
    // A node reads the lists of an actor only once it is asked for often enough.
    for (let time = 0; time < 5; time++) expect(await relations(alice, ...many)).toEqual(many.map(() => unrelated));
    for (const did of many) lists.add(list, did);
    for (let time = 0; time < 5; time++) {
      const found = await relations(alice, ...many, bob);
      expect(found.map(({ blockingByList }) => blockingByList)).toEqual([list, list, list, '']);
    }
  });

  it.each([1, 2, 7])('pages the lists that an actor blocks or mutes, newest list first, by %i', async (limit) => {
    const all = ['2024-01-01', '2030-01-01', '2024-03-01', '2024-02-01', '2024-02-01'].map((day, index) =>
      lists.list(index % 2 === 0 ? carol : dave, 'modlist', { createdAt: `${day}T00:00:00.000Z`, name: `l${index}` }),
    );
    for (const each of all) {
      lists.block(alice, each);
      lists.mute(alice, each);
    }
    const gone = lists.list(bob, 'modlist');
    lists.block(alice, gone);
    lists.mute(alice, gone);
    network.delete({ uri: gone });
    for (const method of ['GetBlocklistSubscriptions', 'GetMutelistSubscriptions'] as const) {
      const pages = await pagesOf(async (cursor) => {
        const { listUris, cursor: next } = await routed.ask(method, { actorDid: alice, limit, cursor });
        return { items: listUris, cursor: next };
      });
      expect(pages.slice(0, -1).every((page) => page.length === limit)).toBe(true);
      const found = pages.flat();
      expect([found[0], found[1], found[4]]).toEqual([all[1], all[2], all[0]]);
      expect(new Set(found)).toEqual(new Set(all));
      for (const actorDid of [bob, '', 'nonsense'])
        expect(await routed.ask(method, { actorDid, limit: 5 })).toEqual({ listUris: [], cursor: '' });
      expect(await routed.ask(method, { actorDid: alice, limit: 0 })).toEqual({ listUris: [], cursor: '' });
      const error = await refusal(routed.ask(method, { actorDid: alice, limit: 5, cursor: 'x' }));
      expect(error.code).toBe('InvalidArgument');
    }
  });

  it('answers unknown and malformed DIDs, repeats and empty batches in the order asked', async () => {
    lists.add(list, bob);
    lists.block(alice, list);
    const found = await relations(alice, '', bob, 'nonsense', didOf('nobody'), bob);
    expect(found.map(({ blockingByList }) => blockingByList)).toEqual(['', list, '', '', list]);
    expect(await relations('nonsense', bob)).toEqual([unrelated]);
    expect(await relations(alice)).toEqual([]);
    const { exists } = await existence([alice, ''], [alice, bob], ['', bob], [bob, bob], [bob, alice]);
    expect(exists).toEqual([false, true, false, false, true]);
    expect(await existence()).toEqual({ exists: [], blocks: [] });
    expect([await viaList('', bob), await viaList(alice, 'x')]).toEqual(['', '']);
  });
});
