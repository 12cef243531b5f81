/** Changes of the shard map by commands: each says who makes it, and why. */
import { hostname, userInfo } from 'node:os';
import type { PushReport } from '../../mapchange/map-push.ts';
import type { MapJson } from '../../shardmap/map-follower.ts';
import { parseShardMap, type ShardMap } from '../../shardmap/shard-map.ts';
import type { CommandContext } from '../command.ts';
import { askRouter } from './ask-process.ts';

export type MapInForce = { readonly json: MapJson; readonly map: ShardMap };

/** Returns the map in force. Errors: those of `askRouter`. */
export async function mapInForce(context: CommandContext): Promise<MapInForce> {
  const { map: json } = (await askRouter(context, '/v1/map')) as { readonly map: MapJson };
  return { json, map: parseShardMap(json) };
}

/** Returns in whose name an operator works: as `--lease-holder` says, else user and machine. */
export function operatorOf({ settings }: Pick<CommandContext, 'settings'>): string {
  return settings.leaseHolder ?? `${userInfo().username}@${hostname()}`;
}

/**
 * Puts a map in force, unless `isDryRun`. `what` is noted beside it by every node.
 *
 * Errors: those of a push; then nothing is changed.
 */
export async function pushMap(
  context: CommandContext,
  json: MapJson,
  what: string,
  isDryRun = context.settings.dryRun,
): Promise<PushReport> {
  const by = operatorOf(context);
  const map = { ...json, change: { by, what: what.slice(0, 1_000) } };
  return (await askRouter(context, '/v1/map', { map, isDryRun, holder: by })) as PushReport;
}
