/** What a node removes of slots that have moved, and what it never touches. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { slotPath } from '../../../src/node/data-folder.ts';
import { noteMoves, takeFolder } from '../../../src/node/moved-slots.ts';
import { isSlotThere, noteSlotsMade } from '../../../src/node/slot-folders.ts';
import { fetchingPath } from '../../../src/node/snapshot-fetch.ts';
import type { MapJson } from '../../../src/shardmap/map-follower.ts';
import { parseShardMap, type ShardMap } from '../../../src/shardmap/shard-map.ts';
import { afterStep, beginMoves, type MoveStep } from '../../../src/shardmap/slot-move.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const address = { host: '127.0.0.1', port: 1 };
const start: MapJson = {
  epoch: 1,
  slots: 4,
  nodes: { a: address, b: address },
  shards: [{ name: 's0', primary: 'a', replicas: [], slots: ['0-3'] }],
};

let dataDir: string;
beforeEach(() => {
  dataDir = makeMemoryFolder('skyshard-moved-');
});
afterEach(() => rmSync(dataDir, { recursive: true }));

function put(path: string): void {
  mkdirSync(path, { recursive: true });
  writeFileSync(join(path, 'data.mdb'), 'rows');
}

function slotsThere(): number[] {
  return [0, 1, 2, 3].filter((slot) => isSlotThere(dataDir, slot));
}

/** Starts node `name` with a map, and returns what it says. */
async function begin(json: MapJson, name: string): Promise<string[]> {
  const said: string[] = [];
  await takeFolder(
    dataDir,
    parseShardMap(json),
    name,
    (message, fields) => void said.push(`${message} ${JSON.stringify(fields)}`),
  );
  return said;
}

const mapOf = (json: MapJson): ShardMap => parseShardMap(json);
const after = (json: MapJson, step: MoveStep): MapJson => afterStep(json, mapOf(json), step, []);
const begun = beginMoves(start, mapOf(start), [{ slot: 1, from: 'a', to: 'b' }]);
const dropped = after(after(begun, 'hand-over'), 'drop');

it('removes what the source has of a slot once it is dropped, and no other folder', async () => {
  for (const slot of [0, 1, 2, 3]) put(slotPath(dataDir, slot));
  noteSlotsMade(dataDir, [0, 1, 2, 3]);
  await begin(start, 'a');
  noteMoves(dataDir, mapOf(begun), 'a');
  expect(await begin(after(begun, 'hand-over'), 'a')).toEqual([]);
  expect(slotsThere()).toEqual([0, 1, 2, 3]);
  expect(await begin(dropped, 'a')).toEqual(['slots have moved away, and their folders are removed {"slots":[1]}']);
  expect(slotsThere()).toEqual([0, 2, 3]);
  expect(await begin(dropped, 'a')).toEqual([]);
});

it('removes what the target has of a slot once the move is cancelled, a copy that is whole too', async () => {
  noteMoves(dataDir, mapOf(begun), 'b');
  put(slotPath(dataDir, 1));
  put(fetchingPath(dataDir, 1));
  writeFileSync(join(fetchingPath(dataDir, 1), 'manifest.json'), '{}');
  await begin(after(begun, 'cancel'), 'b');
  expect([slotsThere(), existsSync(fetchingPath(dataDir, 1))]).toEqual([[], false]);
});

it('keeps what has become its own, whatever older map it is started with', async () => {
  noteMoves(dataDir, mapOf(begun), 'b');
  put(slotPath(dataDir, 1));
  for (const json of [after(begun, 'hand-over'), dropped]) noteMoves(dataDir, mapOf(json), 'b');
  await begin(start, 'b');
  await begin({ ...start, epoch: 9 }, 'b');
  expect(slotsThere()).toEqual([1]);
});

it('believes no map that is older than the one by which a slot moves', async () => {
  const late = { ...begun, epoch: 5 };
  noteMoves(dataDir, mapOf(late), 'b');
  put(slotPath(dataDir, 1));
  await begin({ ...start, epoch: 4 }, 'b');
  expect(slotsThere()).toEqual([1]);
});

it('never removes a slot of which no map said that it moves', async () => {
  put(slotPath(dataDir, 3));
  await begin(dropped, 'b');
  expect(slotsThere()).toEqual([3]);
});

it('removes what it gave even where it keeps, by the same map, what it took', async () => {
  const shards = [
    { name: 's0', primary: 'a', replicas: [], slots: ['0-1'] },
    { name: 's1', primary: 'b', replicas: [], slots: ['2-3'] },
  ];
  const both = { ...start, shards };
  const wishes = [
    { slot: 1, from: 'a', to: 'b' },
    { slot: 2, from: 'b', to: 'a' },
  ];
  const exchange = beginMoves(both, mapOf(both), wishes);
  const handedOver = after(exchange, 'hand-over');
  for (const slot of [0, 1, 2]) put(slotPath(dataDir, slot));
  for (const json of [exchange, handedOver, after(handedOver, 'drop')]) noteMoves(dataDir, mapOf(json), 'a');
  await begin(after(handedOver, 'drop'), 'a');
  expect(slotsThere()).toEqual([0, 2]);
});

it('leaves a slot that it is the primary of as it is, whatever copy of it came before', async () => {
  put(slotPath(dataDir, 1));
  put(fetchingPath(dataDir, 1));
  writeFileSync(join(fetchingPath(dataDir, 1), 'data.mdb'), 'a copy');
  writeFileSync(join(fetchingPath(dataDir, 1), 'manifest.json'), '{}');
  await begin(start, 'a');
  expect(readFileSync(join(slotPath(dataDir, 1), 'data.mdb'), 'utf8')).toBe('rows');
  expect(existsSync(fetchingPath(dataDir, 1))).toBe(false);
});

it('others have their turn while a folder is removed', async () => {
  put(slotPath(dataDir, 1));
  noteMoves(dataDir, mapOf(after(begun, 'hand-over')), 'a');
  let hadTurn = false;
  setImmediate(() => {
    hadTurn = true;
  });
  await begin(dropped, 'a');
  expect([slotsThere(), hadTurn]).toEqual([[], true]);
});
