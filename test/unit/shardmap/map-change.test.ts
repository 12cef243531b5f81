/** Which changes of the shard map are allowed, and what they change. */
import { describe, expect, it } from 'vitest';
import { checkMapChange, differencesOf } from '../../../src/shardmap/map-change.ts';
import { digestOf } from '../../../src/shardmap/map-digest.ts';
import { parseShardMap, type ShardMap } from '../../../src/shardmap/shard-map.ts';

const nodes = { a: { host: '127.0.0.1', port: 1 }, b: { host: '127.0.0.1', port: 2 } };
const shards = [
  { name: 's', primary: 'a', slots: ['0-1'] },
  { name: 't', primary: 'b', slots: ['2-3'] },
];
const until = '2026-01-31T12:00:00Z';

function mapOf(fields: object = {}): ShardMap {
  return parseShardMap({ cluster: 'main', epoch: 7, slots: 4, nodes, shards, ...fields });
}

const rules = { nowMs: Date.UTC(2026, 0, 1), holder: null };

describe('the digest of a map', () => {
  it('is equal for maps that say the same', () => {
    const same = mapOf({
      nodes: { b: { capacity: 1, ...nodes.b }, a: nodes.a },
      shards: [shards[1], { ...shards[0], slots: ['1', '0'], replicas: [] }],
      adminTokenFile: '/etc/token',
    });
    expect(digestOf(same)).toBe(digestOf(mapOf()));
  });

  it.each([
    { epoch: 8 },
    { cluster: 'other' },
    { nodes: { ...nodes, b: { ...nodes.b, port: 3 } } },
    { nodes: { ...nodes, b: { ...nodes.b, zone: 'z' } } },
    { nodes: { ...nodes, b: { ...nodes.b, capacity: 2 } } },
    { shards: [{ ...shards[0], primary: 'b' }, shards[1]] },
    { shards: [{ ...shards[0], replicas: ['b'] }, shards[1]] },
    { lease: { holder: 'ana', until } },
  ])('differs with %j', (fields) => {
    expect(digestOf(mapOf(fields))).not.toBe(digestOf(mapOf()));
  });
});

describe('a change of the map', () => {
  it('needs a higher epoch, but the same map may be pushed again', () => {
    expect(checkMapChange(mapOf(), mapOf({ epoch: 8 }), rules)).toBe(true);
    expect(checkMapChange(mapOf(), mapOf(), rules)).toBe(false);
  });

  it.each([
    [{ epoch: 6 }, 'epoch 6 is below 7, which is in force'],
    [{ nodes: { ...nodes, c: { host: 'h', port: 4 } } }, 'epoch 7 is in force with other contents'],
    [{ epoch: 8, cluster: 'other' }, 'it is of cluster "other", this is "main"'],
    [{ epoch: 8, slots: 8, shards: [{ ...shards[0], slots: ['0-7'] }] }, '8 slots, while the data has 4'],
    [{ epoch: 8, nodes: { ...nodes, b: { ...nodes.b, port: 0 } } }, 'nodes.b.port: 0 is no port'],
  ])('to %j is refused', (fields, problem) => {
    expect(() => checkMapChange(mapOf(), mapOf(fields), rules)).toThrow(problem);
  });

  it('is for the holder of a lease alone, until that ends', () => {
    const held = mapOf({ lease: { holder: 'ana', until } });
    const next = mapOf({ epoch: 8 });
    expect(() => checkMapChange(held, next, rules)).toThrow('ana holds the lease on the map until 2026-01-31T12:00');
    expect(() => checkMapChange(held, next, { ...rules, holder: 'ben' })).toThrow('ana holds the lease');
    expect(checkMapChange(held, next, { ...rules, holder: 'ana' })).toBe(true);
    expect(checkMapChange(held, next, { ...rules, nowMs: Date.parse(until) })).toBe(true);
    expect(checkMapChange(held, held, rules)).toBe(false);
  });
});

describe('the differences of two maps', () => {
  it('are those of nodes, shards and the lease', () => {
    const after = mapOf({
      epoch: 8,
      nodes: { a: { ...nodes.a, port: 9, zone: 'z', capacity: 2 }, c: { host: 'h', port: 3 } },
      shards: [
        { name: 's', primary: 'a', slots: ['0', '3'], replicas: ['c'] },
        { name: 't', primary: 'c', slots: ['1-2'] },
      ],
      lease: { holder: 'ana', until },
    });
    expect(differencesOf(mapOf(), after).map(Object.values)).toEqual([
      ['address', 'a', '127.0.0.1:1', '127.0.0.1:9'],
      ['zone', 'a', null, 'z'],
      ['capacity', 'a', '1', '2'],
      ['slots', 'a', '0-1', '0,3'],
      ['node', 'c', null, 'named'],
      ['address', 'c', null, 'h:3'],
      ['capacity', 'c', null, '1'],
      ['slots', 'c', null, '1-2'],
      ['replicas', 's', null, 'c'],
      ['lease', '', null, 'ana until 2026-01-31T12:00:00.000Z'],
      ['node', 'b', 'named', null],
      ['address', 'b', '127.0.0.1:2', null],
      ['capacity', 'b', '1', null],
      ['slots', 'b', '2-3', null],
    ]);
    expect(differencesOf(after, after)).toEqual([]);
  });
});
