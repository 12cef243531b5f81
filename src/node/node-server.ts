/**
 * A node's socket: the wire and the HTTP endpoints on one port.
 *
 * Owns: a graceful close. Refuses: to listen beyond loopback without a cluster token, since answers
 * show mutes and drafts.
 */
import type { Registry } from 'prom-client';
import { type Clock, systemClock } from '../base/clock.ts';
import type { ErrorCode } from '../base/data-plane-error.ts';
import type { InvariantError } from '../base/invariant.ts';
import { isLoopback, requireTokenBeyondLoopback } from '../config/access-token.ts';
import { attachDashboard, viewAccess } from '../dashboard/dashboard.ts';
import type { LiveHost } from '../dashboard/live-socket.ts';
import { histogramQuestion } from '../http/histogram-question.ts';
import { getRoute } from '../http/json-route.ts';
import { startJsonServer, type TlsFiles } from '../http/json-server.ts';
import type { PageRules } from '../http/page-guard.ts';
import type { HistogramSource } from '../metrics/histogram-report.ts';
import { registerReadout } from '../metrics/metric.ts';
import type { MetricName } from '../metrics/metric-table.ts';
import { ProcessHistograms } from '../metrics/process-histograms.ts';
import type { Recording } from '../metrics/recording.ts';
import { severalGroups } from '../metrics/slot-group.ts';
import { LocalCaller } from '../wire/local-caller.ts';
import type { MapGate } from '../wire/map-gate.ts';
import type { CallHandler, CallObserver, NodeCaller } from '../wire/node-caller.ts';
import type { TraceContext } from '../wire/trace-context.ts';
import { unixOfferOf } from '../wire/unix-offer.ts';
import { WireServer, type WireServerSnapshot } from '../wire/wire-server.ts';

type SlowCallObserver = (
  method: string,
  durationMs: number,
  code: ErrorCode | null,
  trace: TraceContext | null,
) => void;

export type NodeServerOptions = PageRules & {
  /** 0 takes any free port. */
  readonly port: number;
  /** Other threads of this process listen on the port, too. */
  readonly reusePort?: boolean;
  /** Where to listen beside the port, for processes of this machine; absolute. Not with TLS. */
  readonly unixPath?: string | null;
  /** Files of the map's `tls`; null serves cleartext. */
  readonly tls: TlsFiles | null;
  readonly clusterToken: string | null;
  readonly adminToken: string | null;
  /** By method name. */
  readonly handlers: ReadonlyMap<string, CallHandler>;
  readonly epoch: () => number;
  /** See WireServerOptions. */
  readonly gate?: MapGate;
  readonly isReady: () => boolean | Promise<boolean>;
  /** The body of `GET /v1/status`. */
  readonly status: () => Promise<object>;
  /** Absent: the text of `registry`. */
  readonly metricsText?: () => Promise<string>;
  readonly registry: Registry;
  /** Where calls are recorded; absent: in histograms of the server's own, in `registry`. */
  readonly recording?: Recording;
  readonly histograms?: HistogramSource;
  /** What the page shows; absent: there is none. */
  readonly live?: LiveHost;
  /** Opens the page and metrics, and nothing else. */
  readonly viewToken?: string | null;
  /** Returns the group of slots of the call that was answered last; absent: of none. */
  readonly slotGroup?: () => string;
  /** Called with calls that take `slowMs` or longer. */
  readonly onSlow?: SlowCallObserver;
  /** Units: ms. */
  readonly slowMs?: number;
  /** Called when a handler breaks an invariant, which its caller sees as `Internal`. */
  readonly onFault: (error: InvariantError, method: string) => void;
  readonly clock?: Clock;
};

export type RunningNodeServer = AsyncDisposable & {
  readonly port: number;
  readonly isOnUnixSocket: boolean;
  readonly wire: () => WireServerSnapshot;
  /** Returns the caller of a router in this process; `node` is the node's own name. */
  callerOf(node: string, elsewhere: NodeCaller): NodeCaller;
  /** Stops listening, waits up to `graceMs` for running calls, then closes every connection. */
  close(graceMs?: number): Promise<void>;
};

const closeGraceMsDefault = 5000;

/**
 * Listens.
 *
 * Errors: DataPlaneError `ConfigInvalid` for a host beyond loopback without a cluster token, bad
 * TLS files, or a port that is taken; `DataInUse` for a Unix socket that is.
 */
