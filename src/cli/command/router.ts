/** `skyshard router`: one router process. */
import { Registry } from 'prom-client';
import { registerProcessMetrics } from '../../metrics/process-metrics.ts';
import { startLookingUpRouter } from '../../router/looking-up-router.ts';
import type { RunningRouter } from '../../router/router-server.ts';
import { readAccessTokens } from '../access-files.ts';
import type { Command } from '../command.ts';
import { readMapFile } from '../map-file.ts';
import { askingIngest } from '../process/asking-ingest.ts';
import { clusterClient } from '../process/cluster-client.ts';
import { failureSwitch, serve } from '../process/server-process.ts';

export const runRouter: Command = (context) => {
  const { settings, clock } = context;
  return serve(context, 'router', async () => {
    const { map } = readMapFile(settings.map);
    const { adminToken, clusterToken } = readAccessTokens(settings, map);
    let running: RunningRouter | null = null;
    const registry = new Registry();
    registerProcessMetrics(registry);
    const { maps, caller } = clusterClient(context, map, clusterToken, {
      onNewMap: (newest) => running?.router.useMap(newest),
    });
    const { failed, fail } = failureSwitch();
    const router = await startLookingUpRouter(
      {
        map,
        caller,
        transportOf: (node) => caller.transportOf(node),
        registry,
        host: settings.host,
        allowedHosts: settings.allowedHost,
        port: settings.routerPort,
        http2Port: settings.http2Port,
        adminToken,
        reloadMap: async () => maps.reload(),
        ...askingIngest(settings.ingestUrl, adminToken),
        onFault: fail,
        clock,
      },
      settings,
    );
    running = router;
    return {
      listening: { host: settings.host, ports: { port: router.port, http2Port: router.http2Port ?? 0 } },
      failed,
      close: async () => {
        await router.close();
        await caller[Symbol.asyncDispose]();
      },
    };
  });
};
