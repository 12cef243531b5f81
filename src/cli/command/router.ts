/** `skyshard router`: one router process. */
import { Registry } from 'prom-client';
import { mapAtStart } from '../../mapchange/map-store.ts';
import { registerProcessMetrics } from '../../metrics/process-metrics.ts';
import { startLookingUpRouter } from '../../router/looking-up-router.ts';
import type { RunningRouter } from '../../router/router-server.ts';
import { parseShardMap } from '../../shardmap/shard-map.ts';
import { readAccessTokens } from '../access-files.ts';
import type { Command } from '../command.ts';
import { readMapFile } from '../map-file.ts';
import { askingIngest } from '../process/asking-ingest.ts';
import { clusterClient } from '../process/cluster-client.ts';
import { registerEdge, requireEdgeUrl } from '../process/etcd-edge.ts';
import { failureSwitch, serve } from '../process/server-process.ts';

export const runRouter: Command = (context) => {
  const { settings, clock, log } = context;
  requireEdgeUrl(context);
  return serve(context, 'router', async (folder) => {
    const start = mapAtStart(readMapFile(settings.map).raw, folder);
    const map = parseShardMap(start.json);
    const { adminToken, clusterToken, viewToken } = readAccessTokens(settings, map);
    let running: RunningRouter | null = null;
    const registry = new Registry();
    registerProcessMetrics(registry);
    const cluster = clusterClient(context, { role: 'router', start, folder }, clusterToken, {
      onNewMap: (newest) => running?.router.useMap(newest),
    });
    const { caller, process } = cluster;
    const { failed, fail } = failureSwitch();
    const router = await startLookingUpRouter(
      {
        map,
        caller,
        links: () => caller.snapshot(),
        logUrls: settings.log,
        registry,
        host: settings.host,
        allowedHosts: settings.allowedHost,
        port: settings.routerPort,
        http2Port: settings.http2Port,
        adminToken,
        viewToken,
        reloadMap: () => process.reload(),
        mapAdmin: process,
        ...askingIngest(settings.ingestUrl, adminToken),
        onFault: fail,
        note: (message, fields) => log('warn', message, fields),
        drainMs: settings.drainMs,
        slowMs: settings.slowMs,
        clock,
      },
      settings,
    );
    running = router;
    // It may have changed meanwhile.
    router.router.useMap(cluster.maps.map);
    const registration = registerEdge(context, router.http2Port ?? 0, map.tls !== null);
    return {
      listening: { host: settings.host, ports: { port: router.port, http2Port: router.http2Port ?? 0 } },
      failed,
      close: async () => {
        await registration?.[Symbol.asyncDispose]();
        await router.close();
        await cluster[Symbol.asyncDispose]();
      },
    };
  });
};
