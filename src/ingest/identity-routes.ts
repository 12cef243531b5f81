/** The operators' endpoints about identities: one looked up, one looked up again, many imported. */
import { isAbsolute } from 'node:path';
import * as v from 'valibot';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { objectShape, textShape } from '../config/json-shape.ts';
import { getRoute, type JsonRoute, postRoute, refuseRequest } from '../http/json-route.ts';
import type { IdentityResolver } from '../identity/identity-resolver.ts';
import { LiveIdentitySource } from '../identity/live-identity.ts';
import type { IdentityImport } from './identity-import.ts';
import type { IdentityQueue } from './identity-queue.ts';
import { didOf, didShape } from './request-shapes.ts';
import type { IngestState } from './state/ingest-state.ts';

export type IdentityRoutesOptions = {
  readonly identities: IdentityQueue;
  readonly imports: IdentityImport;
  readonly state: IngestState;
  readonly resolver: IdentityResolver;
  readonly clock: Clock;
};

/** What the last look-up found; `isDone` is false while the one asked for was not answered. */
export type RefreshedIdentity = {
  readonly did: string;
  readonly isDone: boolean;
  readonly pds: string | null;
  readonly hasHandle: boolean;
};

const importBody = objectShape({ path: v.pipe(textShape, v.check(isAbsolute, 'must be an absolute path')) });
/** How long a request waits for the look-up, which goes on by itself. */
const refreshMsMax = 10_000;

async function showIdentity({ resolver, clock }: IdentityRoutesOptions, query: URLSearchParams): Promise<object> {
  const source = new LiveIdentitySource(resolver, clock);
  const handle = query.get('handle');
  if (!query.has('did') && handle === null) refuseRequest('did or handle is needed');
  const identity = query.has('did') ? await source.byDid(didOf(query)) : await source.byHandle(handle!);
  if (identity === null) throw new DataPlaneError('NotFound', `no identity for ${query.get('did') ?? handle}`);
  return identity;
}

/** The request is durable, so what is not answered in time is tried again. */
async function refresh({ identities, state, clock }: IdentityRoutesOptions, did: string): Promise<RefreshedIdentity> {
  const startedSec = Math.floor(clock.nowMs() / 1000);
  await identities.refresh(did);
  await identities.ended(did, AbortSignal.timeout(refreshMsMax));
  const { checkedAtSec = 0, pds = null, hasHandle = false } = state.identities.check(did) ?? {};
  // Where too many wait for the same site, it is not queued at all.
  return { did, isDone: state.lookups.get(did) === undefined && checkedAtSec >= startedSec, pds, hasHandle };
}

function showImport({ imports }: IdentityRoutesOptions): object {
  const { progress } = imports;
  if (progress === null) throw new DataPlaneError('NotFound', 'no identities were ever imported');
  return progress;
}

/** Returns every endpoint about identities. */
export function identityRoutes(options: IdentityRoutesOptions): JsonRoute[] {
  const { imports } = options;
  return [
    getRoute('/v1/identity', (query) => showIdentity(options, query)),
    postRoute('/v1/identity/refresh', objectShape({ did: didShape }), ({ did }) => refresh(options, did)),
    getRoute('/v1/identity/import', () => showImport(options)),
    // The path is that of a file on this machine.
    postRoute('/v1/identity/import', importBody, async ({ path }) => {
      await imports.request(path);
      return showImport(options);
    }),
    postRoute('/v1/identity/import/stop', objectShape({}), async () => {
      const progress = showImport(options);
      await imports.stop();
      return { ...progress, ...showImport(options) };
    }),
  ];
}
