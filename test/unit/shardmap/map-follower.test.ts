/** A process follows its map's file when a peer has a newer one, and says when it cannot. */
import { beforeEach, describe, expect, it } from 'vitest';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { MapFollower, type MapJson, type StoredMaps } from '../../../src/shardmap/map-follower.ts';
import { ManualClock } from '../../support/manual-clock.ts';

const nodes = { n0: { host: '127.0.0.1', port: 1 }, n1: { host: '127.0.0.1', port: 2 } };

function jsonOf(epoch: number, more: object = {}): MapJson {
  const shards = [{ name: 's0', primary: 'n0', slots: ['0-15'] }];
  return { epoch, slots: 16, nodes, shards, ...more };
}

let file: () => MapJson;
let stored: StoredMaps | null;
let reads: number;
let adopted: number[];
let notes: string[];
let problem: string | null;
let clock: ManualClock;
let maps: MapFollower;

beforeEach(() => {
  file = () => jsonOf(4);
  stored = null;
  [reads, adopted, notes, problem] = [0, [], [], null];
  clock = new ManualClock();
  maps = followerOf(jsonOf(4));
});

function followerOf(mapJson: MapJson, before?: StoredMaps): MapFollower {
  return new MapFollower({
    mapJson,
    ...(before === undefined ? {} : { stored: before }),
    store: (written) => {
      stored = written;
    },
    read: () => {
      reads++;
      return file();
    },
    check: ({ nodes }) => {
      if (nodes.has('bad')) throw new DataPlaneError('ConfigInvalid', 'not here');
    },
    adopt: ({ map: { epoch } }) => {
      if (problem === null) adopted.push(epoch);
      return problem;
    },
    note: (message) => notes.push(message),
    clock,
  });
}

it('the file is read for a newer epoch only, and its map is put in force', () => {
  file = () => jsonOf(6);
  for (const epoch of [1, 3, 4]) maps.saw(epoch);
  expect([reads, maps.isOutdated]).toEqual([0, false]);
  maps.saw(5);
  expect([reads, adopted, maps.map.epoch, maps.refusal()]).toEqual([1, [6], 6, null]);
  maps.saw(6);
  expect([reads, notes]).toEqual([1, []]);
});

it('without a newer file the map is out of date until there is one, and that is said once', () => {
  maps.saw(5);
  maps.saw(5);
  expect([reads, maps.isOutdated, maps.refusal()]).toEqual([1, true, expect.stringContaining('epoch 4, and a peer')]);
  for (let count = 0; count < 3; count++) {
    clock.advance(1_001);
    maps.saw(5);
  }
  expect(reads).toBe(4);
  expect(notes).toEqual([expect.stringContaining('epoch 5, this process that of 4: it is asked for')]);
  clock.advance(1_001);
  file = () => jsonOf(5);
  maps.saw(5);
  expect([maps.isOutdated, maps.map.epoch]).toEqual([false, 5]);
});

it.each([
  [
    'cannot be read',
    () =>
      (file = () => {
        throw new DataPlaneError('ConfigInvalid', 'no such file');
      }),
    'no such file',
  ],
  [
    'has another number of slots',
    () => (file = () => ({ ...jsonOf(5), slots: 32, shards: [{ name: 's0', primary: 'n0', slots: ['0-31'] }] })),
    '32 slots instead of 16',
  ],
  [
    'needs a new start',
    () => {
      file = () => jsonOf(5);
      problem = 'other slots';
    },
    'other slots',
  ],
])('a file that %s leaves the map in force but out of date', (_name, prepare, why) => {
  prepare();
  maps.saw(5);
  expect([maps.map.epoch, maps.isOutdated, adopted]).toEqual([4, true, []]);
  expect(notes).toEqual([expect.stringContaining(why)]);
});

