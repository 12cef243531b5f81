/**
 * What moves of slots leave in a node's folder.
 *
 * `moves.json` lists the slots of which a map says that they move to this node or from it, and the
 * epoch of the last map that said so. Once a later map gives the node none of such a slot, its
 * folder is removed: the move was cancelled, or its source dropped. Refuses: to
 * touch any other folder, and to believe an older map.
 */
import { join } from 'node:path';
import * as v from 'valibot';
import { openObjectShape, wholeNumberShape } from '../config/json-shape.ts';
import { heldSlotsOf, type ShardMap } from '../shardmap/shard-map.ts';
import { movesOf } from '../shardmap/slot-move.ts';
import { readDurable, writeDurably } from '../storage/durable-file.ts';
import { removeFolder } from '../storage/remove-folder.ts';
import { slotPath } from './data-folder.ts';
import { installFetched } from './replica-rebuilds.ts';
import { forgetSlotsMade, isSlotThere } from './slot-folders.ts';
import { fetchingPath } from './snapshot-fetch.ts';

const shape = openObjectShape({
  epoch: wholeNumberShape(0, 2 ** 32 - 1),
  slots: v.array(wholeNumberShape(0, 65_535), 'must be an array of slots'),
});
type Noted = v.InferOutput<typeof shape>;

function pathIn(dataDir: string): string {
  return join(dataDir, 'moves.json');
}

function readNoted(dataDir: string): Noted {
  return readDurable(pathIn(dataDir), shape) ?? { epoch: 0, slots: [] };
}

function write(dataDir: string, before: Noted, epoch: number, slots: readonly number[]): void {
  const sorted = [...new Set(slots)].sort((one, other) => one - other);
  if (sorted.join() === before.slots.join()) return;
  writeDurably(pathIn(dataDir), `${JSON.stringify({ epoch, slots: sorted })}\n`);
}

/**
 * Notes the slots that move to a node or from it by a map, and lets go of those that have become
 * its own. Returns when that is on disk.
 */
export function noteMoves(dataDir: string, map: ShardMap, name: string): void {
  const noted = readNoted(dataDir);
  const moves = movesOf(map).filter(({ move }) => move.from === name || move.to === name);
  const moving = moves.flatMap(({ slots }) => slots);
  const held = new Set(heldSlotsOf(map, name));
  const isSettled = (slot: number): boolean => held.has(slot) && !moving.includes(slot);
  const left = noted.slots.filter((slot) => !isSettled(slot));
  write(dataDir, noted, map.epoch, [...left, ...moving]);
}

/** Brings a node's folder up to the map with which it starts; nothing of the folder is open. */
export async function takeFolder(
  dataDir: string,
  map: ShardMap,
  name: string,
  say: (message: string, fields: Record<string, unknown>) => void,
): Promise<void> {
  noteMoves(dataDir, map, name);
  const movedAway = await removeMovedAway(dataDir, map, name);
  if (movedAway.length > 0) say('slots have moved away, and their folders are removed', { slots: movedAway });
  // What a primary has is what others follow, whatever copy came before it was one.
  const isLed = (slot: number): boolean => map.primaryBySlot[slot] === name && isSlotThere(dataDir, slot);
  const others = heldSlotsOf(map, name).filter((slot) => !isLed(slot));
  await installFetched(dataDir, others, say);
}

/** Removes slots that have moved away, of which nothing is open. Returns them. */
export async function removeMovedAway(dataDir: string, map: ShardMap, name: string): Promise<number[]> {
  const noted = readNoted(dataDir);
  const held = new Set(heldSlotsOf(map, name));
  const gone = noted.slots.filter((slot) => !held.has(slot));
  if (gone.length === 0 || map.epoch < noted.epoch) return [];
  forgetSlotsMade(dataDir, gone);
  for (const slot of gone) {
    await removeFolder(slotPath(dataDir, slot));
    await removeFolder(fetchingPath(dataDir, slot));
  }
  const left = noted.slots.filter((slot) => held.has(slot));
  write(dataDir, noted, noted.epoch, left);
  return gone;
}
