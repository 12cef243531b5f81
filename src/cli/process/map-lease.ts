/** The lease on the shard map, by which one operator at a time works on it for longer. */
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { MapJson } from '../../shardmap/map-follower.ts';
import { parseShardMap, type ShardMap } from '../../shardmap/shard-map.ts';
import type { CommandContext } from '../command.ts';
import { type MapInForce, operatorOf, pushMap } from './push-map.ts';

const leaseMs = 3_600_000;
const renewBeforeMs = 900_000;

/** Returns the map with the lease of who works on it until a while from now, or with none. */
export function withLease(context: CommandContext, json: MapJson, isHeld: boolean): MapJson {
  const untilMs = context.clock.nowMs() + leaseMs;
  const lease = { holder: operatorOf(context), until: new Date(untilMs).toISOString() };
  return { ...json, lease: isHeld ? lease : null };
}

/** Errors: DataPlaneError `ConfigInvalid` while another operator holds the lease on the map. */
export function requireNoOtherLease(context: CommandContext, { lease }: ShardMap): void {
  if (lease === null || lease.untilMs <= context.clock.nowMs() || lease.holder === operatorOf(context)) return;
  const until = new Date(lease.untilMs).toISOString();
  throw new DataPlaneError('ConfigInvalid', `${lease.holder} holds the lease on the map until ${until}`, {
    hint: `Wait until then, or, if it is you, give --lease-holder ${lease.holder}. Nothing is changed.`,
  });
}

/** Holds the lease on while the work takes long. Returns the map in force then. */
export async function renewed(context: CommandContext, held: MapInForce): Promise<MapInForce> {
  const { lease } = held.map;
  const leftMs = (lease?.untilMs ?? 0) - context.clock.nowMs();
  if (lease?.holder !== operatorOf(context) || leftMs > renewBeforeMs) return held;
  const json = withLease(context, { ...held.json, epoch: held.map.epoch + 1 }, true);
  await pushMap(context, json, 'hold the lease on');
  return { json, map: parseShardMap(json) };
}
