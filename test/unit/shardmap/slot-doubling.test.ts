/** Which maps begin and end a doubling, and how far one is said to be. */
import { describe, expect, it } from 'vitest';
import { checkMapChange, differencesOf } from '../../../src/shardmap/map-change.ts';
import { digestOf } from '../../../src/shardmap/map-digest.ts';
import type { MapJson } from '../../../src/shardmap/map-follower.ts';
import { parseShardMap, type ShardMap } from '../../../src/shardmap/shard-map.ts';
import { beginDoubling, doublingProgress, endDoubling } from '../../../src/shardmap/slot-doubling.ts';

const nodes = { a: { host: '127.0.0.1', port: 1 }, b: { host: '127.0.0.1', port: 2 } };
const shards = [
  { name: 's', primary: 'a', slots: ['0-2'] },
  { name: 't', primary: 'b', slots: ['3'] },
];
const rules = { nowMs: Date.UTC(2026, 0, 1), holder: null };

function jsonOf(fields: object = {}): MapJson {
  return { cluster: 'main', epoch: 7, slots: 4, nodes, shards, ...fields };
}

function doubled(fields: object = {}): { json: MapJson; map: ShardMap } {
  const json = beginDoubling(jsonOf(fields), parseShardMap(jsonOf(fields)));
  return { json, map: parseShardMap(json) };
}

describe('a doubling', () => {
  it('begins with each child where its parent is, and ends with the same slots', () => {
    const { json, map } = doubled();
    expect([map.epoch, map.slots, map.isDoubling]).toEqual([8, 8, true]);
    expect(map.primaryBySlot).toEqual(['a', 'a', 'a', 'b', 'a', 'a', 'a', 'b']);
    const before = parseShardMap(jsonOf());
    expect(checkMapChange(before, map, rules)).toBe(true);
    expect(differencesOf(before, map)).toContainEqual({
      what: 'doubling',
      name: '',
      before: null,
      after: '4 slots become 8',
    });
    const after = parseShardMap(endDoubling(json, map));
    expect([after.epoch, after.slots, after.isDoubling]).toEqual([9, 8, false]);
    expect(checkMapChange(map, after, rules)).toBe(true);
    expect(digestOf({ ...after, epoch: 8 })).not.toBe(digestOf(map));
  });

  it('is refused where it cannot be', () => {
    const refusal = (fields: object) => () => doubled(fields);
    expect(refusal({ doubling: true, shards: [{ name: 's', primary: 'a', slots: ['0-3'] }] })).toThrow(
      'doubled already',
    );
    const most = { slots: 65_536, shards: [{ name: 's', primary: 'a', slots: ['0-65535'] }] };
    expect(refusal(most)).toThrow('65536 slots cannot be doubled');
    const copied = { name: 's', primary: 'a', replicas: ['b'], slots: ['0-3'] };
    const move = { from: 'a', to: 'b', step: 'copying' };
    expect(refusal({ shards: [{ ...copied, move }] })).toThrow('slots 0-3 are moving from a to b');
  });

  it('changes the number of slots alone, and nothing else may', () => {
    const before = parseShardMap(jsonOf());
    const all = [{ name: 's', primary: 'a', slots: ['0-7'] }];
    const other = parseShardMap(jsonOf({ epoch: 8, slots: 8, shards: all }));
    expect(() => checkMapChange(before, other, rules)).toThrow('8 slots, while the data has 4');
    const moved = parseShardMap(jsonOf({ epoch: 8, slots: 8, doubling: true, shards: all }));
    expect(() => checkMapChange(before, moved, rules)).toThrow('slot 3 cannot go to another node');
    const { map } = doubled();
    const back = parseShardMap(jsonOf({ epoch: 9 }));
    expect(() => checkMapChange(map, back, rules)).toThrow('4 slots, while the data has 8');
    // Who was away meanwhile takes what is in force.
    expect(checkMapChange(before, other, { ...rules, isDecided: true })).toBe(true);
    expect(() => checkMapChange(map, back, { ...rules, isDecided: true })).toThrow('4 slots');
  });

  it('has copies change places and be given up, since a node may be lost, and none come', () => {
    const withC = { ...nodes, c: { host: '127.0.0.1', port: 3 } };
    const copied = [{ name: 's', primary: 'a', replicas: ['b'], slots: ['0-3'] }];
    const { json, map } = doubled({ nodes: withC, shards: copied });
    expect(map.shards).toMatchObject([{ primary: 'a', replicas: ['b'], slots: [0, 1, 2, 3, 4, 5, 6, 7] }]);
    const next = (primary: string, replicas: readonly string[]): ShardMap =>
      parseShardMap({ ...json, epoch: 9, shards: [{ name: 's', primary, replicas, slots: ['0-7'] }] });
    expect(checkMapChange(map, next('b', ['a']), rules)).toBe(true);
    expect(checkMapChange(map, next('b', []), rules)).toBe(true);
    expect(() => checkMapChange(map, next('a', ['b', 'c']), rules)).toThrow('slot 0 cannot go to another node');
    const apart = [
      { name: 's', primary: 'a', replicas: ['b'], slots: ['0-3'] },
      { name: 't', primary: 'a', replicas: [], slots: ['4-7'] },
    ];
    expect(() => parseShardMap({ ...json, epoch: 9, shards: apart })).toThrow('slot 4 must be with slot 0');
  });

  it('needs a map in which children are with their parents', () => {
    const apart = [
      { name: 's', primary: 'a', slots: ['0-3'] },
      { name: 't', primary: 'b', slots: ['4-7'] },
    ];
    expect(() => parseShardMap(jsonOf({ slots: 8, doubling: true, shards: apart }))).toThrow(
      'slot 4 must be with slot 0, of which it is made',
    );
    const one = [{ name: 's', primary: 'a', slots: ['0'] }];
    expect(() => parseShardMap(jsonOf({ slots: 1, doubling: true, shards: one }))).toThrow('twice as many');
  });

  it('is at what the slowest of a slot, its child and their copies is at', () => {
    const { map } = doubled();
    const said = (slot: number, slots: number, isDividing = false, knownSlots = slots) => {
      return { slot, slots, isDividing, knownSlots };
    };
    const ofA = [said(0, 4), said(1, 8, true, 4), said(2, 8), said(6, 8, true)];
    const phases = doublingProgress(
      map,
      new Map([
        ['a', ofA],
        ['b', [said(3, 8, false, 4), said(7, 8)]],
      ]),
    );
    expect([...phases]).toEqual([
      [0, 'waits'],
      [1, 'splits'],
      [2, 'removes'],
      [3, 'tells'],
    ]);
    const ofB = [said(3, 8), { ...said(7, 8), isIndexed: false }];
    expect([...doublingProgress(map, new Map([['b', ofB]])).values()]).toEqual(['waits', 'waits', 'waits', 'indexes']);
    const { map: copied } = doubled({ shards: [{ name: 's', primary: 'a', replicas: ['b'], slots: ['0-3'] }] });
    const phaseWith = (replica: readonly ReturnType<typeof said>[]): unknown =>
      doublingProgress(
        copied,
        new Map([
          ['a', [said(0, 8), said(4, 8)]],
          ['b', replica],
        ]),
      ).get(0);
    expect([phaseWith([said(0, 8), said(4, 8)]), phaseWith([said(0, 8)]), phaseWith([])]).toEqual([
      'done',
      'splits',
      'waits',
    ]);
  });
});
