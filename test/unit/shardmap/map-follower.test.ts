/** A process follows its map's file when a peer has a newer one, and says when it cannot. */
import { beforeEach, expect, it } from 'vitest';
import { DataPlaneError } from '../../../src/base/data-plane-error.ts';
import { MapFollower } from '../../../src/shardmap/map-follower.ts';
import type { ShardMap } from '../../../src/shardmap/shard-map.ts';
import { twoNodeMap } from '../../support/fake-nodes.ts';
import { ManualClock } from '../../support/manual-clock.ts';

let file: () => ShardMap;
let reads: number;
let adopted: number[];
let notes: string[];
let problem: string | null;
let clock: ManualClock;
let maps: MapFollower;

beforeEach(() => {
  file = () => twoNodeMap(4);
  [reads, adopted, notes, problem] = [0, [], [], null];
  clock = new ManualClock();
  maps = new MapFollower({
    map: twoNodeMap(4),
    read: () => {
      reads++;
      return file();
    },
    adopt: ({ epoch }) => {
      if (problem === null) adopted.push(epoch);
      return problem;
    },
    note: (message) => notes.push(message),
    clock,
  });
});

it('the file is read for a newer epoch only, and its map is put in force', () => {
  file = () => twoNodeMap(6);
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
  expect(notes).toEqual([expect.stringContaining('epoch 5, this process that of 4: give this process the same map')]);
  clock.advance(1_001);
  file = () => twoNodeMap(5);
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
  ['has another number of slots', () => (file = () => ({ ...twoNodeMap(5), slots: 32 })), '32 slots instead of 16'],
  [
    'needs a new start',
    () => {
      file = () => twoNodeMap(5);
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
