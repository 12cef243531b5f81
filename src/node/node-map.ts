/** The shard map of a node, which cannot change its slots or its address while it runs. */
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { MapFollower } from '../shardmap/map-follower.ts';
import { parseShardMap, type ShardMap, slotsOfNode } from '../shardmap/shard-map.ts';

export type NodeMapOptions = {
  readonly name: string;
  readonly map: ShardMap;
  /** Reads the JSON of the map again. */
  readonly readMap: () => unknown;
  /** Gives a newer map, under which the node serves the same slots, to its apply threads. */
  readonly useMap: (mapJson: unknown, map: ShardMap) => void;
  /** Ends the node, which its supervisor starts again with the newer map. */
  readonly fail: (error: Error) => void;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly clock: Clock;
};

/** What a node must start again for. */
function dutiesOf(map: ShardMap, name: string): string {
  return JSON.stringify([map.nodes.get(name), slotsOfNode(map, name)]);
}

/** Follows the map. Until it has the newest one, the node refuses calls to its slots. */
export function followNodeMap(options: NodeMapOptions): MapFollower {
  const { name, map, readMap, useMap, fail, note, clock } = options;
  const duties = dutiesOf(map, name);
  let newestJson: unknown;
  return new MapFollower({
    map,
    read: () => {
      newestJson = readMap();
      return parseShardMap(newestJson);
    },
    adopt: (newest) => {
      if (dutiesOf(newest, name) === duties) {
        useMap(newestJson, newest);
        return null;
      }
      const problem = `the shard map of epoch ${newest.epoch} gives node ${name} other slots or another address`;
      fail(new DataPlaneError('WrongEpoch', problem, { hint: 'Start the node again.' }));
      return problem;
    },
    note,
    clock,
  });
}
