/** `skyshard node`: one node of the map, with a router in its process if asked for. */
import { Registry } from 'prom-client';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { registerProcessMetrics } from '../../metrics/process-metrics.ts';
import { type RunningNode, startNode } from '../../node/node-process.ts';
import type { ShardMap } from '../../shardmap/shard-map.ts';
import { readAccessTokens } from '../access-files.ts';
import type { Command, CommandContext } from '../command.ts';
import { type MapFile, readMapFile } from '../map-file.ts';
import { wireClient } from '../process/cluster-client.ts';
import { startRouterFor } from '../process/router-parts.ts';
import { failureSwitch, type RunningServer, serve } from '../process/server-process.ts';

/** Returns the slots among what may begin again. Errors: DataPlaneError `ConfigInvalid`. */
function slotsOf(names: readonly string[]): number[] {
  return names
    .filter((name) => name !== 'ingest')
    .map((name) => {
      if (/^\d{1,5}$/.test(name)) return Number(name);
      throw new DataPlaneError('ConfigInvalid', `--begin-again: must be slots or "ingest", not "${name}"`);
    });
}

type NodeParts = {
  readonly name: string;
  readonly file: MapFile;
  readonly dataDir: string;
  readonly registry: Registry;
  readonly onNewMap: (map: ShardMap) => void;
};

function startNodeFor(
  { settings, clock, log }: CommandContext,
  { name, file, dataDir, registry, onNewMap }: NodeParts,
): Promise<RunningNode> {
  const { host, port } = file.map.nodes.get(name)!;
  return startNode({
    name,
    mapJson: file.raw,
    readMap: () => readMapFile(settings.map).raw,
    onNewMap,
    dataDir,
    host,
    allowedHosts: settings.allowedHost,
    port,
    beginAgain: slotsOf(settings.beginAgain),
    slotMapBytes: settings.slotMapBytes,
    lingerMs: settings.lingerMs,
    applyThreads: settings.applyThreads,
    prefetchReads: settings.prefetchReads,
    recordCacheMib: settings.recordCacheMib,
    ...readAccessTokens(settings, file.map),
    registry,
    note: (message, fields) => log('warn', message, fields),
    clock,
  });
}

/** A router in the node's process: it asks the node without a hop, and other nodes by the wire. */
type Edge = RunningServer & { readonly failed: Promise<void>; readonly useMap: (map: ShardMap) => void };

/** Starts the edge of a node that runs. */
async function startEdge(context: CommandContext, node: RunningNode, map: ShardMap, registry: Registry): Promise<Edge> {
  const { adminToken, clusterToken } = readAccessTokens(context.settings, map);
  const others = wireClient(context, map, clusterToken, { sawEpoch: (epoch) => node.maps.saw(epoch) });
  const { failed, fail } = failureSwitch();
  const router = await startRouterFor(context, {
    map,
    caller: node.callerOf(others),
    adminToken,
    reloadMap: async () => node.maps.reload(),
    onFault: fail,
    registry,
  }).catch(async (thrown: unknown) => {
    await others[Symbol.asyncDispose]();
    throw thrown;
  });
  return {
    listening: {
      host: context.settings.host,
      ports: { routerPort: router.port, http2Port: router.http2Port ?? 0 },
    },
    failed,
    useMap: (newest) => {
      others.setMap(newest);
      router.router.useMap(newest);
    },
    close: async () => {
      await router.close();
      await others[Symbol.asyncDispose]();
    },
  };
}

export const runNode: Command = (context) => {
  const { settings, operands } = context;
  const name = operands[0]!;
  const file = readMapFile(settings.map);
  const address = file.map.nodes.get(name);
  if (address === undefined) {
    const known = [...file.map.nodes.keys()].join(', ');
    throw new DataPlaneError('ConfigInvalid', `the shard map has no node "${name}" (nodes: ${known})`);
  }
  return serve(context, `node-${name}`, async (dataDir) => {
    const registry = new Registry();
    registerProcessMetrics(registry);
    let edge: Edge | null = null;
    const node = await startNodeFor(context, {
      name,
      file,
      dataDir,
      registry,
      onNewMap: (newest) => edge?.useMap(newest),
    });
    try {
      if (settings.edge) edge = await startEdge(context, node, node.maps.map, registry);
    } catch (thrown) {
      await node.close();
      throw thrown;
    }
    return {
      listening: { host: address.host, ports: { port: node.port, ...edge?.listening.ports } },
      failed: edge === null ? node.failed : Promise.race([node.failed, edge.failed]),
      close: async () => {
        await edge?.close();
        await node.close();
      },
    };
  });
};