describe('a push', () => {
  const prepare = (json: MapJson, push = 'p', isDry = false): void => maps.prepare(json, null, push, isDry);

  it('is a promise on disk, then a map in force on disk', () => {
    prepare(jsonOf(5));
    expect([maps.map.epoch, maps.prepared?.map.epoch, adopted]).toEqual([4, 5, []]);
    expect(stored).toEqual({ committed: null, prepared: jsonOf(5) });
    expect(followerOf(jsonOf(4), stored!).prepared?.digest).toBe(maps.prepared!.digest);
    maps.commit(jsonOf(5));
    expect([maps.map.epoch, maps.prepared, adopted]).toEqual([5, null, [5]]);
    expect(stored).toEqual({ committed: jsonOf(5), prepared: null });
  });

  it('that is repeated, or comes twice, changes nothing more', () => {
    for (let count = 0; count < 2; count++) prepare(jsonOf(5));
    for (let count = 0; count < 2; count++) maps.commit(jsonOf(5));
    prepare(jsonOf(5));
    expect([maps.map.epoch, maps.prepared, adopted]).toEqual([5, null, [5]]);
  });

  it('commits on a process that never promised, which missed the rest', () => {
    maps.commit(jsonOf(7));
    expect([maps.map.epoch, stored]).toEqual([7, { committed: jsonOf(7), prepared: null }]);
  });

  it.each([
    ['of a lower epoch', () => jsonOf(3), 'epoch 3 is below 4'],
    [
      'of the same epoch with other contents',
      () => jsonOf(4, { nodes: { ...nodes, n2: nodes.n0 } }),
      'epoch 4 is in force with other',
    ],
    ['with an unknown key', () => jsonOf(5, { token: 'x' }), 'unknown key "token"'],
    [
      'that leaves a slot out',
      () => jsonOf(5, { shards: [{ name: 's0', primary: 'n0', slots: ['0-14'] }] }),
      'slot 15 is in no shard',
    ],
    ['that this process cannot take', () => jsonOf(7, { nodes: { ...nodes, bad: nodes.n0 } }), 'not here'],
    [
      'of an epoch for which another map is prepared',
      () => jsonOf(6, { nodes: { ...nodes, n2: nodes.n0 } }),
      'is prepared',
    ],
  ])('%s is refused and changes nothing', (_name, json, problem) => {
    prepare(jsonOf(6), 'first');
    const [before, prepared] = [stored, maps.prepared];
    for (const isDry of [true, false]) expect(() => prepare(json(), 'second', isDry)).toThrow(problem);
    expect([stored, maps.prepared, maps.map.epoch]).toEqual([before, prepared, 4]);
  });

  it('of a higher epoch takes the place of one that was not finished', () => {
    prepare(jsonOf(5));
    prepare(jsonOf(6));
    expect(maps.prepared?.map.epoch).toBe(6);
  });

  it('is only tried by a dry run', () => {
    prepare(jsonOf(5), 'p', true);
    expect([stored, maps.prepared]).toEqual([null, null]);
  });

  it('is taken back by the last that asked for it, and by no other', () => {
    prepare(jsonOf(5), 'first');
    const { digest } = maps.prepared!;
    prepare(jsonOf(5), 'second');
    maps.abandon(digest, 'first');
    expect(maps.prepared?.map.epoch).toBe(5);
    maps.abandon(digest, 'second');
    expect([maps.prepared, stored]).toEqual([null, { committed: null, prepared: null }]);
  });

  it('keeps the token files and certificates of this machine', () => {
    maps = followerOf(jsonOf(4, { adminTokenFile: '/own' }));
    maps.commit(jsonOf(5, { adminTokenFile: '/theirs', clusterTokenFile: '/theirs' }));
    expect(maps.map).toMatchObject({ epoch: 5, adminTokenFile: '/own', clusterTokenFile: null });
  });

  it('ends the reading of the file', () => {
    maps.commit(jsonOf(5));
    file = () => jsonOf(9);
    maps.saw(6);
    expect([reads, maps.map.epoch, maps.isOutdated]).toEqual([0, 5, true]);
  });

  it('that needs a new start is on disk before the process ends', () => {
    problem = 'other slots';
    expect(() => maps.commit(jsonOf(5))).toThrow('other slots');
    expect([stored, maps.refusal()]).toEqual([
      { committed: jsonOf(5), prepared: null },
      expect.stringContaining('epoch 4, and a peer'),
    ]);
  });
});
