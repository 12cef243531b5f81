/**
 * Who changed the shard map, and why: a file of each node to which a line is added for each map
 * that comes into force. No line is ever changed.
 *
 * A map names who made it (`change`), so a node that missed a push notes it once it has the map.
 */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { differencesOf } from '../shardmap/map-change.ts';
import { heldMapOf, type MapJson } from '../shardmap/map-follower.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { appendDurably } from '../storage/durable-file.ts';
import type { MapChangeNote } from '../wire/map-messages.ts';

const fileName = 'map-log.jsonl';
/** What is read of the end of the file, for those who ask. */
const readBytesMax = 256 * 2 ** 10;
const notesMax = 200;

function pathIn(folder: string): string {
  return join(folder, fileName);
}

/** Returns what a line says of a change. */
function noteOf(before: ShardMap, json: MapJson, atMs: number): MapChangeNote {
  const { map } = heldMapOf(json, {});
  const { by = '', what = '' } = (json['change'] ?? {}) as { readonly by?: string; readonly what?: string };
  const changes = differencesOf(before, map).map((change) => {
    const { what: kind, name, before: was, after } = change;
    return `${kind}${name === '' ? '' : ` of ${name}`}: ${was ?? 'none'} -> ${after ?? 'none'}`;
  });
  return { epoch: map.epoch, atMs, by, what, changes };
}

/** Adds a line for a map that comes into force. Returns when it is on disk. */
export function noteMapChange(folder: string, before: ShardMap, json: MapJson, atMs: number): void {
  appendDurably(pathIn(folder), `${JSON.stringify(noteOf(before, json, atMs))}\n`);
}

/** Returns the last lines, oldest first; what a crash left of one is left out. */
export function mapChangesIn(folder: string): MapChangeNote[] {
  if (!existsSync(pathIn(folder))) return [];
  const file = openSync(pathIn(folder), 'r');
  try {
    const { size } = fstatSync(file);
    const start = Math.max(0, size - readBytesMax);
    const bytes = Buffer.alloc(size - start);
    readSync(file, bytes, 0, bytes.length, start);
    const lines = bytes
      .toString('utf8')
      .split('\n')
      .slice(start > 0 ? 1 : 0);
    return lines.flatMap(readLine).slice(-notesMax);
  } finally {
    closeSync(file);
  }
}

function readLine(line: string): MapChangeNote[] {
  try {
    return line === '' ? [] : [JSON.parse(line) as MapChangeNote];
  } catch {
    return [];
  }
}
