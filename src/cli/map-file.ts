/** Reads the shard map's file, and chooses ports where 0 asks for any. */
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { dirname, resolve } from 'node:path';
import oneBoxMap from '../../shard-map.json' with { type: 'json' };
import { DataPlaneError } from '../base/data-plane-error.ts';
import { parseShardMap, type ShardMap } from '../shardmap/shard-map.ts';

/** `raw` is the JSON of the file, with absolute paths. */
export type MapFile = { readonly raw: Readonly<Record<string, unknown>>; readonly map: ShardMap };

/** Resolves file names against the map's folder, so that a copy of the map elsewhere finds them. */
function withAbsoluteFiles(raw: Record<string, unknown>, folder: string): Record<string, unknown> {
  const absolute = (holder: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(holder).map(([key, value]) => [
        key,
        key.endsWith('File') && typeof value === 'string' ? resolve(folder, value) : value,
      ]),
    );
  const { tls } = raw;
  return absolute(typeof tls === 'object' && tls !== null ? { ...raw, tls: absolute({ ...tls }) } : raw);
}

/**
 * Returns the first key that an object of a valid JSON text has twice, such as two primaries of a
 * shard, or null: what reads the text would take the last and drop the other without a word.
 */
function repeatedKeyOf(text: string): string | null {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\]:]/g) ?? [];
  const open: Set<string>[] = [];
  for (const [index, token] of tokens.entries()) {
    if (token === '{' || token === '[') open.push(new Set());
    else if (token === '}' || token === ']') open.pop();
    else if (token !== ':' && tokens[index + 1] === ':') {
      const keys = open.at(-1)!;
      if (keys.has(token)) return token;
      keys.add(token);
    }
  }
  return null;
}

/**
 * Reads and checks a map file that processes start with.
 *
 * Returns: the map, with the files that it names as absolute paths.
 * Errors: DataPlaneError `ConfigInvalid` naming the file or key, and what it must be.
 */
export function readMapFile(path: string): MapFile {
  let raw: unknown;
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
    raw = JSON.parse(text);
  } catch (cause) {
    throw new DataPlaneError('ConfigInvalid', `shard map ${path}: ${(cause as Error).message}`, { cause });
  }
  const repeated = repeatedKeyOf(text);
  if (repeated !== null) {
    throw new DataPlaneError('ConfigInvalid', `shard map ${path}: the key ${repeated} is there twice in one object`);
  }
  // Checked before paths change, so that an error shows a value as the file has it.
  parseShardMap(raw);
  const absolute = withAbsoluteFiles(raw as Record<string, unknown>, dirname(resolve(path)));
  return { raw: absolute, map: parseShardMap(absolute) };
}

/**
 * Reads a map file, or returns the built-in one-box map when no map was asked for and the file is
 * absent: an executable that is copied to an empty folder starts.
 */
export function readMapOrDefault(path: string, isExplicit: boolean): MapFile {
  if (isExplicit || existsSync(path)) return readMapFile(path);
  return { raw: oneBoxMap, map: parseShardMap(oneBoxMap) };
}

/**
 * Returns the map with its slots dealt out among `count` nodes of this machine, whose ports follow
 * that of its first node.
 *
 * Errors: DataPlaneError `ConfigInvalid` where an operator named the map, or has fewer slots.
 */
export function withNodes({ raw, map }: MapFile, count: number, isGiven: boolean): MapFile {
  if (isGiven) throw new DataPlaneError('ConfigInvalid', '--nodes: not with --map, which says how many there are');
  if (count > map.slots)
    throw new DataPlaneError('ConfigInvalid', `--nodes: the map has ${map.slots} slots, and each node needs one`);
  const [first] = [...map.nodes.values()];
  const { host, port } = first!;
  const names = Array.from({ length: count }, (_unused, index) => `n${index}`);
  const nodes = Object.fromEntries(names.map((name, index) => [name, { host, port: port === 0 ? 0 : port + index }]));
  const shards = names.map((primary, index) => {
    const [from, to] = [index, index + 1].map((part) => Math.floor((part * map.slots) / count)) as [number, number];
    return { name: `s${index}`, primary, replicas: [], slots: [`${from}-${to - 1}`] };
  });
  const dealt = { ...raw, nodes, shards };
  return { raw: dealt, map: parseShardMap(dealt) };
}

function reserve(host: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', (cause) => {
      reject(new DataPlaneError('ConfigInvalid', `no port is free on ${host}: ${cause.message}`, { cause }));
    });
    server.listen(0, host, () => resolve(server));
  });
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

/**
 * Returns the map with a free port for each node whose port is 0, since nodes need each other's
 * ports before they listen, and one more on each of `otherHosts`. All are held open together, so
 * that no two are the same.
 */
export async function withRealPorts(
  file: MapFile,
  otherHosts: readonly string[] = [],
): Promise<MapFile & { readonly otherPorts: readonly number[] }> {
  const held: Server[] = [];
  const freePort = async (host: string): Promise<number> => {
    const server = await reserve(host);
    held.push(server);
    return portOf(server);
  };
  try {
    const nodes: Record<string, object> = {};
    for (const [name, given] of Object.entries(file.raw['nodes'] as Record<string, object>)) {
      const { host, port } = file.map.nodes.get(name)!;
      nodes[name] = { ...given, port: port === 0 ? await freePort(host) : port };
    }
    const otherPorts: number[] = [];
    for (const host of otherHosts) otherPorts.push(await freePort(host));
    const raw = { ...file.raw, nodes };
    return { raw, map: parseShardMap(raw), otherPorts };
  } finally {
    await Promise.all(held.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}
