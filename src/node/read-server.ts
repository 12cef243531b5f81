/**
 * What one thread of a node serves: its reads, its caches, its sockets, and an edge if asked for.
 *
 * It runs in the main thread of a node or in each of several workers. What is no read (writes,
 * status, the map) is the main thread's, and reaches it through `NodeControl`.
 */
import { readFileSync } from 'node:fs';
import type { Registry } from 'prom-client';
import type { Clock } from '../base/clock.ts';
import type { InvariantError } from '../base/invariant.ts';
import { seededRandom } from '../base/seeded-random.ts';
import type { LiveHost } from '../dashboard/live-socket.ts';
import type { HistogramSource } from '../metrics/histogram-report.ts';
import type { LiveSource } from '../metrics/process-histograms.ts';
import type { Recording } from '../metrics/recording.ts';
import { createReadHandlers, type Reads } from '../read/handler/read-handlers.ts';
import { createRecordBatchHandler } from '../read/handler/record-batch-handler.ts';
import { SlotTouches } from '../read/lookup/slot-touches.ts';
import { type CallSharing, replyTo } from '../router/edge/rpc-endpoint.ts';
import { LiveCluster } from '../router/live-cluster.ts';
import type { NodeState } from '../router/live-rows.ts';
import type { LookUpSettings } from '../router/looking-up-router.ts';
import type { MapAdmin } from '../router/map-routes.ts';
import type { IdentitySource } from '../router/plan/identity-source.ts';
import type { ServiceRouter } from '../router/plan/service-router.ts';
import type { WriteCount } from '../router/plan/shared-answers.ts';
import { type AskingIngest, type RunningRouter, startRouter } from '../router/router-server.ts';
import type { ShardMap } from '../shardmap/shard-map.ts';
import { MapGate } from '../wire/map-gate.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import { nodeCalls } from '../wire/node-calls.ts';
import { NodeClient } from '../wire/node-client.ts';
import type { NodeStatus } from '../wire/node-status.ts';
import { unixPathBytesMax } from '../wire/unix-offer.ts';
import { registerCacheMetrics } from './cache-metrics.ts';
import { CallExchange, type ExchangeEnds } from './call-exchange.ts';
import { type RunningNodeServer, startNodeServer } from './node-server.ts';
import { NodeReadiness, unreadySlots } from './readiness.ts';
import type { SlotReader } from './slot-reader.ts';
import { SlowCalls } from './slow-calls.ts';

/** Where a node's edge listens; it asks other nodes over the wire. */
export type EdgeSettings = LookUpSettings & {
  readonly host: string;
  /** 0 takes any free port. */
  readonly routerPort: number;
  /** Null serves no HTTP/2. */
  readonly http2Port: number | null;
  /** See RouterOptions. */
  readonly drainMs: number;
};

/** Can be posted between threads. */
export type ReadServerSettings = {
  readonly name: string;
  /** As their primary or as a replica, when it starts. */
  readonly heldSlots: readonly number[];
  readonly dataDir: string;
  readonly slotMapBytes: number;
  readonly prefetchReads: boolean;
  /** Of all threads. */
  readonly recordCacheBytes: number;
  readonly host: string;
  readonly allowedHosts?: readonly string[] | undefined;
  readonly port: number;
  /** Several threads listen on the same ports. */
  readonly reusePort: boolean;
  /** Of the Unix socket of this thread; processes of this machine learn it in their handshakes. */
  readonly unixPath: string;
  /** The part of a process's caches and limits in bytes that one thread has. */
  readonly shareOfLimits: number;
  /** Reads that take so long are noted. Units: ms. */
  readonly slowMs: number;
  readonly adminToken: string | null;
  readonly clusterToken: string | null;
  readonly viewToken: string | null;
  readonly edge: EdgeSettings | null;
};

/** What the main thread does for all serving threads. */
export type NodeControl = {
  /** Handlers of calls that are no reads, by method name. */
  readonly handlers: ReadonlyMap<string, CallHandler>;
  readonly map: () => ShardMap;
  /** Slots that this node answers reads of as a replica. */
  readonly readable: () => readonly number[];
  /** Takes the epoch of a peer's frame. Returns what to wait for if it is newer, or null. */
  readonly saw: (epoch: number) => Promise<void> | null;
  /** Returns why calls to slots are refused with `WrongEpoch`, or null. */
  readonly refusal: () => string | null;
  /** Asks the other nodes for a newer map. */
  readonly reload: () => Promise<ShardMap>;
  /** Shows and changes the map. */
  readonly mapAdmin: MapAdmin;
  /** The body of `GET /v1/status`. */
  readonly status: () => Promise<NodeStatus>;
  /** The metrics of all threads. */
  readonly metricsText: () => Promise<string>;
  /** The histograms of all threads, and what they recorded lately. */
  readonly histograms: HistogramSource;
  readonly live: LiveSource;
  readonly askingIngest: AskingIngest;
  /** The look-ups of all edges: a request may repeat one that another thread answered. */
  readonly identity: IdentitySource | null;
};

