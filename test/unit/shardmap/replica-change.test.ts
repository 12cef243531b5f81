/** Maps in which a node is a replica of more shards, or of fewer. */
import { describe, expect, it } from 'vitest';
import type { MapJson } from '../../../src/shardmap/map-follower.ts';
import { withoutReplica, withReplica } from '../../../src/shardmap/replica-change.ts';
import { parseShardMap, type Shard } from '../../../src/shardmap/shard-map.ts';

const address = { host: '127.0.0.1', port: 1 };
const json: MapJson = {
  epoch: 4,
  slots: 4,
  nodes: { a: address, b: address, c: address },
  shards: [
    { name: 's', primary: 'a', replicas: ['b'], slots: ['0-1'] },
    { name: 't', primary: 'b', slots: ['2'] },
    { name: 'u', primary: 'c', replicas: null, slots: ['3'] },
  ],
};
const map = parseShardMap(json);

function replicasOf(next: MapJson): (readonly string[])[] {
  expect(next['epoch']).toBe(5);
  return parseShardMap(next).shards.map(({ replicas }: Shard) => replicas);
}

describe('a replica', () => {
  it('is added to all shards that the node has no copy of, or to those that are named', () => {
    expect(replicasOf(withReplica(json, map, { node: 'b', shards: [] }))).toEqual([['b'], [], ['b']]);
    expect(replicasOf(withReplica(json, map, { node: 'c', shards: ['s'] }))).toEqual([['b', 'c'], [], []]);
  });

  it('is removed from all of its shards, or from those that are named', () => {
    expect(replicasOf(withoutReplica(json, map, { node: 'b', shards: [] }))).toEqual([[], [], []]);
  });

  it.each([
    [withReplica, { node: 'x', shards: [] }, 'the map has no node "x"'],
    [withReplica, { node: 'b', shards: ['x'] }, 'the map has no shard "x"'],
    [withReplica, { node: 'a', shards: ['s'] }, 'at node a: its primary is a, its replicas b'],
    [withReplica, { node: 'b', shards: ['s'] }, 'at node b: its primary is a, its replicas b'],
    [withoutReplica, { node: 'c', shards: [] }, 'there is no shard of which that changes anything at node c'],
  ])('that changes nothing, or cannot be, is refused by name', (change, wish, expected) => {
    expect(() => change(json, map, wish)).toThrow(expected);
  });
});
