/** How many actors joined by a starter pack, within a week and ever. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.ts';
import { RoutedNetwork } from '../support/routed-network.ts';
import { cidOfText, didOf, ReadsNetwork } from './reads-network.ts';

const alice = didOf('alice');
const joiners = ['a', 'b', 'c', 'd', 'e'].map((name) => didOf(`joiner${name}`));
const packOf = (rkey: string) => ({ uri: `at://${alice}/app.bsky.graph.starterpack/${rkey}`, cid: cidOfText(rkey) });
const [one, other] = [packOf('one'), packOf('other')];
const dayMs = 86_400_000;

describe.each([{ slots: 2 }, { slots: 8 }])('joins over $slots slots', ({ slots }) => {
  let network: ReadsNetwork;
  let routed: RoutedNetwork;
  beforeEach(() => {
    network = new ReadsNetwork({ slots });
    routed = new RoutedNetwork(network);
    // Reads count the last week from now.
    network.timeMs = systemClock.nowMs() - dayMs;
    network.cluster.nowMs = systemClock.nowMs();
  });
  afterEach(() => network[Symbol.asyncDispose]());

  const join = (did: string, pack: object | null, createdAt: string | null = network.now) =>
    network.put(
      did,
      'app.bsky.actor.profile',
      { ...(pack === null ? {} : { joinedViaStarterPack: pack }), ...(createdAt === null ? {} : { createdAt }) },
      'self',
    );
  const counts = async (...packs: readonly { readonly uri: string }[]) => {
    const { joinedWeek, joinedAllTime } = await routed.ask('GetStarterPackCounts', { refs: packs });
    return packs.map((_pack, index) => [joinedWeek[index], joinedAllTime[index]]);
  };
  const ago = (ms: number) => new Date(systemClock.nowMs() - ms).toISOString();

  it('counts profiles by their createdAt, or else by when they came', async () => {
    join(joiners[0]!, one, ago(7 * dayMs - 60_000));
    join(joiners[1]!, one, ago(7 * dayMs + 60_000));
    join(joiners[2]!, one, ago(400 * dayMs));
    join(joiners[3]!, one, null);
    join(joiners[4]!, other, '2035-01-01T00:00:00.000Z');
    expect(await counts(other, one, one, packOf('none'))).toEqual([
      [1, 1],
      [2, 4],
      [2, 4],
      [0, 0],
    ]);
  });

  it('counts neither a profile that was deleted nor one that now names another pack or none', async () => {
    for (const did of joiners) join(did, one);
    expect(await counts(one)).toEqual([[5, 5]]);
    network.delete({ uri: `at://${joiners[0]}/app.bsky.actor.profile/self` });
    join(joiners[1]!, other);
    join(joiners[2]!, null);
    network.account(joiners[3]!, false, 'deleted');
    expect(await counts(one, other)).toEqual([
      [1, 1],
      [1, 1],
    ]);
    join(joiners[4]!, one, ago(30 * dayMs));
    expect(await counts(one)).toEqual([[0, 1]]);
  });

  it('counts for a pack that nobody has made, and for any record that profiles name', async () => {
    const list = { uri: `at://${alice}/app.bsky.graph.list/l`, cid: one.cid };
    join(joiners[0]!, list);
    join(joiners[1]!, one);
    expect(await counts(list, one)).toEqual([
      [1, 1],
      [1, 1],
    ]);
  });

  it('answers malformed and unknown packs with 0, and none with nothing', async () => {
    join(joiners[0]!, one);
    expect(await counts({ uri: '' }, one, { uri: 'at://x' }, { uri: `at://${didOf('nobody')}/a.b.c/d` })).toEqual([
      [0, 0],
      [1, 1],
      [0, 0],
      [0, 0],
    ]);
    expect(await routed.ask('GetStarterPackCounts', { refs: [] })).toMatchObject({ joinedWeek: [], joinedAllTime: [] });
  });
});