export type ReadServerParts = {
  readonly readers: ReadonlyMap<number, SlotReader>;
  readonly control: NodeControl;
  /** Called before each read. */
  readonly beforeRead?: (() => void) | undefined;
  /** Of the routers of all threads. */
  readonly writes: WriteCount;
  /** Null for a single thread. */
  readonly exchange: ExchangeEnds | null;
  readonly registry: Registry;
  /** Of this thread. */
  readonly recording: Recording;
  readonly onFault: (error: InvariantError, method: string) => void;
  readonly note: (message: string, fields: Record<string, unknown>) => void;
  readonly clock: Clock;
};

function withHook(beforeRead: () => void, handlers: Iterable<[string, CallHandler]>): [string, CallHandler][] {
  return Array.from(handlers, ([call, handler]) => [
    call,
    (payload, context) => {
      beforeRead();
      return handler(payload, context);
    },
  ]);
}

function sharingOver(ends: ExchangeEnds, clock: Clock): (router: ServiceRouter) => CallSharing {
  return (router) =>
    new CallExchange({
      ends,
      answer: (head, body) => replyTo(router, head, body),
      // A caller with a timeout ends its stream by itself.
      timeoutMsOf: ({ method, timeoutHeader }) =>
        router.timeoutMsOf(method, timeoutHeader === '' ? null : Number.POSITIVE_INFINITY),
      random: seededRandom(clock.nowMs()),
      clock,
    });
}

function readinessOf({ refusal, status }: NodeControl, clock: Clock): () => Promise<boolean> {
  const slots = new NodeReadiness(async () => unreadySlots(await status()).length === 0, clock);
  return async () => refusal() === null && (await slots.isReady());
}

const noBytes = Buffer.alloc(0);

type Edge = { readonly router: RunningRouter; readonly others: NodeClient };

async function startEdge(
  settings: ReadServerSettings,
  edge: EdgeSettings,
  parts: ReadServerParts,
  server: RunningNodeServer,
  isOwnReady: () => Promise<boolean>,
): Promise<Edge> {
  const { control, writes, exchange, registry, recording, clock, note, onFault } = parts;
  const { name, clusterToken, adminToken, allowedHosts, reusePort, shareOfLimits, slowMs } = settings;
  const map = control.map();
  const others = new NodeClient({
    map,
    clusterToken,
    trustedCertificates: map.tls === null ? null : readFileSync(map.tls.certFile),
    onOtherEpoch: (_node, epoch) => void control.saw(epoch),
    onProblem: (node, problem) => note(`node ${node} is lost: ${problem}`, {}),
    clock,
  });
  const options = {
    map,
    caller: server.callerOf(name, others),
    links: () => others.snapshot(),
    writes,
    registry,
    recording,
    histograms: control.histograms,
    live: control.live,
    viewToken: settings.viewToken,
    metricsText: control.metricsText,
    host: edge.host,
    ...(allowedHosts === undefined ? {} : { allowedHosts }),
    port: edge.routerPort,
    http2Port: edge.http2Port,
    reusePort,
    shareOfLimits,
    ...(exchange === null ? {} : { shareCalls: sharingOver(exchange, clock) }),
    adminToken,
    reloadMap: control.reload,
    mapAdmin: control.mapAdmin,
    ...control.askingIngest,
    identity: control.identity!,
    ownNode: name,
    onFault,
    note,
    slowMs,
    isOwnReady,
    drainMs: edge.drainMs,
    clock,
  };
  try {
    return { router: await startRouter(options), others };
  } catch (thrown) {
    await others[Symbol.asyncDispose]();
    throw thrown;
  }
}

/** Where it listens, as all serving threads of a node do. */
export type ListeningPorts = {
  readonly port: number;
  /** Of the edge; null without one. */
  readonly routerPort: number | null;
  readonly http2Port: number | null;
};

export class ReadServer implements ListeningPorts {
  /** There before anything listens: what commits change must not be missed. */
  readonly reads: Reads;
  readonly #settings: ReadServerSettings;
  readonly #parts: ReadServerParts;
  readonly #gate: MapGate;
  readonly #touches: SlotTouches;
  /** By slot; undefined for those that are not served here. */
  #served: readonly (SlotReader | undefined)[] = [];
  #primaryBySlot: readonly string[] = [];
  #server: RunningNodeServer | null = null;
  #edge: Edge | null = null;

