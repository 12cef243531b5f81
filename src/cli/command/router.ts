/** `skyshard router`: one router process. */
import { Registry } from 'prom-client';
import type { SettleBody } from '../../http/settle-body.ts';
import { IdentityResolver } from '../../identity/identity-resolver.ts';
import { LiveIdentitySource } from '../../identity/live-identity.ts';
import { registerProcessMetrics } from '../../metrics/process-metrics.ts';
import { type RunningRouter, startRouter } from '../../router/router-server.ts';
import { readAccessTokens } from '../access-files.ts';
import { adminRequest } from '../admin-request.ts';
import type { Command } from '../command.ts';
import { readMapFile } from '../map-file.ts';
import { clusterClient } from '../process/cluster-client.ts';
import { failureSwitch, serve } from '../process/server-process.ts';

/** Beyond ingest's own timeout, so that its answer, which says what is late, comes first. */
const settleGraceMs = 2_000;

/** Returns a function that has ingest wait until everything it received is in the logs. */
function ingestSettler(url: string, token: string | null): (body: SettleBody) => Promise<object> {
  return async (body) => {
    const request = { url, path: '/v1/settle', body, token, timeoutMs: body.timeoutMs + settleGraceMs };
    return (await adminRequest(request)) as object;
  };
}

export const runRouter: Command = (context) => {
  const { settings, clock } = context;
  return serve(context, 'router', async () => {
    const { map } = readMapFile(settings.map);
    const { adminToken, clusterToken } = readAccessTokens(settings, map);
    let router: RunningRouter | null = null;
    const registry = new Registry();
    registerProcessMetrics(registry);
    const { maps, caller } = clusterClient(context, map, clusterToken, {
      onNewMap: (newest) => router?.router.useMap(newest),
    });
    const resolver = new IdentityResolver({
      plcUrl: settings.plcUrl,
      handleResolverUrl: settings.handleResolver,
      allowPrivateHosts: settings.allowPrivateHosts,
      clock,
    });
    const { failed, fail } = failureSwitch();
    router = await startRouter({
      map,
      caller,
      identity: new LiveIdentitySource(resolver, clock),
      registry,
      host: settings.host,
      allowedHosts: settings.allowedHost,
      port: settings.routerPort,
      http2Port: settings.http2Port,
      adminToken,
      reloadMap: async () => maps.reload(),
      ...(settings.ingestUrl === null ? {} : { settleIngest: ingestSettler(settings.ingestUrl, adminToken) }),
      onFault: fail,
      clock,
    });
    return {
      listening: { host: settings.host, ports: { port: router.port, http2Port: router.http2Port ?? 0 } },
      failed,
      close: async () => {
        await router.close();
        await caller[Symbol.asyncDispose]();
        resolver[Symbol.dispose]();
      },
    };
  });
};
