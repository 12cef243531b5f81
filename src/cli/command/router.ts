/** `skyshard router`: one router process. */
import { Registry } from 'prom-client';
import { registerProcessMetrics } from '../../metrics/process-metrics.ts';
import type { RunningRouter } from '../../router/router-server.ts';
import { readAccessTokens } from '../access-files.ts';
import type { Command } from '../command.ts';
import { readMapFile } from '../map-file.ts';
import { clusterClient } from '../process/cluster-client.ts';
import { startRouterFor } from '../process/router-parts.ts';
import { failureSwitch, serve } from '../process/server-process.ts';

export const runRouter: Command = (context) => {
  const { settings } = context;
  return serve(context, 'router', async () => {
    const { map } = readMapFile(settings.map);
    const { adminToken, clusterToken } = readAccessTokens(settings, map);
    let router: RunningRouter | null = null;
    const registry = new Registry();
    registerProcessMetrics(registry);
    const { maps, caller } = clusterClient(context, map, clusterToken, {
      onNewMap: (newest) => router?.router.useMap(newest),
    });
    const { failed, fail } = failureSwitch();
    const reloadMap = async () => maps.reload();
    router = await startRouterFor(context, { map, caller, adminToken, reloadMap, onFault: fail, registry });
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
