/** `skyshard node`: one node of the map, with a router in its process if asked for. */
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { mapAtStart } from '../../mapchange/map-store.ts';
import { registerProcessMetrics } from '../../metrics/process-metrics.ts';
import { leftOutHint } from '../../node/node-map.ts';
import { startNode } from '../../node/node-process.ts';
import { parseShardMap } from '../../shardmap/shard-map.ts';
import { readAccessTokens } from '../access-files.ts';
import type { Command } from '../command.ts';
import { readMapFile } from '../map-file.ts';
import { askingIngest } from '../process/asking-ingest.ts';
import { registerEdge, requireEdgeUrl } from '../process/etcd-edge.ts';
import { logServerOf } from '../process/log-server.ts';
import { serveThreadCount } from '../process/serve-thread-count.ts';
import { serve } from '../process/server-process.ts';

/** Returns the slots among what may begin again. Errors: DataPlaneError `ConfigInvalid`. */
function slotsOf(names: readonly string[]): number[] {
  return names
    .filter((name) => name !== 'ingest')
    .map((name) => {
      if (/^\d{1,5}$/.test(name)) return Number(name);
      throw new DataPlaneError('ConfigInvalid', `--begin-again: must be slots or "ingest", not "${name}"`);
    });
}

export const runNode: Command = (context) => {
  const { settings, clock, log, operands } = context;
  const name = operands[0]!;
  const start = mapAtStart(readMapFile(settings.map).raw, join(settings.dataDir, `node-${name}`));
  const map = parseShardMap(start.json);
  if (start.note !== null) log('warn', start.note);
  const address = map.nodes.get(name);
  if (address === undefined) {
    const known = [...map.nodes.keys()].join(', ');
    const hint =
      start.stored.committed === null ? `Start it by one of these names, or name it in ${settings.map}.` : leftOutHint;
    throw new DataPlaneError('ConfigInvalid', `the shard map has no node "${name}" (nodes: ${known})`, { hint });
  }
  if (settings.edge) requireEdgeUrl(context);
  return serve(context, `node-${name}`, async (dataDir) => {
    const registry = new Registry();
    registerProcessMetrics(registry);
    const tokens = readAccessTokens(settings, map);
    const { host, routerPort, http2Port, plcUrl, handleResolver, allowPrivateHosts, drainMs } = settings;
    const edge = { host, routerPort, http2Port, plcUrl, handleResolver, allowPrivateHosts, drainMs };
    const node = await startNode({
      name,
      mapJson: start.json,
      storedMaps: start.stored,
      readMap: () => readMapFile(settings.map).raw,
      dataDir,
      host: address.host,
      allowedHosts: settings.allowedHost,
      port: address.port,
      logServer: logServerOf(settings, true),
      beginAgain: slotsOf(settings.beginAgain),
      slotMapBytes: settings.slotMapBytes,
      readLagMs: settings.readLagMs,
      slowMs: settings.slowMs,
      lingerMs: settings.lingerMs,
      compactQuietS: settings.compactQuietS,
      applyThreads: settings.applyThreads,
      serveThreads: serveThreadCount(settings),
      searchThreads: settings.searchThreads,
      edge: settings.edge ? edge : undefined,
      askingIngest: askingIngest(settings.ingestUrl, tokens.adminToken),
      prefetchReads: settings.prefetchReads,
      recordCacheMib: settings.recordCacheMib,
      ...tokens,
      registry,
      note: (message, fields) => log('warn', message, fields),
      clock,
    });
    const registration = settings.edge ? registerEdge(context, node.http2Port ?? 0, map.tls !== null) : null;
    const edgePorts = settings.edge ? { routerPort: node.routerPort ?? 0, http2Port: node.http2Port ?? 0 } : {};
    return {
      listening: { host: address.host, ports: { port: node.port, ...edgePorts } },
      failed: node.failed,
      close: async () => {
        await registration?.[Symbol.asyncDispose]();
        await node.close();
      },
    };
  });
};
