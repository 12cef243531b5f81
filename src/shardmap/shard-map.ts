/**
 * The static shard map: slot → shard → nodes, with its epoch.
 *
 * Owns: the shape, its checks, and who serves a slot. Refuses: unknown keys, gaps or overlaps of slots, names that do not
 * resolve, and a replica without a replicated log.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';

/** Where a node listens. Port 0 stands for any free port, which is chosen when the node is started. */
export type NodeAddress = { readonly name: string; readonly host: string; readonly port: number };

/** The slots of one replica group, and the nodes that serve them. */
export type Shard = {
  readonly name: string;
  /** Node name. */
  readonly primary: string;
  readonly replicas: readonly string[];
  /** Ascending slot indexes. */
  readonly slots: readonly number[];
};

/** One checked map: who serves which slot at one epoch. */
export type ShardMap = {
  /** Rises by one with each change. */
  readonly epoch: number;
  /** A power of two. */
  readonly slots: number;
  readonly nodes: ReadonlyMap<string, NodeAddress>;
  readonly shards: readonly Shard[];
  /** Node name of the primary, by slot index. */
  readonly primaryBySlot: readonly string[];
  readonly adminTokenFile: string | null;
  readonly clusterTokenFile: string | null;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
};

/** The most slots that a map may have, since a slot index is two bytes in chunks. */
const slotCountMax = 65_536;

function fail(where: string, problem: string): never {
  throw new DataPlaneError('ConfigInvalid', `shard map: ${where}: ${problem}`);
}

function asObject(value: unknown, where: string, allowedKeys: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail(where, 'must be an object');
  for (const key of Object.keys(value)) {
    if (!allowedKeys.includes(key)) fail(where, `unknown key "${key}" (known: ${allowedKeys.join(', ')})`);
  }
  return value as Record<string, unknown>;
}

function asText(value: unknown, where: string): string {
  if (typeof value !== 'string' || value.length === 0) fail(where, 'must be a text that is not empty');
  return value;
}

function asInteger(value: unknown, where: string, min: number, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    fail(where, `must be a whole number from ${min} to ${max}`);
  }
  return value;
}

/** Reads `"0-7"` or `"3"` as slot indexes. */
function slotsOfRange(range: unknown, where: string, slots: number): number[] {
  const match = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(asText(range, where));
  if (match === null) fail(where, 'must look like "0-7" or "3"');
  const first = Number(match[1]);
  const last = Number(match[2] ?? match[1]);
  if (first > last || last >= slots) fail(where, `must lie between 0 and ${slots - 1}, first not above last`);
  return Array.from({ length: last - first + 1 }, (_unused, index) => first + index);
}

function parseNodes(value: unknown): Map<string, NodeAddress> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) fail('nodes', 'must be an object');
  const nodes = new Map<string, NodeAddress>();
  for (const [name, raw] of Object.entries(value)) {
    const where = `nodes.${name}`;
    if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(name)) fail(where, 'a node name is lower-case letters, digits and "-"');
    const node = asObject(raw, where, ['host', 'port']);
    nodes.set(name, {
      name,
      host: asText(node['host'], `${where}.host`),
      port: asInteger(node['port'], `${where}.port`, 0, 65_535),
    });
  }
  if (nodes.size === 0) fail('nodes', 'at least one node is needed');
  return nodes;
}

function parseShard(raw: unknown, index: number, slots: number, nodes: ReadonlyMap<string, NodeAddress>): Shard {
  const where = `shards[${index}]`;
  const shard = asObject(raw, where, ['name', 'primary', 'replicas', 'slots']);
  const primary = asText(shard['primary'], `${where}.primary`);
  if (!nodes.has(primary)) fail(`${where}.primary`, `no node is named "${primary}"`);
  const replicas = shard['replicas'] ?? [];
  if (!Array.isArray(replicas)) fail(`${where}.replicas`, 'must be an array of node names');
  if (replicas.length > 0)
    fail(`${where}.replicas`, 'replicas need a replicated log, which this version does not have; leave it empty');
  if (!Array.isArray(shard['slots']) || shard['slots'].length === 0)
    fail(`${where}.slots`, 'must be an array of ranges');
  const indexes = shard['slots'].flatMap((range, at) => slotsOfRange(range, `${where}.slots[${at}]`, slots));
  return { name: asText(shard['name'], `${where}.name`), primary, replicas: [], slots: indexes.sort((a, b) => a - b) };
}

function ownersOf(shards: readonly Shard[], slots: number): string[] {
  const shardBySlot: (Shard | undefined)[] = new Array(slots).fill(undefined);
  const names = new Set<string>();
  for (const shard of shards) {
    if (names.has(shard.name)) fail('shards', `two shards are named "${shard.name}"`);
    names.add(shard.name);
    for (const slot of shard.slots) {
      const other = shardBySlot[slot];
      if (other !== undefined) fail('shards', `slot ${slot} is in "${other.name}" and in "${shard.name}"`);
      shardBySlot[slot] = shard;
    }
  }
  return shardBySlot.map((shard, slot) => shard?.primary ?? fail('shards', `slot ${slot} is in no shard`));
}

function parseTls(raw: unknown): { certFile: string; keyFile: string } | null {
  if (raw === undefined || raw === null) return null;
  const tls = asObject(raw, 'tls', ['certFile', 'keyFile']);
  return { certFile: asText(tls['certFile'], 'tls.certFile'), keyFile: asText(tls['keyFile'], 'tls.keyFile') };
}

const topKeys = ['$schema', 'epoch', 'slots', 'nodes', 'shards', 'adminTokenFile', 'clusterTokenFile', 'tls'];

/**
 * Checks a parsed `shard-map.json`.
 *
 * Errors: DataPlaneError `ConfigInvalid` naming the key and what it must be.
 */
export function parseShardMap(value: unknown): ShardMap {
  const map = asObject(value, 'top level', topKeys);
  const epoch = asInteger(map['epoch'], 'epoch', 1, 2 ** 32 - 1);
  const slots = asInteger(map['slots'], 'slots', 1, slotCountMax);
  if ((slots & (slots - 1)) !== 0) fail('slots', 'must be a power of two');
  const nodes = parseNodes(map['nodes']);
  if (!Array.isArray(map['shards'])) fail('shards', 'must be an array');
  const shards = map['shards'].map((raw, index) => parseShard(raw, index, slots, nodes));
  const optionalFile = (key: string): string | null => (map[key] === undefined ? null : asText(map[key], key));
  return {
    epoch,
    slots,
    nodes,
    shards,
    primaryBySlot: ownersOf(shards, slots),
    adminTokenFile: optionalFile('adminTokenFile'),
    clusterTokenFile: optionalFile('clusterTokenFile'),
    tls: parseTls(map['tls']),
  };
}

/** Returns the slots that a node is primary of, ascending. */
export function slotsOfNode(map: ShardMap, nodeName: string): number[] {
  return map.primaryBySlot.flatMap((primary, slot) => (primary === nodeName ? [slot] : []));
}
