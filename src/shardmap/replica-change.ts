/** Maps in which a node is a replica of more shards, or of fewer. Pure. */
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { MapJson } from './map-follower.ts';
import type { Shard, ShardMap } from './shard-map.ts';

type ShardJson = { readonly name: string; readonly replicas?: readonly string[] | null };

/** `shards`: their names; none for all that there can be. */
export type ReplicaWish = { readonly node: string; readonly shards: readonly string[] };

function refuse(problem: string): never {
  const hint = '`skyshard map show` prints nodes and shards; a new node is named there first, without slots.';
  throw new DataPlaneError('ConfigInvalid', problem, { hint });
}

/** Returns the shards of a wish. Errors: DataPlaneError `ConfigInvalid` if none can change. */
function shardsOf(map: ShardMap, { node, shards }: ReplicaWish, canChange: (shard: Shard) => boolean): Set<string> {
  if (!map.nodes.has(node)) refuse(`the map has no node "${node}"`);
  for (const name of shards) {
    const shard = map.shards.find((candidate) => candidate.name === name);
    if (shard === undefined) refuse(`the map has no shard "${name}"`);
    const { primary, replicas } = shard;
    const roles = `its primary is ${primary}, its replicas ${replicas.join(', ') || 'none'}`;
    if (!canChange(shard)) refuse(`shard ${name}, of which nothing changes at node ${node}: ${roles}`);
  }
  const named = map.shards.filter(({ name }) => shards.length === 0 || shards.includes(name));
  const changed = named.filter(canChange).map(({ name }) => name);
  if (changed.length === 0) refuse(`there is no shard of which that changes anything at node ${node}`);
  return new Set(changed);
}

function changed(
  json: MapJson,
  names: ReadonlySet<string>,
  replicasOf: (before: readonly string[]) => string[],
): MapJson {
  const shards = (json['shards'] as readonly ShardJson[]).map((shard) =>
    names.has(shard.name) ? { ...shard, replicas: replicasOf(shard.replicas ?? []) } : shard,
  );
  return { ...json, epoch: (json['epoch'] as number) + 1, shards };
}

/** Returns the map of the next epoch in which a node is a replica of these shards, too. */
export function withReplica(json: MapJson, map: ShardMap, wish: ReplicaWish): MapJson {
  const { node } = wish;
  const names = shardsOf(map, wish, ({ primary, replicas }) => primary !== node && !replicas.includes(node));
  return changed(json, names, (before) => [...before, node]);
}

/** Returns the map of the next epoch in which a node is no replica of these shards. */
export function withoutReplica(json: MapJson, map: ShardMap, wish: ReplicaWish): MapJson {
  const { node } = wish;
  const names = shardsOf(map, wish, ({ replicas }) => replicas.includes(node));
  return changed(json, names, (before) => before.filter((name) => name !== node));
}
