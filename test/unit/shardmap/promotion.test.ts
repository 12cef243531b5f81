/** Which replica becomes a primary, and the map that says so. */
import { describe, expect, it } from 'vitest';
import type { MapJson } from '../../../src/shardmap/map-follower.ts';
import { type CopyStatus, choosePromotions, mapAfter } from '../../../src/shardmap/promotion.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';

const address = { host: '127.0.0.1', port: 1 };
const json: MapJson = {
  epoch: 4,
  slots: 4,
  nodes: { a: address, b: address, c: address },
  shards: [
    { name: 's', primary: 'a', replicas: ['b', 'c'], slots: ['0'] },
    { name: 't', primary: 'a', replicas: ['c', 'b'], slots: ['1'] },
    { name: 'u', primary: 'b', replicas: ['a'], slots: ['2'] },
    { name: 'v', primary: 'c', slots: ['3'] },
  ],
};
const map = parseShardMap(json);

function copies(slots: readonly number[], more: Partial<CopyStatus> = {}): CopyStatus[] {
  return slots.map((slot) => ({ slot, behindMs: 0, log: null, ...more }));
}
const all = new Map([
  ['b', copies([0, 1, 2])],
  ['c', copies([0, 1, 3])],
]);

describe('promoting', () => {
  it('all from a lost node spreads its shards over replicas, by how much these have', () => {
    const chosen = choosePromotions(map, all, { node: null, from: 'a' });
    expect(chosen).toEqual([
      { shard: 's', before: 'a', after: 'b', behindMs: 0 },
      { shard: 't', before: 'a', after: 'c', behindMs: 0 },
    ]);
    const large = parseShardMap({ ...json, nodes: { a: address, b: address, c: { ...address, capacity: 4 } } });
    expect(choosePromotions(large, all, { node: null, from: 'a' }).map(({ after }) => after)).toEqual(['c', 'c']);
    const next = parseShardMap(mapAfter(json, chosen));
    expect(next.epoch).toBe(5);
    expect(next.primaryBySlot).toEqual(['b', 'c', 'b', 'c']);
    expect(next.shards.map(({ replicas }) => replicas)).toEqual([['c', 'a'], ['b', 'a'], ['a'], []]);
  });

  it('takes the replica that is least behind', () => {
    const late = new Map([...all, ['c', copies([0, 1, 3], { behindMs: 900 })]]);
    expect(choosePromotions(map, late, { node: null, from: 'a' }).map(({ after }) => after)).toEqual(['b', 'b']);
  });

  it('one node takes all shards of which it is a replica, or those of one other', () => {
    expect(choosePromotions(map, all, { node: 'b', from: null }).map(({ shard }) => shard)).toEqual(['s', 't']);
    expect(choosePromotions(map, all, { node: 'b', from: null, shards: ['t'] }).map(({ shard }) => shard)).toEqual([
      't',
    ]);
    const ofA = new Map([...all, ['a', copies([0, 1, 2])]]);
    expect(choosePromotions(map, ofA, { node: 'a', from: 'b' })).toEqual([
      { shard: 'u', before: 'b', after: 'a', behindMs: 0 },
    ]);
  });

  it.each([
    [{ node: 'x', from: null }, all, 'the map has no node "x"'],
    [{ node: 'b', from: null, shards: ['y'] }, all, 'the map has no shard "y"'],
    [{ node: 'c', from: 'b' }, all, 'node c is a replica of no such shard'],
    [{ node: null, from: 'c' }, all, 'no replica of shard v can be its primary: it has none'],
    [
      { node: 'b', from: null },
      new Map([['b', copies([0])]]),
      'no replica of shard t can be its primary: b: it does not have slot 1',
    ],
    [{ node: 'a', from: 'b' }, all, 'a: it does not answer'],
    [
      { node: 'b', from: null },
      new Map([['b', copies([0, 1], { log: 'the stream is gone' })]]),
      'b: the stream is gone',
    ],
  ])('of %j is refused by name', (wish, of, expected) => {
    expect(() => choosePromotions(map, of, wish)).toThrow(expected);
  });
});
