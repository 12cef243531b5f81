/** The nodes of the shard map, as a process without slots calls them. */
import { type StartingMap, storeMaps } from '../../mapchange/map-store.ts';
import { ProcessMap } from '../../mapchange/process-map.ts';
import { MapFollower } from '../../shardmap/map-follower.ts';
import type { ShardMap } from '../../shardmap/shard-map.ts';
import type { ProcessRole } from '../../wire/map-messages.ts';
import { NodeClient } from '../../wire/node-client.ts';
import { readTrustedCertificates } from '../access-files.ts';
import type { CommandContext } from '../command.ts';
import { readMapFile } from '../map-file.ts';

export type ClusterListeners = {
  readonly onNewMap?: (newest: ShardMap) => void;
  /** The connection to a node is lost. */
  readonly onLost?: (node: string) => void;
};

export type ClusterClient = AsyncDisposable & {
  readonly maps: MapFollower;
  readonly caller: NodeClient;
  readonly process: ProcessMap;
};

/** Whose client it is, and where it has its map from. */
export type ClusterMember = {
  readonly role: ProcessRole;
  readonly start: StartingMap;
  /** Where pushed maps are stored; null: nowhere. */
  readonly folder: string | null;
  /** Its file; by default that of `--map`. */
  readonly mapPath?: string;
};

/** Follows the map, and calls the nodes of the newest. */
export function clusterClient(
  { settings, clock, log }: CommandContext,
  { role, start, folder, mapPath = settings.map }: ClusterMember,
  clusterToken: string | null,
  { onNewMap, onLost }: ClusterListeners = {},
): ClusterClient {
  const note = (message: string, fields: Record<string, unknown>): void => log('warn', message, fields);
  if (start.note !== null) note(start.note, {});
  const maps = new MapFollower({
    mapJson: start.json,
    stored: start.stored,
    store: (stored) => {
      if (folder !== null) storeMaps(folder, stored);
    },
    read: () => readMapFile(mapPath).raw,
    adopt: ({ map: newest }) => {
      caller.setMap(newest);
      onNewMap?.(newest);
      return null;
    },
    note,
    clock,
  });
  const { map } = maps;
  const caller = new NodeClient({
    map,
    onOtherEpoch: (_node, epoch) => void process.saw(epoch),
    clusterToken,
    trustedCertificates: readTrustedCertificates(map),
    clock,
    onProblem: (node, problem) => {
      onLost?.(node);
      log('warn', `node ${node} is lost: ${problem}`);
    },
  });
  const process = new ProcessMap({ maps, caller, role, note, clock });
  process.start();
  const close = async (): Promise<void> => {
    await process.stop();
    await caller[Symbol.asyncDispose]();
  };
  return { maps, caller, process, [Symbol.asyncDispose]: close };
}
