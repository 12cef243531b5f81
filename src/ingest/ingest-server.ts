/**
 * The ingest process: follows sources, fetches repos, resolves identities, all into the log.
 *
 * Owns: the construction of all parts, and the order of shutdown: stop receiving, wait for
 * unfinished work, store the cursors, close the state.
 */
import { mkdirSync } from 'node:fs';
import { Registry } from 'prom-client';
import type { AccountsEvent } from '../atproto/firehose-event.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { type SeededRandom, seededRandom } from '../base/seeded-random.ts';
import { requireTokenBeyondLoopback } from '../config/access-token.ts';
import { startJsonServer, type TlsFiles } from '../http/json-server.ts';
import { IdentityResolver, type IdentityResolverOptions } from '../identity/identity-resolver.ts';
import { PublicFetch } from '../identity/public-fetch.ts';
import type { LogAppender } from '../log/log-appender.ts';
import { AccountDeletions } from './account-deletions.ts';
import { AccountFacts } from './account-facts.ts';
import { type AdmissionParts, buildAdmission, type VerifyOptions } from './admission-parts.ts';
import { Backfill } from './backfill.ts';
import { Bsync } from './bsync.ts';
import { BsyncClient } from './bsync-client.ts';
import { EventRouter } from './event-router.ts';
import { accountsStream } from './event-stream.ts';
import { HandleChecks } from './handle-checks.ts';
import { HostLimits } from './host-limits.ts';
import { HostPolicy } from './host-policy.ts';
import { IdentityImport } from './identity-import.ts';
import { IdentityQueue } from './identity-queue.ts';
import { createIngestCounters, type IngestCounters } from './ingest-counters.ts';
import { registerReadouts } from './ingest-readouts.ts';
import { type ClusterParts, ingestRoutes } from './ingest-routes.ts';
import { type LabelRescanRequest, rescanLabels } from './label-rescan.ts';
import { type FollowedLabeler, followLabelers } from './labeler-parts.ts';
import { RepoCompare } from './repo-compare.ts';
import { RepoFetch } from './repo-fetch.ts';
import { RepoGate, repoGateLimits } from './repo-gate.ts';
import { RepoHost } from './repo-host.ts';
import { RefusingAppender, RepoRemoval } from './repo-removal.ts';
import type { ClusterAccess } from './slot-dids.ts';
import { SlotRepair } from './slot-repair.ts';
import { listSpeakerOf } from './speaker.ts';
import { IngestState } from './state/ingest-state.ts';
import { StoredRepos } from './stored-repos.ts';
import { type AnySubscription, Subscription } from './subscription.ts';
import { Why } from './why.ts';

export type IngestSource = {
  /** http(s) or ws(s). */
  readonly url: string;
  /** Where to start when no cursor is stored (0 = the beginning); null for now. */
  readonly startSeq: number | null;
  /** For a PDS, its URL in DID documents; absent or null for a relay. */
  readonly pds?: string | null;
};

export type IngestOptions = {
  /** Folder of the durable state, used by this process alone. */
  readonly folder: string;
  readonly host: string;
  readonly allowedHosts?: readonly string[];
  /** 0 for any free port. */
  readonly port: number;
  /** Null, the default, means no TLS. */
  readonly tls?: TlsFiles | null;
  readonly sources: readonly IngestSource[];
  /** DIDs of labelers, or origins of their services. */
  readonly labelers?: readonly string[];
  /** Fetches every repo that the sources list. */
  readonly backfillSources: boolean;
  /** The log, which ingest does not close. */
  readonly appender: LogAppender;
  readonly identity: Pick<
    IdentityResolverOptions,
    'plcUrl' | 'handleResolverUrl' | 'allowPrivateHosts' | 'timeoutMs' | 'txtLookup' | 'addressLookup'
  >;
  readonly verify: VerifyOptions;
  /** The service that orders private writes; absent or null for none. */
  readonly bsync?: { readonly url: string; readonly key: string | null } | null;
  /** For repairs of slots; without, there are none. */
  readonly cluster?: ClusterAccess;
  readonly adminToken: string | null;
  readonly viewToken?: string | null;
  /** Limits of backfill; see `backfillDefaults`. */
  readonly backfill?: Partial<typeof backfillDefaults>;
  /** Handles of imported identities to verify in a second; 0 for none. */
  readonly handleChecksPerSecond?: number;
  readonly registry?: Registry;
  readonly clock?: Clock;
  readonly random?: SeededRandom;
  /** Logs what an operator wants to know. */
  readonly note?: (message: string, fields: Record<string, unknown>) => void;
};

