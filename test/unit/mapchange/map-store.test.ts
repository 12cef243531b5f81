/** With which map a process starts: its file's, until one was pushed. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { mapAtStart, newestPushedMap, storeMaps } from '../../../src/mapchange/map-store.ts';
import type { MapJson } from '../../../src/shardmap/map-follower.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-map-store-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function jsonOf(epoch: number, port = 1): MapJson {
  const shards = [{ name: 's0', primary: 'n0', slots: ['0-3'] }];
  return { epoch, slots: 4, nodes: { n0: { host: '127.0.0.1', port } }, shards };
}

it('the file counts while nothing was pushed, and what was promised is there', () => {
  expect(mapAtStart(jsonOf(1), folder)).toMatchObject({ json: jsonOf(1), note: null });
  storeMaps(folder, { committed: null, prepared: jsonOf(2) });
  expect(mapAtStart(jsonOf(1), folder)).toMatchObject({ json: jsonOf(1), stored: { prepared: jsonOf(2) } });
});

it('the pushed map counts, with the token files of the given file', () => {
  storeMaps(folder, { committed: { ...jsonOf(3), adminTokenFile: '/old' }, prepared: null });
  const { json, note } = mapAtStart({ ...jsonOf(1), adminTokenFile: '/new' }, folder);
  expect([json, note]).toEqual([{ ...jsonOf(3), adminTokenFile: '/new' }, null]);
  expect(mapAtStart(jsonOf(3), folder).json).toEqual(jsonOf(3));
});

it('a newer file is not taken by itself, and that is said', () => {
  storeMaps(folder, { committed: jsonOf(3), prepared: null });
  expect(mapAtStart(jsonOf(4), folder)).toMatchObject({
    json: jsonOf(3),
    note: 'the file has epoch 4, but only a push changes the map, which is that of epoch 3',
  });
});

it('a file of the same epoch that says something else is refused', () => {
  storeMaps(folder, { committed: jsonOf(3), prepared: null });
  expect(() => mapAtStart(jsonOf(3, 9), folder)).toThrow('the file differs from the map of epoch 3 that was pushed');
});

it('the newest map of all processes is found, and nothing is left beside it', () => {
  const file = jsonOf(1);
  expect(newestPushedMap(join(folder, 'none'), file)).toBeNull();
  for (const [name, epoch] of [
    ['node-a', 2],
    ['node-b', 3],
  ] as const)
    storeMaps(join(folder, name), { committed: jsonOf(epoch), prepared: null });
  mkdirSync(join(folder, 'ingest'));
  expect(newestPushedMap(folder, file)?.map.epoch).toBe(3);
  expect(readdirSync(join(folder, 'node-a'))).toEqual(['map-state.json']);
});
