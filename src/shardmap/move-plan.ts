/**
 * Which copies of slots should go where: to empty a node, or to spread what there is by capacity.
 *
 * Owns: the weight of a copy, the choice of targets, and why a node is none; which node a copy
 * comes from, and the room that it takes there and at its target. Refuses: a target that has a copy
 * of the slot, no room, or says nothing; a slot that no node has the room to copy. Two copies of a
 * slot are in one zone only where they are now, or where there is no other way. Pure.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { Shard, ShardMap } from './shard-map.ts';
import type { MoveWish } from './slot-move.ts';

/** A copy of a slot, as its node says. */
export type CopyFigures = {
  readonly slot: number;
  readonly bytes: number;
  /** Entries applied a second; 0 where nobody has measured it. */
  readonly entriesPerS: number;
};
/** `freeBytes`: of the disk of a node; null where it does not say. */
export type NodeFigures = { readonly copies: readonly CopyFigures[]; readonly freeBytes: number | null };
/** By node; those that do not answer are not in it. */
export type ClusterFigures = ReadonlyMap<string, NodeFigures>;

export type PlannedMove = MoveWish & { readonly bytes: number };
/** What is reviewed, saved, and applied later to the same map. */
export type MovePlan = { readonly cluster: string; readonly epoch: number; readonly moves: readonly PlannedMove[] };

/** What moves take of the disk of a node, with what must be left of it. Units: bytes. */
export type MoveRoom = {
  readonly node: string;
  /** The slot of which it makes the largest copy for others, if it makes any. */
  readonly slot: number | null;
  readonly neededBytes: number;
  /** Null where it does not say. */
  readonly freeBytes: number | null;
};

/** A node counts as full when less would be left. Units: bytes. */
const reserveBytes = 256 * 2 ** 20;
/** Nodes whose load differs by less from their share are left as they are. */
const shareTolerance = 0.1;

function copiesOf({ primary, replicas }: Shard): string[] {
  return [primary, ...replicas];
}

function shardOf(map: ShardMap, slot: number): Shard {
  return map.shards.find(({ slots }) => slots.includes(slot))!;
}

/** Returns whom a node asks for a copy of a slot: other replicas first, to spare the primary. */
export function copySources({ shards }: ShardMap, slot: number, to: string): string[] {
  const shard = shards.find(({ slots }) => slots.includes(slot));
  return shard === undefined ? [] : [...shard.replicas, shard.primary].filter((node) => node !== to);
}

/** Returns what a node lacks to take so many bytes more; 0 or less for nothing. */
function missingBytes({ freeBytes }: Pick<NodeFigures, 'freeBytes'>, bytes: number): number {
  return bytes + reserveBytes - (freeBytes ?? Number.POSITIVE_INFINITY);
}

/** A node that copies a slot to its own disk, to give it to another. */
type Giver = { readonly node: string; readonly missing: number };

/** Returns the first node with room, or else the last one; null where none answers. */
function giverOf(map: ShardMap, figures: ClusterFigures, { slot, to, bytes }: Omit<PlannedMove, 'from'>): Giver | null {
  const givers = copySources(map, slot, to).flatMap((node): Giver[] => {
    const own = figures.get(node);
    return own === undefined ? [] : [{ node, missing: missingBytes(own, bytes) }];
  });
  return givers.find(({ missing }) => missing <= 0) ?? givers.at(-1) ?? null;
}

/**
 * Returns the room that moves take: at a target that of all its copies, and at a node that gives
 * them that of the largest, since it makes one at a time and removes it before the next.
 */
export function moveRooms(map: ShardMap, figures: ClusterFigures, moves: readonly PlannedMove[]): MoveRoom[] {
  const taken = new Map<string, number>();
  const given = new Map<string, PlannedMove>();
  for (const move of moves) {
    taken.set(move.to, (taken.get(move.to) ?? 0) + move.bytes);
    const giver = giverOf(map, figures, move);
    if (giver !== null && move.bytes > (given.get(giver.node)?.bytes ?? -1)) given.set(giver.node, move);
  }
  return [...new Set([...given.keys(), ...taken.keys()])].sort().map((node) => {
    const { slot = null, bytes = 0 } = given.get(node) ?? {};
    const neededBytes = (taken.get(node) ?? 0) + bytes + reserveBytes;
    return { node, slot, neededBytes, freeBytes: figures.get(node)?.freeBytes ?? null };
  });
}

