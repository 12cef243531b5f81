/** The shard map's checks: an error names the key and what it must be. */
import { describe, expect, it } from 'vitest';
import {
  hasReplicas,
  heldSlotsOf,
  parseShardMap,
  replicaSlotsOf,
  slotsOfNode,
} from '../../../src/shardmap/shard-map.ts';

const nodes = { a: { host: '127.0.0.1', port: 1 }, b: { host: '127.0.0.1', port: 0 } };
const shards = [
  { name: 's', primary: 'a', slots: ['2', '0-1'] },
  { name: 't', primary: 'b', replicas: [], slots: ['3'] },
];
const map = { $schema: 'x', epoch: 7, slots: 4, nodes, shards, adminTokenFile: 'token', tls: null };

/** The first shard with other fields, and the second as it is. */
function withShard(fields: object): object {
  return { ...map, shards: [{ ...shards[0], ...fields }, shards[1]] };
}

describe('a shard map', () => {
  it('maps each slot to the node that serves it', () => {
    const parsed = parseShardMap(map);
    expect(parsed).toMatchObject({ epoch: 7, slots: 4, adminTokenFile: 'token', clusterTokenFile: null, tls: null });
    expect(parsed.primaryBySlot).toEqual(['a', 'a', 'a', 'b']);
    expect(parsed.nodes.get('b')).toEqual({ name: 'b', host: '127.0.0.1', port: 0, zone: null, capacity: 1 });
    expect(parsed.lease).toBeNull();
    expect(slotsOfNode(parsed, 'a')).toEqual([0, 1, 2]);
  });

  it('says what nodes can take, who replicates a shard, and who may change it', () => {
    const parsed = parseShardMap({
      ...withShard({ replicas: ['b'] }),
      nodes: { a: { ...nodes.a, zone: 'west-1', capacity: 3 }, b: nodes.b },
      lease: { holder: 'ana', until: '2026-01-31T12:00:00Z' },
    });
    expect(parsed.nodes.get('a')).toMatchObject({ zone: 'west-1', capacity: 3 });
    expect(parsed.shards[0]!.replicas).toEqual(['b']);
    expect(parsed.lease).toEqual({ holder: 'ana', untilMs: Date.UTC(2026, 0, 31, 12) });
  });

  it('says which slots a node has as their primary, and which as a replica', () => {
    expect(hasReplicas(parseShardMap(map))).toBe(false);
    const replicated = parseShardMap(withShard({ replicas: ['b'] }));
    expect(hasReplicas(replicated)).toBe(true);
    expect([slotsOfNode(replicated, 'b'), replicaSlotsOf(replicated, 'b')]).toEqual([[3], [0, 1, 2]]);
    expect(['a', 'b'].map((node) => heldSlotsOf(replicated, node))).toEqual([
      [0, 1, 2],
      [0, 1, 2, 3],
    ]);
  });

  it.each([
    [[], 'top level: must be an object'],
    [
      { ...map, token: 'x' },
      'top level: unknown key "token" (known: $schema, cluster, epoch, slots, doubling, nodes, shards, ',
    ],
    [{ ...map, epoch: undefined }, 'epoch: must be a whole number from 1 to 4294967295'],
    [{ ...map, slots: 3 }, 'slots: must be a power of two'],
    [{ ...map, slots: 131_072 }, 'slots: must be a whole number from 1 to 65536'],
    [{ ...map, nodes: {} }, 'nodes: at least one node is needed'],
    [{ ...map, nodes: { A: nodes.a } }, 'nodes.A: a node name is lower-case letters, digits and "-"'],
    [{ ...map, nodes: { ...nodes, c: { host: 'h', port: 65_536 } } }, 'nodes.c.port: must be a whole number from 0'],
    [
      { ...map, nodes: { ...nodes, c: { host: 'h', prot: 1 } } },
      'nodes.c: unknown key "prot" (known: host, port, zone, capacity)',
    ],
    [{ ...map, nodes: { ...nodes, c: { ...nodes.a, zone: 'A' } } }, 'nodes.c.zone: a zone name is lower-case letters'],
    [
      { ...map, nodes: { ...nodes, c: { ...nodes.a, capacity: 0 } } },
      'nodes.c.capacity: must be a whole number from 1',
    ],
    [{ ...map, lease: { holder: 'ana' } }, 'lease.until: must be a time in UTC'],
    [{ ...map, lease: { holder: 'ana', until: '2026-01-31' } }, 'lease.until: must be a time in UTC'],
    [{ ...map, lease: { holder: '', until: '2026-01-31T12:00:00Z' } }, 'lease.holder: must be a text'],
    [{ ...map, adminTokenFile: '' }, 'adminTokenFile: must be a text that is not empty'],
    [{ ...map, tls: { certFile: 'c' } }, 'tls.keyFile: must be a text that is not empty'],
    [{ ...map, shards: {} }, 'shards: must be an array'],
    [withShard({ primary: 'c' }), 'shards[0].primary: no node is named "c"'],
    [withShard({ primary: ['a', 'b'] }), 'shards[0].primary: must be the name of one node: a shard has one primary'],
    [withShard({ replicas: 'b' }), 'shards[0].replicas: must be an array of node names'],
    [withShard({ replicas: ['b', 'c'] }), 'shards[0].replicas[1]: no node is named "c"'],
    [withShard({ replicas: ['a'] }), 'shards[0].replicas[0]: "a" is the primary; a replica is on another node'],
    [withShard({ replicas: ['b', 'b'] }), 'shards[0].replicas[1]: "b" is named twice'],
    [withShard({ slots: [] }), 'shards[0].slots: must be an array of ranges'],
    [withShard({ slots: ['0', '1-x'] }), 'shards[0].slots[1]: must look like "0-7" or "3"'],
    [withShard({ slots: ['2-1'] }), 'shards[0].slots[0]: must lie between 0 and 3, first not above last'],
    [withShard({ slots: ['0-4'] }), 'shards[0].slots[0]: must lie between 0 and 3, first not above last'],
    [withShard({ slots: ['0-3'] }), 'shards: slot 3 is in "s" and in "t"'],
    [withShard({ slots: ['0'] }), 'shards: slot 1 is in no shard'],
    [withShard({ name: 't' }), 'shards: two shards are named "t"'],
  ])('that holds %j is refused by name', (value, problem) => {
    // JSON has no undefined, so those keys become absent.
    const json: unknown = JSON.parse(JSON.stringify(value));
    expect(() => parseShardMap(json)).toThrow(`shard map: ${problem}`);
  });
});