/** Units: repos at once, requests at once and per second to one host, entries held for one repo. */
const backfillDefaults = {
  concurrencyMax: 24,
  hostConcurrencyMax: 8,
  hostRequestsPerSecond: 40,
  heldEntriesMax: repoGateLimits.entriesMax,
};

const closeMsMax = 3000;

export type RunningIngest = {
  readonly port: number;
  readonly subscriptions: readonly AnySubscription[];
  readonly labelers: readonly AnySubscription[];
  readonly backfill: Backfill;
  readonly resolver: IdentityResolver;
  /** See `Backfill.requestResyncs`. */
  requestResyncs(repos: readonly { readonly did: string; readonly revMin: string }[]): Promise<void>;
  /** Stops receiving, waits briefly for unfinished work, and closes the state. */
  close(): Promise<void>;
};

/** Returns the http(s) origin of a source's URL. Errors: DataPlaneError `ConfigInvalid`. */
function sourceOrigin(url: string): string {
  const parsed = URL.parse(url);
  if (parsed === null || !/^(https?|wss?):$/.test(parsed.protocol)) {
    throw new DataPlaneError('ConfigInvalid', `"${url}" is not an http(s) or ws(s) URL`);
  }
  const isSecure = parsed.protocol === 'https:' || parsed.protocol === 'wss:';
  return new URL(`${isSecure ? 'https' : 'http'}://${parsed.host}`).origin;
}

type Parts = {
  readonly state: IngestState;
  readonly fetch: PublicFetch;
  readonly resolver: IdentityResolver;
  readonly facts: AccountFacts;
  readonly identities: IdentityQueue;
  readonly hosts: HostPolicy;
  readonly deletions: AccountDeletions;
  readonly removal: RepoRemoval;
  readonly imports: IdentityImport;
  readonly handleChecks: HandleChecks;
  /** Null where none is configured. */
  readonly bsync: Bsync | null;
  readonly backfill: Backfill;
  readonly host: RepoHost;
  readonly repoFetch: RepoFetch;
  readonly admission: AdmissionParts;
  readonly subscriptions: readonly AnySubscription[];
  readonly followedLabelers: readonly FollowedLabeler[];
};

type SharedDeps = {
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly counters: IngestCounters;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly signal: AbortSignal;
};

function sharedDepsOf(options: IngestOptions, registry: Registry, signal: AbortSignal): SharedDeps {
  const clock = options.clock ?? systemClock;
  return {
    clock,
    random: options.random ?? seededRandom(clock.nowMs()),
    counters: createIngestCounters(registry, clock),
    note: options.note ?? (() => {}),
    signal,
  };
}

function publicFetchOf(
  { allowPrivateHosts, addressLookup }: IngestOptions['identity'],
  isBlocked: (target: URL) => boolean,
): PublicFetch {
  return new PublicFetch({
    allowPrivateHosts,
    isBlocked,
    ...(addressLookup === undefined ? {} : { lookup: addressLookup }),
  });
}

/** Returns the sources by name; `pds` is null for a relay. */
function namedSources({ sources }: IngestOptions): { readonly name: string; readonly pds: string | null }[] {
  return sources.map(({ url, pds = null }) => ({
    name: sourceOrigin(url),
    pds: pds === null ? null : sourceOrigin(pds),
  }));
}

/** Creates the backfill, its host client, and the gate that live entries pass to the log. */
function buildBackfill(
  options: IngestOptions,
  deps: SharedDeps,
  parts: Pick<Parts, 'state' | 'fetch' | 'resolver' | 'facts' | 'hosts' | 'identities'>,
) {
  const { clock, counters, signal } = deps;
  const { state, fetch, resolver, facts, hosts } = parts;
  const { appender } = options;
  const bounds = { ...backfillDefaults, ...options.backfill };
  const gate = new RepoGate(appender, { ...repoGateLimits, entriesMax: bounds.heldEntriesMax });
  const { hostConcurrencyMax, hostRequestsPerSecond: requestsPerSecond, concurrencyMax } = bounds;
  const limits = new HostLimits({
    clock,
    concurrencyMax: hostConcurrencyMax,
    requestsPerSecond,
    requestsPerSecondOf: hosts.requestsPerSecond,
  });
  const origins = new Set(options.sources.map(({ url }) => sourceOrigin(url)));
  // The operator named the hosts in the state: as a source, or for a backfill.
  const isTrusted = (origin: string): boolean => origins.has(origin) || state.hosts.get(origin) !== undefined;
  const host = new RepoHost({
    fetch,
    limits,
    clock,
    isTrusted,
    signal,
    onFailure: (origin) => hosts.noteFailure(origin),
  });
  const repoFetch = new RepoFetch({ gate, appender, resolver, facts, host, clock, counters });
  const maySpeak = listSpeakerOf(facts, namedSources(options));
  const own = { gate, fetch: repoFetch, host, limits, maySpeak, concurrencyMax };
  const backfill = new Backfill({ ...deps, ...parts, ...own }, signal);
  return { backfill, gate, host, repoFetch };
}

