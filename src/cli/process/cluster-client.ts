/** The nodes of the shard map, as other processes call them. */
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

/** Calls nodes over the wire. The owner disposes of it, and gives it newer maps. */
export function wireClient(
  { clock, log }: CommandContext,
  map: ShardMap,
  clusterToken: string | null,
  { sawEpoch, onLost }: Pick<ClusterListeners, 'onLost'> & { readonly sawEpoch: (epoch: number) => void },
): NodeClient {
  return new NodeClient({
    map,
    onOtherEpoch: (_node, epoch) => sawEpoch(epoch),
    clusterToken,
    trustedCertificates: readTrustedCertificates(map),
    clock,
    onProblem: (node, problem) => {
      onLost?.(node);
      log('warn', `node ${node} is lost: ${problem}`);
    },
  });
}

/** Follows the map, and calls the nodes of the newest. The owner disposes of `caller`. */
export function clusterClient(
  context: CommandContext,
  map: ShardMap,
  clusterToken: string | null,
  { onNewMap, onLost }: ClusterListeners = {},
): ClusterClient {
  const { settings, clock, log } = context;
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
  const sawEpoch = (epoch: number): void => maps.saw(epoch);
  const caller = wireClient(context, map, clusterToken, { sawEpoch, ...(onLost === undefined ? {} : { onLost }) });
  return { maps, caller };
}
