/**
 * The static shard map: slot → shard → nodes, with its epoch.
 *
 * Owns: the shape, its checks, and who serves a slot. Refuses: unknown keys, gaps or overlaps
 * of slots, unknown node names, and a shard with two primaries. Pure: it reads no file.
 */
import * as v from 'valibot';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { objectShape, readShape, recordShape, textShape, wholeNumberShape } from '../config/json-shape.ts';
import { slotCountMax } from './slot-of.ts';

/** Where a node listens. Port 0 means any free port, chosen when the node starts. */
export type NodeAddress = {
  readonly name: string;
  readonly host: string;
  readonly port: number;
  /** What fails together with it, such as a rack or a data centre; null if nobody said. */
  readonly zone: string | null;
  /** Its share of the slots, in relation to that of other nodes. */
  readonly capacity: number;
};

/** A move of a copy of a shard's slots from one node to another, which is under way. */
export type ShardMove = {
  readonly from: string;
  readonly to: string;
  /** `copying` until `to` has taken the place of `from`, which then is `kept` in step. */
  readonly step: 'copying' | 'kept';
  /** True while nothing is copied. */
  readonly isPaused: boolean;
  /** How fast copies are fetched; null for as fast as it goes. Units: bytes per second. */
  readonly bytesPerSecond: number | null;
  /** What reads at the source of a copy may take while it is fetched, at the 99th percentile. */
  readonly p99MsMax: number | null;
};

/** The slots of one replica group, and the nodes that serve them. */
export type Shard = {
  readonly name: string;
  /** Node name. */
  readonly primary: string;
  readonly replicas: readonly string[];
  /** Ascending slot indexes. */
  readonly slots: readonly number[];
  /** Null while its slots stay where they are. */
  readonly move: ShardMove | null;
};

/** Who alone may change the map until a time, because a longer work on it is under way. */
export type MapLease = {
  readonly holder: string;
  /** Units: ms since 1970. */
  readonly untilMs: number;
};

export type ShardMap = {
  /** Slots of a cluster of another name are refused; empty names none. */
  readonly cluster: string;
  /** Rises by one with each change. */
  readonly epoch: number;
  /** A power of two. */
  readonly slots: number;
  /** True while slots of half as many split, each into itself and its child. */
  readonly isDoubling: boolean;
  readonly nodes: ReadonlyMap<string, NodeAddress>;
  readonly shards: readonly Shard[];
  /** Node name of the primary, by slot index. */
  readonly primaryBySlot: readonly string[];
  readonly lease: MapLease | null;
  readonly adminTokenFile: string | null;
  readonly clusterTokenFile: string | null;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
};

const capacityMax = 1_000_000;

const nameOf = (what: string) =>
  v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/, `a ${what} name is lower-case letters, digits and "-"`));
const nodeNameShape = nameOf('node');
const onePrimary = 'must be the name of one node: a shard has one primary';
const namesMessage = 'must be an array of node names';
const timeMessage = 'must be a time in UTC, such as "2026-01-31T12:00:00Z"';
const rangesMessage = 'must be an array of ranges';
/** `"0-7"` or `"3"`. */
const rangeShape = v.pipe(textShape, v.regex(/^\d{1,5}(?:-\d{1,5})?$/, 'must look like "0-7" or "3"'));

const moveShape = objectShape({
  from: textShape,
  to: textShape,
  step: v.picklist(['copying', 'kept'], 'must be copying or kept'),
  isPaused: v.optional(v.boolean('must be true or false'), false),
  bytesPerSecond: v.nullish(wholeNumberShape(1, Number.MAX_SAFE_INTEGER), null),
  p99MsMax: v.nullish(wholeNumberShape(1, 60_000), null),
});

const shardShape = objectShape({
  name: textShape,
  primary: v.pipe(v.string(onePrimary), v.minLength(1, onePrimary)),
  replicas: v.nullish(v.array(v.string(namesMessage), namesMessage)),
  slots: v.pipe(v.array(rangeShape, rangesMessage), v.minLength(1, rangesMessage)),
  move: v.nullish(moveShape),
});

const nodeShape = objectShape({
  host: textShape,
  port: wholeNumberShape(0, 65_535),
  zone: v.optional(nameOf('zone')),
  capacity: v.optional(wholeNumberShape(1, capacityMax)),
});

const leaseShape = objectShape({
  holder: textShape,
  until: v.pipe(v.string(timeMessage), v.isoTimestamp(timeMessage), v.endsWith('Z', timeMessage)),
});

const mapShape = objectShape({
  $schema: v.optional(v.unknown()),
  cluster: v.optional(nameOf('cluster')),
  epoch: wholeNumberShape(1, 2 ** 32 - 1),
  slots: v.pipe(
    wholeNumberShape(1, slotCountMax),
    v.check((slots) => (slots & (slots - 1)) === 0, 'must be a power of two'),
  ),
  doubling: v.nullish(v.boolean('must be true or false')),
  nodes: v.pipe(
    recordShape(nodeNameShape, nodeShape),
    v.check((nodes) => Object.keys(nodes).length > 0, 'at least one node is needed'),
  ),
  shards: v.array(shardShape, 'must be an array'),
  lease: v.nullish(leaseShape),
  /** Who made the map, and why; noted by nodes, and no part of what it says. */
  change: v.nullish(objectShape({ by: textShape, what: textShape })),
  adminTokenFile: v.optional(textShape),
  clusterTokenFile: v.optional(textShape),
  tls: v.nullish(objectShape({ certFile: textShape, keyFile: textShape })),
});