function bsyncOf({ bsync = null, appender }: IngestOptions, deps: SharedDeps, state: IngestState): Bsync | null {
  if (bsync === null) return null;
  const client = new BsyncClient(bsync.url, bsync.key);
  const { cursors, erasures } = state;
  return new Bsync({ ...deps, client, cursors, erasures, appender }, deps.signal);
}

function buildParts(given: IngestOptions, deps: SharedDeps): Parts {
  const { signal } = deps;
  mkdirSync(given.folder, { recursive: true, mode: 0o700 });
  const state = new IngestState(given.folder);
  const appender = new RefusingAppender(given.appender, state.refusedRepos);
  const options = { ...given, appender };
  const isBlocked = (target: URL): boolean => hosts.isBlocked(target);
  const fetch = publicFetchOf(options.identity, isBlocked);
  const resolver = new IdentityResolver({
    ...options.identity,
    isBlocked,
    clock: deps.clock,
    onDocument: (document) => facts.learn(document),
  });
  const facts = new AccountFacts({ identities: state.identities, resolver, clock: deps.clock });
  const hosts = new HostPolicy({
    rules: state.hostRules,
    facts,
    clock: deps.clock,
    isSampled: options.verify.mode === 'off',
  });
  const identities = new IdentityQueue({ ...deps, resolver, appender, state }, signal);
  const { backfill, gate, host, repoFetch } = buildBackfill(options, deps, {
    state,
    fetch,
    resolver,
    facts,
    hosts,
    identities,
  });
  const deletions = new AccountDeletions({ ...deps, queue: state.deletions, gate, resolver, host }, signal);
  const requestRepo = (did: string): Promise<void> => backfill.requestRepo(did, null);
  const removed = { refused: state.refusedRepos, appender: given.appender, identities, requestRepo };
  const removal = new RepoRemoval({ ...deps, ...removed });
  const requestResync = (did: string, revMin: string): Promise<void> => backfill.requestResync(did, revMin);
  const perSecond = options.handleChecksPerSecond ?? 0;
  const handleChecks = new HandleChecks({ ...deps, state, resolver, appender, perSecond }, signal);
  const imports = new IdentityImport({ ...deps, state, appender, onImported: () => handleChecks.wake() }, signal);
  const bsync = bsyncOf(options, deps, state);
  const lookups = { identities, deletions, removal, handleChecks, imports, bsync };
  const parts = { state, fetch, resolver, facts, hosts, ...lookups, backfill, host, repoFetch };
  const followed = buildSubscriptions(options, deps, { ...parts, gate, requestResync });
  const isClockBehind = (): boolean =>
    followed.subscriptions.some(({ condition }) => condition.stopped?.code === 'ClockBehind');
  // Labels of a refused repo are not its own.
  const { appender: log, labelers = [] } = given;
  const followedLabelers = followLabelers({ ...deps, ...parts, labelers, appender: log, isClockBehind }, signal);
  return { ...parts, ...followed, followedLabelers };
}

type RouterParts = Pick<Parts, 'state' | 'facts' | 'hosts' | 'identities' | 'deletions'> & {
  readonly gate: RepoGate;
  readonly requestResync: (did: string, revMin: string) => Promise<void>;
};