  constructor(settings: ReadServerSettings, parts: ReadServerParts) {
    const { name, prefetchReads, recordCacheBytes, shareOfLimits } = settings;
    const { readers, control, registry, clock } = parts;
    this.#settings = settings;
    this.#parts = parts;
    this.#touches = new SlotTouches(control.map().slots);
    this.reads = createReadHandlers({
      slots: control.map().slots,
      stateOf: (slot) => this.#served[slot]?.state,
      isPrimaryOf: (slot) => this.#primaryBySlot[slot] === name,
      refreshReads: (slot) => readers.get(slot)?.environment.refreshReads(),
      prefetchReads,
      recordCacheBytes: Math.floor(recordCacheBytes * shareOfLimits),
      shareOfCaches: shareOfLimits,
      touches: this.#touches,
      clock,
    });
    this.#serve(control.map());
    registerCacheMetrics(registry, this.reads.cacheByName);
    this.#gate = new MapGate({
      epoch: () => control.map().epoch,
      saw: control.saw,
      check: () => control.reload(),
      refusal: control.refusal,
      clock,
    });
  }

  /** Errors: DataPlaneError `ConfigInvalid` for a port that is taken; see `startNodeServer`. */
  async listen(): Promise<void> {
    const { control, beforeRead, registry, recording, note, onFault, clock } = this.#parts;
    const { host, allowedHosts, port, reusePort, unixPath, adminToken, clusterToken, viewToken, edge, slowMs } =
      this.#settings;
    const hasUnixPath = Buffer.byteLength(unixPath) <= unixPathBytesMax;
    const records: [string, CallHandler] = [nodeCalls.records, createRecordBatchHandler(this.reads)];
    const touches = this.#touches;
    const begin = (): void => {
      touches.begin();
      beforeRead?.();
    };
    const own = withHook(begin, [...this.reads.handlers, records]);
    const reads = new Set(own.map(([call]) => call));
    const slowCalls = new SlowCalls(note, clock);
    const ping: [string, CallHandler] = [nodeCalls.ping, () => noBytes];
    const isReady = readinessOf(control, clock);
    const server = await startNodeServer({
      host,
      allowedHosts,
      port,
      reusePort,
      unixPath: hasUnixPath ? unixPath : null,
      tls: control.map().tls,
      clusterToken,
      adminToken,
      handlers: new Map([...control.handlers, ping, ...own]),
      epoch: () => control.map().epoch,
      gate: this.#gate,
      isReady,
      status: control.status,
      metricsText: control.metricsText,
      registry,
      recording,
      histograms: control.histograms,
      live: this.#liveHost(),
      viewToken,
      slotGroup: () => touches.takeGroup(),
      slowMs,
      onSlow: (method, durationMs, code, trace) => {
        // Others wait by their nature, as appends do for the disk.
        if (reads.has(method)) slowCalls.add(method, durationMs, code, trace);
      },
      onFault,
      clock,
    });
    this.#server = server;
    if (!server.isOnUnixSocket && control.map().tls === null) {
      const why = hasUnixPath ? 'cannot be made' : `is longer than ${unixPathBytesMax} bytes`;
      note(`the Unix socket ${unixPath} ${why}: processes of this machine use TCP`, {});
    }
    if (edge === null) return;
    this.#edge = await startEdge(this.#settings, edge, this.#parts, server, isReady);
    // It may have changed meanwhile.
    this.useMap(control.map());
  }

  /** What the page of the node shows. */
  #liveHost(): LiveHost {
    const { control, clock } = this.#parts;
    const { name: ownNode } = this.#settings;
    const statuses = async (): Promise<NodeState[]> => [{ ...(await control.status()), state: 'up' }];
    const { live: own, map } = control;
    return new LiveCluster({ router: null, map, own, ownNode, ingest: null, statuses, slowest: () => [], clock });
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  get routerPort(): number | null {
    return this.#edge?.router.port ?? null;
  }

  get http2Port(): number | null {
    return this.#edge?.router.http2Port ?? null;
  }

  /** Takes a newer map, which the main thread has put in force. */
  useMap(map: ShardMap): void {
    if (this.#serve(map)) this.reads.servedChanged();
    this.#edge?.others.setMap(map);
    this.#edge?.router.router.useMap(map);
  }

  /** Takes what `control.readable` says now, and which slots have readers. */
  readableChanged(): void {
    if (this.#serve(this.#parts.control.map())) this.reads.servedChanged();
  }

  /**
   * Serves the slots that this node is the primary of, and those of which it is a replica that is
   * close to its log. Returns whether they are others than before.
   */
  #serve({ primaryBySlot, slots, isDoubling }: ShardMap): boolean {
    const before = this.#served;
    const { readers, control, recording } = this.#parts;
    const readable = new Set(control.readable());
    this.#primaryBySlot = primaryBySlot;
    this.reads.useSlots(slots);
    recording.slotReads = this.#touches.counts;
    // What is a child's is with its parent until the child is read here.
    const readerOf = (slot: number): SlotReader | undefined =>
      readers.get(slot) ?? (isDoubling && slot >= slots / 2 ? readers.get(slot - slots / 2) : undefined);
    this.#served = primaryBySlot.map((primary, slot) =>
      primary === this.#settings.name || readable.has(slot) ? readerOf(slot) : undefined,
    );
    return this.#served.some((reader, slot) => reader !== before[slot]);
  }

  /** Resolves once all reads have ended that are under way. */
  begunHaveEnded(): Promise<void> {
    return this.reads.begunHaveEnded();
  }

  async close(): Promise<void> {
    await this.#edge?.router.close();
    await this.#edge?.others[Symbol.asyncDispose]();
    await this.#server?.close();
    this.#gate[Symbol.dispose]();
  }
}