function refuse(problem: string): never {
  throw new DataPlaneError('ConfigInvalid', `shard map: ${problem}`, {
    hint: 'Correct it; `skyshard map validate --map <file>` checks a file. Nothing is changed.',
  });
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

/** Returns the checked replicas of a shard. `where` names their key. */
function replicasOf(
  replicas: readonly string[],
  primary: string,
  nodes: ShardMap['nodes'],
  where: string,
): readonly string[] {
  for (const [index, name] of replicas.entries()) {
    if (!nodes.has(name)) refuse(`${where}[${index}]: no node is named "${name}"`);
    if (name === primary) refuse(`${where}[${index}]: "${name}" is the primary; a replica is on another node`);
    if (replicas.indexOf(name) < index) refuse(`${where}[${index}]: "${name}" is named twice`);
  }
  return replicas;
}

/** Returns the checked move of a shard: both of its nodes have the shard's slots. */
function moveOf(move: ShardMove | null, { primary, replicas }: Pick<Shard, 'primary' | 'replicas'>, where: string) {
  if (move === null) return null;
  for (const name of [move.from, move.to])
    if (primary !== name && !replicas.includes(name)) refuse(`${where}: node "${name}" has no copy of the shard`);
  if (move.from === move.to) refuse(`${where}: it goes from "${move.from}" to itself`);
  return move;
}

/** Checks that children have the same copies as their parents, of which they are made. */
function requireDoubling(slots: number, shards: readonly Shard[]): void {
  if (slots === 1) refuse('doubling: one slot is not twice as many as before');
  const copiesBySlot = new Map<number, string>();
  for (const { primary, replicas, slots: own } of shards) {
    const copies = [primary, ...[...replicas].sort()].join();
    for (const slot of own) copiesBySlot.set(slot, copies);
  }
  for (let slot = 0, child = slots / 2; child < slots; slot++, child++)
    if (copiesBySlot.get(slot) !== copiesBySlot.get(child))
      refuse(`shards: slot ${child} must be with slot ${slot}, of which it is made, until doubling ends`);
}

/**
 * Checks a parsed `shard-map.json`.
 *
 * Errors: DataPlaneError `ConfigInvalid` naming the key and what it must be.
 */
export function parseShardMap(value: unknown): ShardMap {
  const { epoch, slots, tls, lease, ...map } = readShape(mapShape, value, refuse);
  const nodes = new Map(
    Object.entries(map.nodes).map(([name, { zone = null, capacity = 1, ...address }]) => [
      name,
      { name, ...address, zone, capacity },
    ]),
  );
  const shards = map.shards.map(({ name, primary, replicas, slots: ranges, move }, index): Shard => {
    const where = `shards[${index}]`;
    if (!nodes.has(primary)) refuse(`${where}.primary: no node is named "${primary}"`);
    const others = replicasOf(replicas ?? [], primary, nodes, `${where}.replicas`);
    const indexes = ranges.flatMap((range, at) => slotsOfRange(range, `${where}.slots[${at}]`, slots));
    const moving = moveOf(move ?? null, { primary, replicas: others }, `${where}.move`);
    return { name, primary, replicas: others, slots: indexes.sort((a, b) => a - b), move: moving };
  });
  const primaryBySlot = ownersOf(shards, slots);
  const isDoubling = map.doubling ?? false;
  if (isDoubling) requireDoubling(slots, shards);
  return {
    cluster: map.cluster ?? '',
    epoch,
    slots,
    isDoubling,
    nodes,
    shards,
    primaryBySlot,
    lease: lease == null ? null : { holder: lease.holder, untilMs: Date.parse(lease.until) },
    adminTokenFile: map.adminTokenFile ?? null,
    clusterTokenFile: map.clusterTokenFile ?? null,
    tls: tls ?? null,
  };
}

/** Returns whether a shard has replicas, which nodes can have only of logs on a server. */
export function hasReplicas({ shards }: ShardMap): boolean {
  return shards.some(({ replicas }) => replicas.length > 0);
}

/** Returns the slots that a node is primary of, ascending. */
export function slotsOfNode(map: ShardMap, nodeName: string): number[] {
  return map.primaryBySlot.flatMap((primary, slot) => (primary === nodeName ? [slot] : []));
}

/** Returns the slots of which a node is a replica, ascending. */
export function replicaSlotsOf({ shards }: ShardMap, nodeName: string): number[] {
  const own = shards.filter(({ replicas }) => replicas.includes(nodeName));
  return own.flatMap(({ slots }) => slots).sort((a, b) => a - b);
}

/** Returns the slots that a node has, as their primary or as a replica, ascending. */
export function heldSlotsOf(map: ShardMap, nodeName: string): number[] {
  return [...slotsOfNode(map, nodeName), ...replicaSlotsOf(map, nodeName)].sort((a, b) => a - b);
}

/** Formats ascending slots as ranges, such as `0-7,12`. */
export function rangesText(slots: readonly number[]): string {
  const ranges: [number, number][] = [];
  for (const slot of slots) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === slot - 1) last[1] = slot;
    else ranges.push([slot, slot]);
  }
  return ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}