/** Errors: DataPlaneError for a target that does not answer, or a node with too little room. */
export function requireMoveRooms(
  figures: ClusterFigures,
  moves: readonly PlannedMove[],
  rooms: readonly MoveRoom[],
): void {
  const away = moves.find(({ to }) => !figures.has(to));
  if (away !== undefined)
    throw new DataPlaneError('Unavailable', `node ${away.to} does not answer, so nothing can move to it`, {
      hint: 'Start it, then run this again. Nothing is changed.',
    });
  for (const { node, slot, neededBytes, freeBytes } of rooms) {
    const missing = neededBytes - (freeBytes ?? Number.POSITIVE_INFINITY);
    if (missing <= 0) continue;
    const isTarget = moves.some(({ to }) => to === node);
    const what = isTarget ? 'has no room for them' : `has no room to copy slot ${slot}`;
    const first = isTarget ? 'Move fewer, or make room.' : 'A slot is copied there before it is sent: make room.';
    throw new DataPlaneError('ConfigInvalid', `node ${node} ${what}: ${missing} bytes are missing`, {
      hint: `${first} Nothing is changed.`,
    });
  }
}

/** What would be where, while a plan is made. */
class Layout {
  readonly map: ShardMap;
  readonly #figures: ClusterFigures;
  /** By slot. */
  readonly #nodes = new Map<number, string[]>();
  readonly #weightBySlot = new Map<number, number>();
  readonly #load = new Map<string, number>();
  readonly #added = new Map<string, number>();
  /** By node and slot. */
  readonly #bytes: ReadonlyMap<string, ReadonlyMap<number, number>>;

