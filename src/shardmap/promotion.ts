/**
 * Which replicas become primaries, and the map that says so.
 *
 * Owns: the choice among replicas, by what nodes say of their slots. Refuses: a replica that cannot
 * read its log, which would never act. Pure: what is chosen is pushed as one change of the map.
 */
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { MapJson } from './map-follower.ts';
import type { Shard, ShardMap } from './shard-map.ts';

/** What a node that answers says of a slot. */
export type CopyStatus = { readonly slot: number; readonly behindMs: number; readonly log: string | null };
/** By node; those that do not answer are not in it. */
export type CopiesByNode = ReadonlyMap<string, readonly CopyStatus[]>;

/**
 * `node`: the new primary, null for the best. `from`: whose place it takes, null for any.
 * `shards`: of these alone, by name; absent or none for all.
 */
export type PromotionWish = {
  readonly node: string | null;
  readonly from: string | null;
  readonly shards?: readonly string[];
};

export type Promotion = {
  readonly shard: string;
  readonly before: string;
  readonly after: string;
  /** How far the new primary is behind the log. Units: ms. */
  readonly behindMs: number;
};

function refuse(problem: string, hint: string): never {
  throw new DataPlaneError('ConfigInvalid', problem, { hint });
}

/** Returns what a node has of a slot; of one that a split is still to make, what of its parent. */
function copyOf(
  { isDoubling, slots: count }: ShardMap,
  slot: number,
  copies: readonly CopyStatus[] | undefined,
): CopyStatus | undefined {
  const parent = isDoubling && slot >= count / 2 ? slot - count / 2 : slot;
  const found = copies?.filter((copy) => copy.slot === slot || copy.slot === parent) ?? [];
  return found.find((copy) => copy.slot === slot) ?? found[0];
}

/** Returns how far a node is behind with a shard; null if it cannot be its primary. */
function behindOf(map: ShardMap, { slots }: Shard, copies: readonly CopyStatus[] | undefined): number | null {
  let behindMs = 0;
  for (const slot of slots) {
    const copy = copyOf(map, slot, copies);
    if (copy === undefined || copy.log !== null) return null;
    behindMs = Math.max(behindMs, copy.behindMs);
  }
  return behindMs;
}

/** Returns why a node cannot be the primary of a shard, for people. */
function obstacleOf(map: ShardMap, { slots }: Shard, copies: readonly CopyStatus[] | undefined): string {
  if (copies === undefined) return 'it does not answer';
  const lacking = slots.find((slot) => copyOf(map, slot, copies) === undefined);
  if (lacking !== undefined) return `it does not have slot ${lacking} yet`;
  return copies.find(({ slot, log }) => slots.includes(slot) && log !== null)?.log ?? 'unknown';
}

/**
 * Returns a promotion for each shard that the wish is about.
 *
 * Errors: DataPlaneError `ConfigInvalid` when there is nothing to promote, or a shard has no node
 * that could be its primary.
 */
export function choosePromotions(map: ShardMap, copies: CopiesByNode, wish: PromotionWish): Promotion[] {
  const { node, from, shards: named = [] } = wish;
  const unknown = named.find((name) => !map.shards.some((shard) => shard.name === name));
  if (unknown !== undefined)
    refuse(`the map has no shard "${unknown}"`, '`skyshard map show` prints the map in force.');
  for (const name of [node, from]) {
    if (name !== null && !map.nodes.has(name))
      refuse(`the map has no node "${name}"`, '`skyshard map show` prints the map in force.');
  }
  const shards = map.shards.filter(
    ({ name, primary, replicas }) =>
      (from === null || primary === from) &&
      (node === null || replicas.includes(node)) &&
      (named.length === 0 || named.includes(name)),
  );
  if (shards.length === 0) {
    const what =
      node === null ? `node ${from} is the primary of no shard` : `node ${node} is a replica of no such shard`;
    refuse(what, '`skyshard map show` prints primaries and replicas; `skyshard replica add` adds some.');
  }
  const slotCounts = new Map([...map.nodes.keys()].map((name) => [name, 0]));
  for (const { primary, slots } of map.shards) slotCounts.set(primary, slotCounts.get(primary)! + slots.length);
  return shards.map((shard) => {
    const candidates = (node === null ? shard.replicas : [node]).flatMap((name) => {
      const behindMs = behindOf(map, shard, copies.get(name));
      const slotCount = slotCounts.get(name)! + shard.slots.length;
      return behindMs === null ? [] : [{ name, behindMs, load: slotCount / map.nodes.get(name)!.capacity }];
    });
    const [best] = candidates.sort((a, b) => a.behindMs - b.behindMs || a.load - b.load);
    if (best === undefined) {
      const asked = node === null ? shard.replicas : [node];
      const why = asked.map((name) => `${name}: ${obstacleOf(map, shard, copies.get(name))}`).join('; ');
      refuse(`no replica of shard ${shard.name} can be its primary: ${why || 'it has none'}`, 'Start one, or wait.');
    }
    slotCounts.set(best.name, slotCounts.get(best.name)! + shard.slots.length);
    return { shard: shard.name, before: shard.primary, after: best.name, behindMs: best.behindMs };
  });
}

type ShardJson = { readonly name: string; readonly primary: string; readonly replicas?: readonly string[] | null };

/** Returns the map after the promotions, of the next epoch. Former primaries are replicas in it. */
export function mapAfter(json: MapJson, promotions: readonly Promotion[]): MapJson {
  const byShard = new Map(promotions.map((promotion) => [promotion.shard, promotion]));
  const shards = (json['shards'] as readonly ShardJson[]).map((shard) => {
    const promotion = byShard.get(shard.name);
    if (promotion === undefined) return shard;
    const others = (shard.replicas ?? []).filter((name) => name !== promotion.after);
    return { ...shard, primary: promotion.after, replicas: [...others, promotion.before] };
  });
  return { ...json, epoch: (json['epoch'] as number) + 1, shards };
}
