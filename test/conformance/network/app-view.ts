/** The unmodified official AppView on any data plane. */
import { AtpAgent } from '@atproto/api';
import { BskyAppView, type DataPlaneClient, ServerConfig, type ServerConfigValues } from '@atproto/bsky';
import { ADMIN_PASSWORD } from '@atproto/dev-env';
import type { AppViewIdentity, AtNetwork } from './at-network.ts';
import { bsyncApiKey } from './bsync-writer.ts';
import type { HttpVersion, Plane } from './plane.ts';

const feedGenDeadlineMs = 5000;
const threadParentsMax = 50;

/** Names no labelers of its own accord. */
class PlainAgent extends AtpAgent {
  static override appLabelers = [];
}

export interface AppView extends AsyncDisposable {
  readonly did: string;
  readonly url: string;
  /** A client without an account. */
  readonly agent: AtpAgent;
  /** Refusals by the data plane, with method names; the AppView itself only says "internal". */
  readonly planeErrors: readonly string[];
  /** For each method of the data plane, how often it was called. */
  readonly planeCalls: ReadonlyMap<string, number>;
  /** The header that the AppView's admin methods require. */
  readonly adminHeaders: { readonly authorization: string };
}

/** Starts the official AppView with this plane over this HTTP version. */
export async function startAppView(
  network: AtNetwork,
  identity: AppViewIdentity,
  plane: Plane,
  httpVersion: HttpVersion,
  overrides: Partial<ServerConfigValues> = {},
): Promise<AppView> {
  const config = new ServerConfig({
    version: 'unknown',
    port: identity.port,
    publicUrl: 'https://bsky.public.url',
    didPlcUrl: network.plc.url,
    serverDid: identity.did as `did:plc:${string}`,
    alternateAudienceDids: [],
    dataplaneUrls: [plane.url(httpVersion)],
    dataplaneHttpVersion: httpVersion,
    bsyncUrl: network.bsync.url,
    bsyncApiKey,
    bsyncHttpVersion: '1.1',
    modServiceDid: 'did:example:invalidMod',
    labelsFromIssuerDids: ['did:example:labeler'],
    adminPasswords: [ADMIN_PASSWORD],
    etcdHosts: [],
    bigThreadUris: new Set(),
    maxThreadParents: threadParentsMax,
    disableSsrfProtection: true,
    searchTagsHide: new Set(),
    searchTagsHideAll: new Set(),
    threadTagsBumpDown: new Set(),
    threadTagsHide: new Set(),
    visibilityTagHide: '',
    visibilityTagRankPrefix: '',
    debugFieldAllowedDids: new Set(),
    draftsLimit: 500,
    feedGenSkeletonTimeout: feedGenDeadlineMs,
    ...overrides,
  });
  const server = BskyAppView.create({ config, signingKey: identity.signingKey });
  await server.start();
  const { planeErrors, planeCalls } = recordPlane(server.ctx.dataplane);
  const password = Buffer.from(`admin:${ADMIN_PASSWORD}`).toString('base64');
  return {
    did: identity.did,
    url: identity.url,
    agent: new PlainAgent({ service: identity.url }),
    planeErrors,
    planeCalls,
    adminHeaders: { authorization: `Basic ${password}` },
    [Symbol.asyncDispose]: () => server.destroy(),
  };
}

/** Wraps all methods of the AppView's client to record calls and errors, which are rethrown. */
function recordPlane(client: DataPlaneClient): Pick<AppView, 'planeErrors' | 'planeCalls'> {
  const planeErrors: string[] = [];
  const planeCalls = new Map<string, number>();
  const methods = client as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  for (const [name, call] of Object.entries(methods)) {
    planeCalls.set(name, 0);
    methods[name] = async (...args) => {
      planeCalls.set(name, planeCalls.get(name)! + 1);
      try {
        return await call(...args);
      } catch (error) {
        planeErrors.push(`${name}: ${String(error)}`);
        throw error;
      }
    };
  }
  return { planeErrors, planeCalls };
}
