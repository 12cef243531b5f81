/** The shard map of a node, which starts again only for some of what a newer one may say of it. */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { slotsToDoubleMin } from '../log/log-streams.ts';
import { noteMapChange } from '../mapchange/map-log.ts';
import { storeMaps } from '../mapchange/map-store.ts';
import { type HeldMap, MapFollower, type MapJson, type StoredMaps } from '../shardmap/map-follower.ts';
import { hasReplicas, heldSlotsOf, rangesText, type ShardMap, slotsOfNode } from '../shardmap/shard-map.ts';
import { isDoubled } from '../slot/slot-routing.ts';
import { noteMoves } from './moved-slots.ts';
import { answeredSlots, isSlotThere } from './slot-folders.ts';
import { freshState, type SlotReader } from './slot-reader.ts';

export type NodeMapOptions = {
  readonly name: string;
  readonly mapJson: MapJson;
  /** What was stored of maps before. */
  readonly storedMaps?: StoredMaps | undefined;
  readonly dataDir: string;
  readonly hasLogServer: boolean;
  /** Of the main thread, by slot. */
  readonly readers: ReadonlyMap<number, SlotReader>;
  /** Reads the JSON of the map again. */
  readonly readMap: () => unknown;
  /** Gives a newer map, for which the node need not start again, to its threads. */
  readonly useMap: (newest: HeldMap) => void;
  /** Ends the node, which its supervisor starts again with the newer map. */
  readonly fail: (error: Error) => void;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly clock: Clock;
};

const fewSlotsHint = `Stop the cluster, carry the logs over with \`skyshard log migrate folders\`, double until there are ${slotsToDoubleMin}, and go back.`;

/** What to do about a node that the map in force does not name. */
export const leftOutHint =
  'Leave it stopped: nothing needs it or its folder. To have it back, push a map that names it, remove its folder, and start it with that map.';

/** Returns what a node must start again for, or null. As a replica it takes and gives up slots. */
function restartReason(before: ShardMap, after: ShardMap, { name, hasLogServer }: NodeMapOptions): string | null {
  const addressIn = ({ nodes }: ShardMap): string => JSON.stringify([nodes.get(name)?.host, nodes.get(name)?.port]);
  if (addressIn(before) !== addressIn(after)) return 'another address';
  const had = heldSlotsOf(before, name);
  // Slots that are doubled become two while the node runs.
  const has = heldSlotsOf(after, name).filter((slot) => !after.isDoubling || slot < before.slots);
  if (had.join() === has.join()) return null;
  const isLed = slotsOfNode(after, name).every((slot) => had.includes(slot));
  return hasLogServer && isLed ? null : 'other slots';
}

/**
 * Errors: DataPlaneError `ConfigInvalid` for a map with replicas without a log server, or one in
 * which so few slots are doubled with it that there would be more streams.
 */
export function requireServable(map: ShardMap, hasLogServer: boolean): void {
  if (hasLogServer && map.isDoubling && map.slots / 2 < slotsToDoubleMin)
    throw new DataPlaneError('ConfigInvalid', `shard map: ${map.slots / 2} slots with a log server cannot be doubled`, {
      hint: fewSlotsHint,
    });
  if (hasLogServer || !hasReplicas(map)) return;
  const index = map.shards.findIndex(({ replicas }) => replicas.length > 0);
  const problem = `shard map: shards[${index}].replicas: replicas read a log on a NATS server, and this node has none`;
  throw new DataPlaneError('ConfigInvalid', problem, { hint: 'Leave replicas empty, or start all with a log server.' });
}

/** Throws for a map that gives the node slots which it does not have: they would begin empty. */
function requireSlotsThere(map: ShardMap, { name, dataDir }: NodeMapOptions): void {
  const missing = answeredSlots(dataDir, map, name).filter((slot) => !isSlotThere(dataDir, slot));
  if (missing.length === 0) return;
  const problem = `it would be given slots ${rangesText(missing)}, of which it has no data`;
  const hint = 'Leave them where their data is; a slot without its data would begin empty.';
  throw new DataPlaneError('ConfigInvalid', problem, { hint });
}

/** Throws for a map that ends a doubling of which the node's slots are not through. */
function requireDoubled(before: ShardMap, after: ShardMap, { name, readers }: NodeMapOptions): void {
  if (!before.isDoubling || after.isDoubling) return;
  const isDone = (slot: number): boolean => readers.has(slot) && isDoubled(freshState(readers, slot), after.slots);
  const left = heldSlotsOf(after, name).filter((slot) => !isDone(slot));
  if (left.length === 0) return;
  const problem = `its slots ${rangesText(left)} are not through with their split, and doubling cannot end before`;
  const hint = '`skyshard slots status` says how far it is; `skyshard slots double` waits and ends it.';
  throw new DataPlaneError('ConfigInvalid', problem, { hint });
}

/** Follows the map. Until it has the newest one, the node refuses calls to its slots. */
export function followNodeMap(options: NodeMapOptions): MapFollower {
  const { name, mapJson, storedMaps, dataDir, hasLogServer, readMap, useMap, fail, note, clock } = options;
  const maps: MapFollower = new MapFollower({
    mapJson,
    ...(storedMaps === undefined ? {} : { stored: storedMaps }),
    store: (stored) => {
      const { committed } = stored;
      if (committed !== null && committed['epoch'] !== maps.map.epoch)
        noteMapChange(dataDir, maps.map, committed, clock.nowMs());
      storeMaps(dataDir, stored);
    },
    read: readMap,
    check: (next) => {
      requireServable(next, hasLogServer);
      requireSlotsThere(next, options);
      requireDoubled(maps.map, next, options);
    },
    adopt: (newest) => {
      noteMoves(dataDir, newest.map, name);
      const { epoch } = newest.map;
      if (!newest.map.nodes.has(name)) {
        const problem = `the shard map of epoch ${epoch} names no node ${name} any more`;
        fail(new DataPlaneError('WrongEpoch', problem, { hint: leftOutHint }));
        return problem;
      }
      const reason = restartReason(maps.map, newest.map, options);
      if (reason === null) {
        useMap(newest);
        return null;
      }
      const problem = `the shard map of epoch ${epoch} gives node ${name} ${reason}`;
      fail(new DataPlaneError('WrongEpoch', problem, { hint: 'Start the node again.' }));
      return problem;
    },
    note,
    clock,
  });
  return maps;
}