  constructor(map: ShardMap, figures: ClusterFigures) {
    this.map = map;
    this.#figures = figures;
    this.#bytes = new Map(
      [...figures].map(([name, { copies }]) => [name, new Map(copies.map(({ slot, bytes }) => [slot, bytes]))]),
    );
    const sums = { bytes: 0, entries: 0 };
    for (const { copies } of figures.values()) {
      for (const { bytes, entriesPerS } of copies) {
        sums.bytes += bytes;
        sums.entries += entriesPerS;
      }
    }
    for (const { copies } of figures.values()) {
      for (const { slot, bytes, entriesPerS } of copies) {
        const share = bytes / Math.max(1, sums.bytes) + (sums.entries > 0 ? entriesPerS / sums.entries : 0);
        this.#weightBySlot.set(slot, Math.max(share, this.#weightBySlot.get(slot) ?? 0));
      }
    }
    for (const name of map.nodes.keys()) this.#load.set(name, 0);
    for (const shard of map.shards) {
      for (const slot of shard.slots) {
        this.#nodes.set(slot, copiesOf(shard));
        for (const node of copiesOf(shard)) this.#load.set(node, this.#load.get(node)! + this.weightOf(slot));
      }
    }
  }

  weightOf(slot: number): number {
    return this.#weightBySlot.get(slot) ?? 0;
  }

  nodesOf(slot: number): readonly string[] {
    return this.#nodes.get(slot)!;
  }

  loadOf(node: string): number {
    return this.#load.get(node)!;
  }

  /** The load of a node by its capacity. */
  fillOf(node: string): number {
    return this.loadOf(node) / this.map.nodes.get(node)!.capacity;
  }

  bytesOf(slot: number, node: string): number {
    return this.#bytes.get(node)?.get(slot) ?? 0;
  }

  /** Returns why a node cannot take a copy of a slot, or null. */
  obstacleOf(slot: number, from: string, to: string): string | null {
    const figures = this.#figures.get(to);
    if (this.nodesOf(slot).includes(to)) return 'has a copy of it';
    if (figures === undefined) return 'does not answer';
    const bytes = this.bytesOf(slot, from);
    const missing = missingBytes(figures, bytes + (this.#added.get(to) ?? 0));
    if (missing > 0) return `has no room: ${missing} bytes are missing`;
    const giver = giverOf(this.map, this.#figures, { slot, to, bytes });
    if (giver === null || giver.missing <= 0) return null;
    return `gets no copy, for which ${giver.node} has no room: ${giver.missing} bytes are missing`;
  }

  /** How many other copies of a slot would be in the zone of a node. */
  neighboursOf(slot: number, from: string, to: string): number {
    const zoneOf = (node: string): string | null => this.map.nodes.get(node)!.zone;
    const zone = zoneOf(to);
    if (zone === null) return 0;
    return this.nodesOf(slot).filter((node) => node !== from && zoneOf(node) === zone).length;
  }

  move(slot: number, from: string, to: string): PlannedMove {
    const bytes = this.bytesOf(slot, from);
    this.#nodes.set(slot, [...this.nodesOf(slot).filter((node) => node !== from), to]);
    this.#load.set(from, this.loadOf(from) - this.weightOf(slot));
    this.#load.set(to, this.loadOf(to) + this.weightOf(slot));
    this.#added.set(to, (this.#added.get(to) ?? 0) + bytes);
    return { slot, from, to, bytes };
  }
}

function planOf({ cluster, epoch }: ShardMap, moves: readonly PlannedMove[]): MovePlan {
  return { cluster, epoch, moves: [...moves].sort((one, other) => one.slot - other.slot) };
}

/**
 * Returns the plan that leaves a node without slots.
 *
 * Errors: DataPlaneError `ConfigInvalid` naming a slot that no other node can take, and why.
 */
export function drainPlan(map: ShardMap, figures: ClusterFigures, node: string): MovePlan {
  const hint = '`skyshard map show` prints the map in force.';
  if (!map.nodes.has(node)) throw new DataPlaneError('ConfigInvalid', `the map has no node "${node}"`, { hint });
  const layout = new Layout(map, figures);
  const slots = map.shards.filter((shard) => copiesOf(shard).includes(node)).flatMap((shard) => shard.slots);
  if (slots.length === 0) throw new DataPlaneError('ConfigInvalid', `node ${node} has no slots`, { hint });
  const heaviestFirst = slots.sort((one, other) => layout.weightOf(other) - layout.weightOf(one));
  return planOf(
    map,
    heaviestFirst.map((slot) => {
      const others = [...map.nodes.keys()].filter((name) => name !== node);
      const able = others.filter((name) => layout.obstacleOf(slot, node, name) === null);
      const [best] = able.sort(
        (one, other) =>
          layout.neighboursOf(slot, node, one) - layout.neighboursOf(slot, node, other) ||
          layout.fillOf(one) - layout.fillOf(other),
      );
      if (best !== undefined) return layout.move(slot, node, best);
      const why = others.map((name) => `${name} ${layout.obstacleOf(slot, node, name)}`).join('; ');
      throw new DataPlaneError('ConfigInvalid', `no node can take slot ${slot}: ${why || 'there is no other'}`, {
        hint: 'Add a node to the map (`skyshard map push`) and start it, or make room; then run this again.',
      });
    }),
  );
}

/**
 * Returns the plan that brings nodes nearer to their share by capacity, with few bytes moved: the
 * copies that fit what one node has too much and another too little.
 */
export function rebalancePlan(map: ShardMap, figures: ClusterFigures): MovePlan {
  const layout = new Layout(map, figures);
  const nodes = [...map.nodes.values()].filter(({ name }) => figures.has(name));
  const total = nodes.reduce((sum, { name }) => sum + layout.loadOf(name), 0);
  const capacity = nodes.reduce((sum, node) => sum + node.capacity, 0);
  const shareOf = (name: string): number => (total * map.nodes.get(name)!.capacity) / capacity;
  const excessOf = (name: string): number => layout.loadOf(name) - shareOf(name);
  const epsilon = total * 1e-6;
  const moves: PlannedMove[] = [];
  const moved = new Set<number>();
  for (;;) {
    let best: { slot: number; from: string; to: string; gain: number; weight: number } | null = null;
    for (const { name: from } of nodes) {
      if (excessOf(from) <= shareTolerance * shareOf(from)) continue;
      for (const { slot } of figures.get(from)!.copies) {
        if (moved.has(slot) || !layout.nodesOf(slot).includes(from)) continue;
        const weight = layout.weightOf(slot);
        for (const { name: to } of nodes) {
          if (to === from || layout.obstacleOf(slot, from, to) !== null) continue;
          if (layout.neighboursOf(slot, from, to) > layout.neighboursOf(slot, from, from)) continue;
          // What both are off their shares by, before and after.
          const [before, after] = [0, weight].map(
            (shift) => Math.abs(excessOf(from) - shift!) + Math.abs(excessOf(to) + shift!),
          ) as [number, number];
          const gain = before - after;
          const more = gain - (best?.gain ?? epsilon);
          // Of equal ones the lighter, after which there is more to choose from.
          const isBetter = more > epsilon || (best !== null && more > -epsilon && weight < best.weight);
          if (isBetter) best = { slot, from, to, gain, weight };
        }
      }
    }
    if (best === null) return planOf(map, moves);
    moved.add(best.slot);
    moves.push(layout.move(best.slot, best.from, best.to));
  }
}

/** Returns of each node what it is to a slot, or why it could not take it from `from`. */
export function explainSlot(
  map: ShardMap,
  figures: ClusterFigures,
  slot: number,
): { readonly node: string; readonly role: 'primary' | 'replica' | null; readonly text: string }[] {
  const layout = new Layout(map, figures);
  const { primary, replicas, move } = shardOf(map, slot);
  const total = [...map.nodes.keys()].reduce((sum, name) => sum + layout.loadOf(name), 0);
  return [...map.nodes.values()].map(({ name, zone, capacity }) => {
    const role = name === primary ? 'primary' : replicas.includes(name) ? 'replica' : null;
    const share = ((100 * layout.loadOf(name)) / (total || 1)).toFixed(1);
    const fill = `capacity ${capacity}, zone ${zone ?? '-'}, ${share} % of what all nodes hold and apply`;
    if (role !== null) return { node: name, role, text: fill };
    const obstacle =
      move !== null
        ? `cannot take it: it is moving from ${move.from} to ${move.to}`
        : layout.obstacleOf(slot, primary, name);
    const near = layout.neighboursOf(slot, primary, name);
    const zoneText = near > 0 ? `, but ${near} other copies are in its zone` : '';
    return { node: name, role, text: `${obstacle ?? `can take it${zoneText}`}; ${fill}` };
  });
}