export async function startNodeServer(options: NodeServerOptions): Promise<RunningNodeServer> {
  const neededToken = 'a cluster token (clusterTokenFile in the shard map)';
  requireTokenBeyondLoopback(options.host, options.clusterToken, neededToken);
  const clock = options.clock ?? systemClock;
  const own = options.recording === undefined ? new ProcessHistograms(clock) : null;
  own?.register(options.registry, 'node');
  const histograms: HistogramSource = options.histograms ?? ((question) => own!.report('node', question));
  const observe = callObserver(options.recording ?? own!.recording, options);
  const wire = new WireServer({
    handlers: options.handlers,
    epoch: options.epoch,
    ...(options.gate === undefined ? {} : { gate: options.gate }),
    clusterToken: options.clusterToken,
    clock,
    observe,
    onFault: options.onFault,
  });
  registerWireMetrics(options.registry, wire);
  const unixPath = options.tls === null ? (options.unixPath ?? null) : null;
  const unixOffer = unixPath === null ? null : unixOfferOf(unixPath);
  const { host, port, reusePort = false, tls, clusterToken, adminToken, isReady, registry } = options;
  // On loopback operators need the admin token alone: `up` always has a cluster token.
  const admitted = {
    tokens: adminToken === null && isLoopback(host) ? [] : [clusterToken, adminToken],
  };
  const access = viewAccess(host, options.viewToken ?? null, admitted.tokens);
  let dashboard: Disposable | null = null;
  const server = await startJsonServer({
    host,
    allowedHosts: options.allowedHosts,
    port,
    reusePort,
    unixPath,
    tls,
    ...admitted,
    isReady,
    metricsText: options.metricsText ?? (() => registry.metrics()),
    routes: [
      getRoute('/v1/status', options.status),
      getRoute('/v1/histograms', async (query) => ({ processes: [await histograms(histogramQuestion(query))] })),
    ],
    viewToken: options.viewToken ?? null,
    attach: (listener) => {
      const { app, pages, connections } = listener;
      wire.attachTo(app, {
        pageRefusal: (header) => pages.callRefusal(header),
        unixOffer: () => (server.isOnUnixSocket ? unixOffer : null),
        onUpgraded: () => connections.upgraded(),
      });
      if (options.live !== undefined) dashboard = attachDashboard(listener, { host: options.live, access, clock });
    },
  });
  let closing: Promise<void> | null = null;
  const close = (graceMs = closeGraceMsDefault): Promise<void> => {
    closing ??= (async () => {
      server.stopListening();
      dashboard?.[Symbol.dispose]();
      await wire.stop(graceMs);
      await server.close();
      own?.[Symbol.dispose]();
    })();
    return closing;
  };
  const { handlers, epoch, gate = null } = options;
  return {
    port: server.port,
    isOnUnixSocket: server.isOnUnixSocket,
    wire: () => wire.snapshot,
    callerOf: (node, elsewhere) => new LocalCaller({ node, handlers, elsewhere, epoch, gate, observe, clock }),
    close,
    [Symbol.asyncDispose]: () => close(),
  };
}

/** Names of handlers and of groups are bounded. Of a call that ran on, its group is not known. */
function callObserver(
  recording: Recording,
  { slotGroup = () => '', onSlow, slowMs = Infinity }: Pick<NodeServerOptions, 'slotGroup' | 'onSlow' | 'slowMs'>,
): CallObserver {
  const durations = recording.histogram('skyshard_call_duration_seconds');
  return (method, durationMs, code, isLater, trace) => {
    durations.with(method, isLater ? severalGroups : slotGroup()).recordMs(durationMs);
    if (durationMs >= slowMs) onSlow?.(method, durationMs, code, trace);
  };
}

function registerWireMetrics(registry: Registry, wire: WireServer): void {
  const one = (name: MetricName, read: (of: WireServerSnapshot) => number): void =>
    registerReadout(registry, name, () => read(wire.snapshot));
  const byLabel = (
    name: MetricName,
    label: string,
    read: (of: WireServerSnapshot) => Readonly<Record<string, number>>,
  ): void =>
    registerReadout(registry, name, () =>
      Object.entries(read(wire.snapshot)).map(([labelValue, value]) => ({ labels: { [label]: labelValue }, value })),
    );
  one('skyshard_calls_total', (of) => of.callCount);
  one('skyshard_calls_in_flight', (of) => of.callsRunning);
  byLabel('skyshard_call_errors_total', 'code', (of) => of.errorCountByCode);
  one('skyshard_call_connections', (of) => of.connections);
  one('skyshard_call_received_bytes_total', (of) => of.receivedBytes);
  one('skyshard_call_sent_bytes_total', (of) => of.sentBytes);
  one('skyshard_call_handshakes_refused_total', (of) => of.refusedHandshakeCount);
  byLabel('skyshard_call_malformed_messages_total', 'reason', (of) => of.malformedCountByReason);
  one('skyshard_call_slow_readers_closed_total', (of) => of.slowReaderCount);
}
