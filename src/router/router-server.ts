/**
 * The router process without its command line: edges, metrics and status around one ServiceRouter.
 *
 * Owns: the edges and their graceful end. Refuses: to listen beyond loopback without an admin
 * token, since reads show private data.
 */
import type { Registry } from 'prom-client';
import type { Note } from '../base/bounded-notes.ts';
import { type Clock, systemClock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import type { InvariantError } from '../base/invariant.ts';
import { requireTokenBeyondLoopback } from '../config/access-token.ts';
import { settingTable } from '../config/setting-table.ts';
import type { IngestState } from '../dashboard/ingest-state.ts';
import type { LiveHost } from '../dashboard/live-socket.ts';
import { ByteShares, CallerShares } from '../http/byte-shares.ts';
import { httpConnectionsMax } from '../http/connection-limit.ts';
import { getRoute, type JsonRoute, postRoute } from '../http/json-route.ts';
import type { ListeningServer } from '../http/json-server.ts';
import { type ArrivingBound, bodyMsMaxDefault } from '../http/request-body.ts';
import { type SettleBody, settleBody } from '../http/settle-body.ts';
import type { HistogramSource } from '../metrics/histogram-report.ts';
import type { HistogramMemory } from '../metrics/histogram-store.ts';
import type { LiveQuestion } from '../metrics/live-history.ts';
import type { Live, LiveSource } from '../metrics/process-histograms.ts';
import type { Recording } from '../metrics/recording.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import type { LinkSnapshot } from '../wire/link-environment.ts';
import type { NodeCaller } from '../wire/node-caller.ts';
import { actorRoutes } from './actor-routes.ts';
import { compactionRoutes } from './compaction-routes.ts';
import { startHttpEdge } from './edge/http-edge.ts';
import type { Http2Limits } from './edge/http2-connection.ts';
import { type ListeningHttp2, startHttp2Edge } from './edge/http2-edge.ts';
import type { CallSharing } from './edge/rpc-endpoint.ts';
import { FailureLog } from './failure-log.ts';
import { histogramRoutes } from './histogram-routes.ts';
import { labelRoutes } from './label-routes.ts';
import { LiveCluster } from './live-cluster.ts';
import { type MapAdmin, mapRoutes } from './map-routes.ts';
import { idleStatuses, type NodeStatus, nodeStatuses, statusTimeoutMs } from './node-statuses.ts';
import { type AdmissionLimits, defaultAdmissionLimits } from './plan/admission.ts';
import { answerMemoryOf } from './plan/answer-memory.ts';
import type { IdentitySource } from './plan/identity-source.ts';
import { ServiceRouter } from './plan/service-router.ts';
import type { WriteCount } from './plan/shared-answers.ts';
import { planByMethod } from './plans/service.ts';
import { type EraseAtIngest, privateRoutes } from './private-routes.ts';
import { quarantineRoutes } from './quarantine-routes.ts';
import { Readiness, reachedNodes } from './readiness.ts';
import { repairRoutes } from './repair-routes.ts';
import { replicaRoutes } from './replica-routes.ts';
import { RequestMetrics } from './request-metrics.ts';
import { registerRouterMetrics } from './router-metrics.ts';
import { RouterRecording } from './router-recording.ts';
import { catchUpSearch, searchRoutes } from './search-routes.ts';
import { type SlotCounts, settle } from './settle.ts';
import { suggestionRoutes } from './suggestion-routes.ts';

export type RouterLimits = AdmissionLimits & {
  /** Units: bytes of one request's body. */
  readonly bodyBytesMax: number;
  /** From a body's first chunk to its last. Units: ms. */
  readonly bodyMsMax: number;
  /** Units: bytes of all bodies that are arriving. */
  readonly arrivingBytesMax: number;
  /** Of one caller's bodies. */
  readonly arrivingBytesOfCallerMax: number;
  /** Of each listener. */
  readonly httpConnectionsMax: number;
};

const routerLimitDefaults: RouterLimits = {
  ...defaultAdmissionLimits,
  // Twice what the most items of a request usually take.
  bodyBytesMax: 1024 * 1024,
  bodyMsMax: bodyMsMaxDefault,
  arrivingBytesMax: 256 * 1024 * 1024,
  // As with items in flight, three quarters.
  arrivingBytesOfCallerMax: 192 * 1024 * 1024,
  httpConnectionsMax,
};

export type RouterOptions = {
  readonly map: ShardMap;
  readonly caller: NodeCaller;
  /** The node in this process; absent for a router. */
  readonly ownNode?: string;
  /** Returns the state of the links to the nodes that `caller` has called, by their names. */
  readonly links?: () => Readonly<Record<string, LinkSnapshot>>;
  /** URLs of the server that should have the log; absent where that is not said. */
  readonly logUrls?: readonly string[];
  /** See ServiceRouterOptions. */
  readonly writes?: WriteCount;
  readonly identity: IdentitySource;
  readonly registry: Registry;
  /** Where requests are recorded, and who reads that; absent: histograms of the router's own. */
  readonly recording?: Recording;
  readonly histograms?: HistogramSource;
  /** What the process recorded lately; absent: what the router's own histograms have. */
  readonly live?: LiveSource;
  /** Opens the page and metrics beyond loopback, and nothing else. */
  readonly viewToken?: string | null;
  /** The text of `/metrics`, if it is not the registry's alone. */
  readonly metricsText?: () => Promise<string>;
  readonly host: string;
  readonly allowedHosts?: readonly string[];
  /** HTTP/1.1 for gRPC, Connect and operators. 0 takes any free port. */
  readonly port: number;
  /** HTTP/2 for gRPC and Connect. 0 takes any free port; null serves none. */
  readonly http2Port: number | null;
  /** Other threads of this process listen on the ports, too. */
  readonly reusePort?: boolean;
  /** Makes what shares calls of HTTP/2 sessions among threads, each of which has a router. */
  readonly shareCalls?: (router: ServiceRouter) => CallSharing;
  /** The part of the limits in bytes that this router has, beside others of its process. */
  readonly shareOfLimits?: number;
  readonly adminToken: string | null;
  readonly limits?: Partial<RouterLimits & Http2Limits>;
  /** Reads the map again after a node refuses our epoch, and gives it to `caller`. */
  readonly reloadMap?: () => Promise<ShardMap>;
  /** Waits until received events, or those up to the cursors, are logged. Absent without ingest. */
  readonly settleIngest?: (body: SettleBody) => Promise<object>;
  readonly eraseAtIngest?: EraseAtIngest;
  /** What the page shows of ingest. */
  readonly liveAtIngest?: (question: LiveQuestion) => Promise<Live>;
  readonly ingestStatus?: () => Promise<IngestState>;
  readonly mapAdmin?: MapAdmin;
  readonly routes?: readonly JsonRoute[];
  readonly onFault: (error: InvariantError, method: string) => void;
  /** Called for failed requests that an operator should see, a few a second at most. */
  readonly note?: Note;
  /** Requests that take so long are noted; absent: the default of the setting. Units: ms. */
  readonly slowMs?: number;
  /** Whether the node is ready whose edge this is; absent for a router. */
  readonly isOwnReady?: () => Promise<boolean>;
  /**
   * How long a router that stops goes on answering while it says that it is not ready and tells
   * clients to go; absent: not at all. Units: ms.
   */
  readonly drainMs?: number;
  readonly clock?: Clock;
};

/** What a router has ingest do; absent without ingest. */
export type AskingIngest = Pick<RouterOptions, 'settleIngest' | 'eraseAtIngest' | 'liveAtIngest' | 'ingestStatus'>;

export type RunningRouter = AsyncDisposable & {
  readonly port: number;
  readonly http2Port: number | null;
  readonly router: ServiceRouter;
  /** The bytes of bodies that are arriving. */
  arrivingBytes(): number;
  /**
   * Drains, stops listening, waits up to `graceMs` for requests in flight, then ends every
   * connection.
   */
  close(graceMs?: number): Promise<void>;
};

const closeGraceMsDefault = 5_000;
const drainCheckMs = 5;
const slowMsDefault = settingTable.slowMs.default;

type StatusParts = Pick<RouterOptions, 'links' | 'logUrls'> & { readonly memory: () => HistogramMemory | null };

function statusRoute(router: ServiceRouter, clock: Clock, { links, logUrls = [], memory }: StatusParts): JsonRoute {
  return getRoute('/v1/status', async () => {
    const [nodes, idleNodes] = await Promise.all([nodeStatuses(router, clock), idleStatuses(router)]);
    const linkByNode = links?.() ?? {};
    return {
      role: 'router',
      epoch: router.map.epoch,
      slots: router.map.slots,
      itemsInFlight: router.itemsInFlight,
      logUrls,
      histograms: memory(),
      nodes: nodes.map((node) => ({ ...node, transport: linkByNode[node.name]?.transport ?? null })),
      /** Without slots: nothing is missing while one of them is down. */
      idleNodes,
    };
  });
}

/** Returns the slots that keep something in quarantine. Errors: those of a node that is down. */
async function quarantinedSlots(router: ServiceRouter, clock: Clock): Promise<number[]> {
  const nodes = await nodeStatuses(router, clock);
  const down = nodes.find(({ error }) => error !== undefined);
  if (down !== undefined) throw new DataPlaneError('Unavailable', `${down.name} does not answer: ${down.error}`);
  const isHeld = ({ role, quarantined }: SlotCounts): boolean => role === 'primary' && quarantined > 0;
  return nodes.flatMap(({ slots = [] }) => slots.filter(isHeld).map(({ slot }) => slot));
}

function settleRoute(router: ServiceRouter, clock: Clock, settleIngest: RouterOptions['settleIngest']): JsonRoute {
  return postRoute('/v1/settle', settleBody, async (body) => {
    const startMs = clock.monotonicMs();
    const ingest = settleIngest === undefined ? {} : await settleIngest(body);
    const settled = await settle(() => nodeStatuses(router, clock), body.timeoutMs, clock, startMs);
    await catchUpSearch(router, clock, startMs + body.timeoutMs);
    return { ...settled, elapsedMs: Math.round(clock.monotonicMs() - startMs), ingest };
  });
}

function serviceRouterOf(
  options: RouterOptions,
  admission: AdmissionLimits,
  { recording, slow }: RouterRecording,
  clock: Clock,
): ServiceRouter {
  const { map, caller, identity, writes, registry, onFault, reloadMap, ownNode, note } = options;
  const failures = note === undefined ? null : new FailureLog(note, clock);
  const router = new ServiceRouter({
    map,
    caller,
    identity,
    plans: planByMethod,
    admission,
    clock,
    observer: new RequestMetrics(recording, registry),
    onFault,
    ...(failures === null ? {} : { onFailure: (failure) => failures.add(failure) }),
    onSlow: (request) => slow.add(request),
    slowMs: options.slowMs ?? slowMsDefault,
    ...(reloadMap === undefined ? {} : { reloadMap }),
    ...(writes === undefined ? {} : { writes }),
    ...(ownNode === undefined ? {} : { ownNode }),
  });
  router.watchReplicas();
  return router;
}

/** Returns what the page of the router shows. */
function liveHostOf(
  options: RouterOptions,
  router: ServiceRouter,
  { live: own, slow }: RouterRecording,
  clock: Clock,
): LiveHost {
  const { ownNode = null, liveAtIngest, ingestStatus } = options;
  const isIngestKnown = liveAtIngest !== undefined && ingestStatus !== undefined;
  const ingest = isIngestKnown ? { live: liveAtIngest, status: ingestStatus } : null;
  const statuses = async (): Promise<NodeStatus[]> =>
    (await Promise.all([nodeStatuses(router, clock), idleStatuses(router)])).flat();
  const [map, slowest] = [() => router.map, () => slow.slowest];
  return new LiveCluster({ router, map, own, ownNode, ingest, statuses, slowest, clock });
}

/** Returns the endpoints of operators. */
function operatorRoutes(
  options: RouterOptions,
  router: ServiceRouter,
  recorded: RouterRecording,
  clock: Clock,
): JsonRoute[] {
  return [
    statusRoute(router, clock, { ...options, memory: () => recorded.memory }),
    settleRoute(router, clock, options.settleIngest),
    ...histogramRoutes(router, recorded.histograms, options.ownNode ?? null, clock),
    ...repairRoutes(router, clock),
    ...privateRoutes(router, clock, options.eraseAtIngest),
    ...quarantineRoutes(router, clock, () => quarantinedSlots(router, clock)),
    ...compactionRoutes(router, clock),
    ...replicaRoutes(router, clock),
    ...searchRoutes(router, clock),
    ...suggestionRoutes(router, clock),
    ...labelRoutes(router, clock),
    ...actorRoutes(router, clock),
    ...(options.mapAdmin === undefined ? [] : mapRoutes(options.mapAdmin)),
    ...(options.routes ?? []),
  ];
}

/**
 * Listens.
 *
 * Errors: DataPlaneError `ConfigInvalid` for a host beyond loopback without an admin token, a port
 * that is taken, or bad TLS files.
 */
export async function startRouter(options: RouterOptions): Promise<RunningRouter> {
  const { map, registry, host, adminToken, viewToken = null } = options;
  requireTokenBeyondLoopback(host, adminToken, 'an admin token');
  const clock = options.clock ?? systemClock;
  const limits = { ...routerLimitDefaults, ...options.limits };
  const { shareOfLimits = 1 } = options;
  const recorded = new RouterRecording(options, clock);
  const admission = { ...limits, ...answerMemoryOf(limits, shareOfLimits) };
  const router = serviceRouterOf(options, admission, recorded, clock);
  registerRouterMetrics(registry, router, options.links);
  const sharing = options.shareCalls?.(router);
  const { allowedHosts, reusePort = false, drainMs = 0 } = options;
  const edges: ListeningServer[] = [];
  let http2: ListeningHttp2 | null = null;
  const inFlight = (): number => router.itemsInFlight + (sharing?.waiting ?? 0) + (http2?.openStreams() ?? 0);
  const reached = (): Promise<boolean[]> => reachedNodes(router.fanOut, clock.monotonicMs() + statusTimeoutMs);
  const readiness = new Readiness(reached, options.isOwnReady ?? (async () => true));
  const closeEdges = async (graceMs: number): Promise<void> => {
    readiness.drain();
    http2?.drain();
    if (drainMs > 0) await clock.sleep(drainMs);
    sharing?.stop();
    for (const edge of edges) edge.stopListening();
    const endMs = clock.monotonicMs() + graceMs;
    // At least once, so that ready answers are written.
    do await clock.sleep(drainCheckMs);
    while (inFlight() > 0 && clock.monotonicMs() < endMs);
    await Promise.all([...edges.map((edge) => edge.close()), router[Symbol.asyncDispose]()]);
    sharing?.[Symbol.dispose]();
    recorded[Symbol.dispose]();
  };
  let closing: Promise<void> | null = null;
  const close = (graceMs = closeGraceMsDefault): Promise<void> => {
    closing ??= closeEdges(graceMs);
    return closing;
  };
  const budget = new ByteShares<ArrivingBound>(limits.arrivingBytesMax * shareOfLimits, 'arrivingBytesMax');
  const arrivingBytes = (): number => budget.bytes;
  const callers = new CallerShares(budget, limits.arrivingBytesOfCallerMax * shareOfLimits, 'arrivingBytesOfCallerMax');
  const bodies = { ...limits, budget, callers };
  const shared = { router, host, allowedHosts, reusePort, tls: map.tls, limits: bodies };
  try {
    const http = await startHttpEdge({
      ...shared,
      clock,
      port: options.port,
      tokens: [adminToken],
      isReady: () => readiness.isReady(),
      isDraining: () => readiness.isDraining,
      metricsText: options.metricsText ?? (() => registry.metrics()),
      routes: operatorRoutes(options, router, recorded, clock),
      viewToken,
      live: liveHostOf(options, router, recorded, clock),
    });
    edges.push(http);
    if (options.http2Port !== null) {
      http2 = await startHttp2Edge({ ...shared, clock, sharing, port: options.http2Port });
      edges.push(http2);
    }
    return {
      port: http.port,
      http2Port: http2?.port ?? null,
      router,
      arrivingBytes,
      close,
      [Symbol.asyncDispose]: () => close(),
    };
  } catch (thrown) {
    await close();
    throw thrown;
  }
}
