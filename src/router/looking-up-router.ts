/** A router that looks identities up itself, at the directory and the hosts of the settings. */
import { type Clock, systemClock } from '../base/clock.ts';
import { IdentityResolver } from '../identity/identity-resolver.ts';
import { LiveIdentitySource } from '../identity/live-identity.ts';
import type { IdentitySource } from './plan/identity-source.ts';
import { type RouterOptions, type RunningRouter, startRouter } from './router-server.ts';

export type LookUpSettings = {
  readonly plcUrl: string;
  readonly handleResolver: string | null;
  readonly allowPrivateHosts: boolean;
};

export type LookUps = Disposable & { readonly source: IdentitySource };

/** Makes the look-ups of a process, whose routers share what they found and what was asked. */
export function startLookUps(settings: LookUpSettings, clock: Clock = systemClock): LookUps {
  const { plcUrl, handleResolver: handleResolverUrl, allowPrivateHosts } = settings;
  const resolver = new IdentityResolver({ plcUrl, handleResolverUrl, allowPrivateHosts, clock });
  return { source: new LiveIdentitySource(resolver, clock), [Symbol.dispose]: () => resolver[Symbol.dispose]() };
}

/** Listens. Errors: see `startRouter`. */
export async function startLookingUpRouter(
  options: Omit<RouterOptions, 'identity'>,
  settings: LookUpSettings,
): Promise<RunningRouter> {
  const lookUps = startLookUps(settings, options.clock);
  try {
    const router = await startRouter({ ...options, identity: lookUps.source });
    const close = async (graceMs?: number): Promise<void> => {
      await router.close(graceMs);
      lookUps[Symbol.dispose]();
    };
    return { ...router, close, [Symbol.asyncDispose]: () => close() };
  } catch (thrown) {
    lookUps[Symbol.dispose]();
    throw thrown;
  }
}
