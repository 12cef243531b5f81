/** What a node does about a newer map that it must start again for, or stop. */
import { rmSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { followNodeMap } from '../../../src/node/node-map.ts';
import type { MapJson } from '../../../src/shardmap/map-follower.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

let folder: string;
beforeEach(() => {
  folder = makeMemoryFolder('skyshard-node-map-');
});
afterEach(() => rmSync(folder, { recursive: true }));

function mapJson(epoch: number, ports: Readonly<Record<string, number>>): MapJson {
  const nodes = Object.fromEntries(Object.entries(ports).map(([name, port]) => [name, { host: '127.0.0.1', port }]));
  return { epoch, slots: 1, nodes, shards: [{ name: 's0', primary: 'n1', slots: ['0'] }] };
}

/** Returns what node n0, which has no slots, ends with as a map comes into force. */
function endOfNode(next: MapJson): Error[] {
  const failures: Error[] = [];
  const before = mapJson(1, { n0: 1, n1: 2 });
  const maps = followNodeMap({
    name: 'n0',
    mapJson: before,
    dataDir: folder,
    hasLogServer: true,
    readers: new Map(),
    readMap: () => before,
    useMap: () => {},
    fail: (error) => void failures.push(error),
    note: () => {},
    clock: systemClock,
  });
  expect(() => maps.commit(next)).toThrow('the shard map of epoch 2');
  return failures;
}

it('starts again at another address', () => {
  expect(endOfNode(mapJson(2, { n0: 7, n1: 2 }))).toMatchObject([
    { message: 'the shard map of epoch 2 gives node n0 another address', hint: 'Start the node again.' },
  ]);
});

it('stays stopped once the map does not name it', () => {
  expect(endOfNode(mapJson(2, { n1: 2 }))).toMatchObject([
    {
      message: 'the shard map of epoch 2 names no node n0 any more',
      hint: expect.stringContaining('Leave it stopped'),
    },
  ]);
});
