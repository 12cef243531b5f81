/** A router that looks identities up itself, at the directory and the hosts of the settings. */
import { IdentityResolver } from '../identity/identity-resolver.ts';
import { LiveIdentitySource } from '../identity/live-identity.ts';
import { type RouterOptions, type RunningRouter, startRouter } from './router-server.ts';

export type LookUpSettings = {
  readonly plcUrl: string;
  readonly handleResolver: string | null;
  readonly allowPrivateHosts: boolean;
};

/** Listens. Errors: see `startRouter`. */
export async function startLookingUpRouter(
  options: Omit<RouterOptions, 'identity'>,
  { plcUrl, handleResolver, allowPrivateHosts }: LookUpSettings,
): Promise<RunningRouter> {
  const { clock } = options;
  const ofClock = clock === undefined ? {} : { clock };
  const resolver = new IdentityResolver({ plcUrl, handleResolverUrl: handleResolver, allowPrivateHosts, ...ofClock });
  try {
    const router = await startRouter({ ...options, identity: new LiveIdentitySource(resolver, clock) });
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
