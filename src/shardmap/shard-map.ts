/**
 * The static shard map: slot → shard → nodes, with its epoch.
 *
 * Owns: the shape, its checks, and who serves a slot. Refuses: unknown keys, gaps or overlaps
 * of slots, unknown node names, and replicas. Pure: it reads no file.
 */
import * as v from 'valibot';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { objectShape, readShape, recordShape, textShape, wholeNumberShape } from '../config/json-shape.ts';

/** Where a node listens. Port 0 means any free port, chosen when the node starts. */
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

export type ShardMap = {
  /** Slots of a cluster of another name are refused; empty names none. */
  readonly cluster: string;
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

/** A slot index takes two bytes in chunks. */
const slotCountMax = 65_536;

const nodeNameShape = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a node name is lower-case letters, digits and "-"'),
);
const clusterNameShape = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/, 'a cluster name is lower-case letters, digits and "-"'),
);
const noReplicas = 'replicas need a replicated log, which this version does not have; leave it empty';
const rangesMessage = 'must be an array of ranges';
/** `"0-7"` or `"3"`. */
const rangeShape = v.pipe(textShape, v.regex(/^\d{1,5}(?:-\d{1,5})?$/, 'must look like "0-7" or "3"'));

const shardShape = objectShape({
  name: textShape,
  primary: textShape,
  replicas: v.nullish(v.pipe(v.array(v.unknown(), 'must be an array of node names'), v.maxLength(0, noReplicas))),
  slots: v.pipe(v.array(rangeShape, rangesMessage), v.minLength(1, rangesMessage)),
});

const mapShape = objectShape({
  $schema: v.optional(v.unknown()),
  cluster: v.optional(clusterNameShape),
  epoch: wholeNumberShape(1, 2 ** 32 - 1),
  slots: v.pipe(
    wholeNumberShape(1, slotCountMax),
    v.check((slots) => (slots & (slots - 1)) === 0, 'must be a power of two'),
  ),
  nodes: v.pipe(
    recordShape(nodeNameShape, objectShape({ host: textShape, port: wholeNumberShape(0, 65_535) })),
    v.check((nodes) => Object.keys(nodes).length > 0, 'at least one node is needed'),
  ),
  shards: v.array(shardShape, 'must be an array'),
  adminTokenFile: v.optional(textShape),
  clusterTokenFile: v.optional(textShape),
  tls: v.nullish(objectShape({ certFile: textShape, keyFile: textShape })),
});

function refuse(problem: string): never {
  throw new DataPlaneError('ConfigInvalid', `shard map: ${problem}`);
}

function slotsOfRange(range: string, where: string, slots: number): number[] {
  const [first = 0, last = first] = range.split('-').map(Number);
  if (first > last || last >= slots) {
    refuse(`${where}: must lie between 0 and ${slots - 1}, first not above last`);
  }
  return Array.from({ length: last - first + 1 }, (_unused, index) => first + index);
}

function ownersOf(shards: readonly Shard[], slots: number): string[] {
  const shardBySlot: (Shard | undefined)[] = new Array(slots).fill(undefined);
  const names = new Set<string>();
  for (const shard of shards) {
    if (names.has(shard.name)) refuse(`shards: two shards are named "${shard.name}"`);
    names.add(shard.name);
    for (const slot of shard.slots) {
      const other = shardBySlot[slot];
      if (other !== undefined) refuse(`shards: slot ${slot} is in "${other.name}" and in "${shard.name}"`);
      shardBySlot[slot] = shard;
    }
  }
  return shardBySlot.map((shard, slot) => shard?.primary ?? refuse(`shards: slot ${slot} is in no shard`));
}

/**
 * Checks a parsed `shard-map.json`.
 *
 * Errors: DataPlaneError `ConfigInvalid` naming the key and what it must be.
 */
export function parseShardMap(value: unknown): ShardMap {
  const { epoch, slots, tls, ...map } = readShape(mapShape, value, refuse);
  const nodes = new Map(Object.entries(map.nodes).map(([name, address]) => [name, { name, ...address }]));
  const shards = map.shards.map(({ name, primary, slots: ranges }, index): Shard => {
    const where = `shards[${index}]`;
    if (!nodes.has(primary)) refuse(`${where}.primary: no node is named "${primary}"`);
    const indexes = ranges.flatMap((range, at) => slotsOfRange(range, `${where}.slots[${at}]`, slots));
    return { name, primary, replicas: [], slots: indexes.sort((a, b) => a - b) };
  });
  return {
    cluster: map.cluster ?? '',
    epoch,
    slots,
    nodes,
    shards,
    primaryBySlot: ownersOf(shards, slots),
    adminTokenFile: map.adminTokenFile ?? null,
    clusterTokenFile: map.clusterTokenFile ?? null,
    tls: tls ?? null,
  };
}

/** Returns the slots that a node is primary of, ascending. */
export function slotsOfNode(map: ShardMap, nodeName: string): number[] {
  return map.primaryBySlot.flatMap((primary, slot) => (primary === nodeName ? [slot] : []));
}
