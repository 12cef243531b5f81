/** A router with all that it needs beside its nodes: look-ups, ingest, tokens. */
import type { Registry } from 'prom-client';
import { IdentityResolver } from '../../identity/identity-resolver.ts';
import { LiveIdentitySource } from '../../identity/live-identity.ts';
import { type RouterOptions, type RunningRouter, startRouter } from '../../router/router-server.ts';
import { adminRequest } from '../admin-request.ts';
import type { CommandContext } from '../command.ts';

/** Beyond ingest's own timeout, so that its answer, which says what is late, comes first. */
const settleGraceMs = 2_000;

const eraseTimeoutMs = 30_000;

/** What a router has ingest do. */
function askingIngest(url: string, token: string | null): Pick<RouterOptions, 'settleIngest' | 'eraseAtIngest'> {
  const ask = async (path: string, body: object, timeoutMs: number): Promise<object> =>
    (await adminRequest({ url, path, body, token, timeoutMs })) as object;
  return {
    settleIngest: (body) => ask('/v1/settle', body, body.timeoutMs + settleGraceMs),
    eraseAtIngest: (body) => ask('/v1/private/erase', body, eraseTimeoutMs),
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
      ...(ingestUrl === null ? {} : askingIngest(ingestUrl, parts.adminToken)),
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