/** Creates the subscriptions, and what their events pass on the way to the log. */
function buildSubscriptions(
  options: IngestOptions,
  deps: SharedDeps,
  { state, ...parts }: RouterParts,
): Pick<Parts, 'admission' | 'subscriptions'> {
  const { appender, verify } = options;
  const sources = namedSources(options);
  const admission = buildAdmission({ ...deps, ...parts, verify, sources });
  const { pool, trusts } = admission;
  const router = new EventRouter({ ...deps, ...parts, admission: admission.admission });
  const waitForCapacity = (): Promise<void> | null => {
    if (!appender.hasCapacity) return appender.waitForCapacity();
    return admission.admission.waitForCapacity() ?? pool?.waitForCapacity() ?? null;
  };
  const routeRefused = (event: AccountsEvent) => router.routeRefused(event);
  const subscriptions = options.sources.map(({ url, startSeq }, index) => {
    const trust = trusts[index]!;
    const route = (event: AccountsEvent, message: Buffer) => router.route(event, trust, message);
    const own = { stream: accountsStream, name: trust.name, url, startSeq, trust };
    const routes = { route, routeRefused, routeUnreadable: (did: string) => parts.identities.refresh(did) };
    return new Subscription({ ...deps, ...own, ...routes, state, waitForCapacity }, deps.signal);
  });
  return { admission, subscriptions };
}

/** What needs the nodes. */
function clusterPartsOf({ cluster, appender }: IngestOptions, parts: Parts, deps: SharedDeps): ClusterParts | null {
  if (cluster === undefined) return null;
  const stored = new StoredRepos(cluster);
  const again = (request: LabelRescanRequest) => rescanLabels(parts.followedLabelers, request, deps);
  return {
    repair: new SlotRepair({ ...deps, ...parts, ...cluster, appender, rescanLabels: again }),
    compare: new RepoCompare({ fetch: parts.repoFetch, stored }),
    why: new Why({ ...deps, ...parts, stored }),
  };
}

/**
 * Starts ingest.
 *
 * Returns: once it listens; sources that are unreachable are retried until they answer. Errors:
 * DataPlaneError `ConfigInvalid` for an invalid URL or port, and for a host beyond loopback without
 * a token.
 */
export async function startIngest(options: IngestOptions): Promise<RunningIngest> {
  requireTokenBeyondLoopback(options.host, options.adminToken, 'an admin token');
  for (const { url } of options.sources) sourceOrigin(url);
  const registry = options.registry ?? new Registry();
  const stop = new AbortController();
  const shared = sharedDepsOf(options, registry, stop.signal);
  const parts = buildParts(options, shared);
  const { state, backfill, subscriptions, identities, resolver, fetch } = parts;
  const labelers = parts.followedLabelers.map(({ subscription }) => subscription);
  const followed = [...subscriptions, ...labelers];
  const { appender: log, host, port, tls = null, adminToken, viewToken = null } = options;
  const recorded = registerReadouts(registry, { ...parts, sources: followed, appender: log, clock: shared.clock });
  const cluster = clusterPartsOf(options, parts, shared);
  const http = await startJsonServer({
    host,
    allowedHosts: options.allowedHosts,
    port,
    tls,
    tokens: [adminToken],
    viewToken,
    isReady: () => true,
    metricsText: () => registry.metrics(),
    routes: ingestRoutes({ ...parts, labelers, cluster, recorded, clock: shared.clock, log }),
  }).catch(async (error: unknown) => {
    recorded[Symbol.dispose]();
    await state[Symbol.asyncDispose]();
    throw error;
  });
  const workers = [
    parts.removal,
    backfill,
    identities,
    parts.deletions,
    parts.handleChecks,
    parts.imports,
    ...(parts.bsync === null ? [] : [parts.bsync]),
    ...(cluster === null ? [] : [cluster.repair]),
    ...subscriptions,
    ...labelers,
  ];
  const running = workers.map((worker) => worker.run());
  if (options.backfillSources) {
    for (const { name } of subscriptions) if (!backfill.isListed(name)) await backfill.requestHost(name);
  }
  const close = async (): Promise<void> => {
    stop.abort();
    http.stopListening();
    await http.close();
    recorded[Symbol.dispose]();
    // Unfinished events are received again at the next start; a log that is down must not block.
    const deadline = AbortSignal.timeout(closeMsMax);
    await Promise.all(followed.map((subscription) => subscription.waitDurable(null, deadline)));
    resolver[Symbol.dispose]();
    fetch[Symbol.dispose]();
    const over = new AbortController();
    const stopped = Promise.all([...running, identities.stopped()]).finally(() => over.abort());
    await Promise.race([stopped, shared.clock.sleep(closeMsMax, over.signal)]);
    for (const subscription of followed) await subscription.storeCursor().catch(operatingFailure);
    await parts.admission.pool?.[Symbol.asyncDispose]();
    await state[Symbol.asyncDispose]();
  };
  return {
    port: http.port,
    subscriptions,
    labelers,
    backfill,
    resolver,
    requestResyncs: (repos) => backfill.requestResyncs(repos),
    close,
  };
}
