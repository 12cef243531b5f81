/** The nodes of the shard map, as a process without slots calls them. */
import { MapFollower } from '../../shardmap/map-follower.ts';
import type { ShardMap } from '../../shardmap/shard-map.ts';
import { NodeClient } from '../../wire/node-client.ts';
import { readTrustedCertificates } from '../access-files.ts';
import type { CommandContext } from '../command.ts';
import { readMapFile } from '../map-file.ts';

export type ClusterListeners = {
  readonly onNewMap?: (newest: ShardMap) => void;
  /** The connection to a node is lost. */
  readonly onLost?: (node: string) => void;
};

export type ClusterClient = { readonly maps: MapFollower; readonly caller: NodeClient };

/** Follows the map, and calls the nodes of the newest. The owner disposes of `caller`. */
export function clusterClient(
  { settings, clock, log }: CommandContext,
  map: ShardMap,
  clusterToken: string | null,
  { onNewMap, onLost }: ClusterListeners = {},
): ClusterClient {
  const maps = new MapFollower({
    map,
    read: () => readMapFile(settings.map).map,
    adopt: (newest) => {
      caller.setMap(newest);
      onNewMap?.(newest);
      return null;
    },
    note: (message, fields) => log('warn', message, fields),
    clock,
  });
  const caller = new NodeClient({
    map,
    onOtherEpoch: (_node, epoch) => maps.saw(epoch),
    clusterToken,
    trustedCertificates: readTrustedCertificates(map),
    clock,
    onProblem: (node, problem) => {
      onLost?.(node);
      log('warn', `node ${node} is lost: ${problem}`);
    },
  });
  return { maps, caller };
}
