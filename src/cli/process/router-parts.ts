/** A router with all that it needs beside its nodes: look-ups, ingest, tokens. */
import type { Registry } from 'prom-client';
import type { SettleBody } from '../../http/settle-body.ts';
import { IdentityResolver } from '../../identity/identity-resolver.ts';
import { LiveIdentitySource } from '../../identity/live-identity.ts';
import { type RouterOptions, type RunningRouter, startRouter } from '../../router/router-server.ts';
import { adminRequest } from '../admin-request.ts';
import type { CommandContext } from '../command.ts';

/** Beyond ingest's own timeout, so that its answer, which says what is late, comes first. */
const settleGraceMs = 2_000;

/** Returns a function that has ingest wait until everything it received is in the logs. */
function ingestSettler(url: string, token: string | null): (body: SettleBody) => Promise<object> {
  return async (body) => {
    const request = { url, path: '/v1/settle', body, token, timeoutMs: body.timeoutMs + settleGraceMs };
    return (await adminRequest(request)) as object;
  };
}

export type RouterParts = Pick<RouterOptions, 'map' | 'caller' | 'adminToken' | 'reloadMap' | 'onFault'> & {
  readonly registry: Registry;
};

/** Starts a router where the settings say. Errors: see `startRouter`. */
export async function startRouterFor({ settings, clock }: CommandContext, parts: RouterParts): Promise<RunningRouter> {
  const resolver = new IdentityResolver({
    plcUrl: settings.plcUrl,
    handleResolverUrl: settings.handleResolver,
    allowPrivateHosts: settings.allowPrivateHosts,
    clock,
  });
  const { ingestUrl } = settings;
  try {
    const router = await startRouter({
      ...parts,
      identity: new LiveIdentitySource(resolver, clock),
      host: settings.host,
      allowedHosts: settings.allowedHost,
      port: settings.routerPort,
      http2Port: settings.http2Port,
      ...(ingestUrl === null ? {} : { settleIngest: ingestSettler(ingestUrl, parts.adminToken) }),
      clock,
    });
    const close = async (graceMs?: number): Promise<void> => {
      await router.close(graceMs);
      resolver[Symbol.dispose]();
    };
    return { ...router, close, [Symbol.asyncDispose]: () => close() };
  } catch (thrown) {
    resolver[Symbol.dispose]();
    throw thrown;
  }
}
