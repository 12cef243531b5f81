/**
 * The shard maps of one process on disk: the one that was pushed last, and the one it has promised
 * to take. With which map a process starts.
 *
 * Paths of tokens and certificates are those of the given file, whatever was pushed.
 */
import { existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import * as v from 'valibot';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { openObjectShape, recordShape } from '../config/json-shape.ts';
import { type HeldMap, heldMapOf, type MapJson, type StoredMaps } from '../shardmap/map-follower.ts';
import { readDurable, writeDurably } from '../storage/durable-file.ts';

const fileName = 'map-state.json';
const mapShape = v.nullable(recordShape(v.string(), v.unknown()));
const shape = openObjectShape({ committed: mapShape, prepared: mapShape });

export type StartingMap = {
  readonly json: MapJson;
  readonly stored: StoredMaps;
  /** What an operator should know of the choice, or null. */
  readonly note: string | null;
};

/** Stores both maps in a process's folder. Returns when they are on disk. */
export function storeMaps(folder: string, maps: StoredMaps): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeDurably(join(folder, fileName), `${JSON.stringify(maps, null, 2)}\n`);
}

function readMaps(folder: string): StoredMaps {
  return readDurable(join(folder, fileName), shape) ?? { committed: null, prepared: null };
}

/**
 * Returns the map with which a process starts: the pushed one if there ever was one, else the file.
 *
 * Errors: DataPlaneError `ConfigInvalid` for a file of the same epoch that says something else.
 */
export function mapAtStart(fileJson: MapJson, folder: string): StartingMap {
  const stored = readMaps(folder);
  if (stored.committed === null) return { json: fileJson, stored, note: null };
  const pushed = heldMapOf(stored.committed, fileJson);
  const file = heldMapOf(fileJson, fileJson);
  const [own, given] = [pushed.map.epoch, file.map.epoch];
  if (own === given && pushed.digest !== file.digest) {
    const problem = `shard map: the file differs from the map of epoch ${own} that was pushed`;
    const hint = 'Put it back with `skyshard map show`, or change it, raise its epoch and push it.';
    throw new DataPlaneError('ConfigInvalid', problem, { hint });
  }
  const note =
    given > own ? `the file has epoch ${given}, but only a push changes the map, which is that of epoch ${own}` : null;
  return { json: pushed.json, stored, note };
}

/** Returns the newest map that was pushed to any process below a data folder, or null. */
export function newestPushedMap(dataDir: string, fileJson: MapJson): HeldMap | null {
  if (!existsSync(dataDir)) return null;
  let newest: HeldMap | null = null;
  for (const name of readdirSync(dataDir)) {
    const { committed } = readMaps(join(dataDir, name));
    const held = committed === null ? null : heldMapOf(committed, fileJson);
    if (held !== null && held.map.epoch > (newest?.map.epoch ?? 0)) newest = held;
  }
  return newest;
}
