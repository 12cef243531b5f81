/**
 * A node's socket: the wire and the HTTP endpoints on one port.
 *
 * Owns: a close that lets running calls end. Refuses: to listen beyond loopback without a cluster
 * token, since answers show mutes and drafts.
 */
import { type Clock, systemClock } from '../base/clock.ts';
import type { InvariantError } from '../base/invariant.ts';
import { requireTokenBeyondLoopback } from '../config/access-token.ts';
import { getRoute, type JsonRoute } from '../http/json-route.ts';
import { startJsonServer, type TlsFiles } from '../http/json-server.ts';
import type { Histogram, Registry } from '../metrics/registry.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import { WireServer, type WireServerSnapshot } from '../wire/node-server.ts';

/** What a node listens on, and what it answers with. */
export type ServingOptions = {
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Files of the map's `tls`; null speaks plainly. */
  readonly tls: TlsFiles | null;
  readonly clusterToken: string | null;
  readonly adminToken: string | null;
  /** By method name; may grow while the node serves. */
  readonly handlers: ReadonlyMap<string, CallHandler>;
  readonly epoch: () => number;
  readonly isReady: () => boolean;
  /** The body of `GET /v1/status`. */
  readonly status: () => Promise<object>;
  /** More operators' endpoints. */
  readonly routes?: readonly JsonRoute[];
  readonly registry: Registry;
  /** Takes the readings that must be asked for, before each print of the metrics. */
  readonly refreshMetrics?: () => Promise<void>;
  /** Called when a handler broke an invariant; its caller has been answered `Internal`. */
  readonly onFault: (error: InvariantError, method: string) => void;
  readonly clock?: Clock;
};

/** A node's socket in use. */
export type RunningServing = AsyncDisposable & {
  /** The port that is listened on, also when any was asked for. */
  readonly port: number;
  readonly wire: () => WireServerSnapshot;
  /** Stops listening, lets running calls end for up to `graceMs`, then closes every connection. */
  close(graceMs?: number): Promise<void>;
};

/** How long running calls may go on after `close`. Units: milliseconds. */
const closeGraceMsDefault = 5000;

/**
 * Listens and serves.
 *
 * Errors: DataPlaneError `ConfigInvalid` for a host beyond loopback without a cluster token, TLS
 * files that do not load, and a port that cannot be had.
 */
export async function startServing(options: ServingOptions): Promise<RunningServing> {
  const neededToken = 'a cluster token (clusterTokenFile in the shard map)';
  requireTokenBeyondLoopback(options.host, options.clusterToken, neededToken);
  const clock = options.clock ?? systemClock;
  const wire = new WireServer({
    handlers: options.handlers,
    epoch: options.epoch,
    clusterToken: options.clusterToken,
    clock,
    observe: callObserver(options.registry),
    onFault: options.onFault,
  });
  registerWireMetrics(options.registry, wire);
  const { host, port, tls, clusterToken, adminToken, isReady, registry } = options;
  const server = await startJsonServer({
    host,
    port,
    tls,
    tokens: [clusterToken, adminToken],
    isReady,
    metricsText: async () => {
      await options.refreshMetrics?.();
      return registry.prometheusText();
    },
    routes: [getRoute('/v1/status', options.status), ...(options.routes ?? [])],
    attach: (app) => wire.attachTo(app),
  });
  let closing: Promise<void> | null = null;
  const close = (graceMs = closeGraceMsDefault): Promise<void> => {
    closing ??= (async () => {
      server.stopListening();
      await wire.stop(graceMs);
      await server.close();
    })();
    return closing;
  };
  return { port: server.port, wire: () => wire.snapshot, close, [Symbol.asyncDispose]: () => close() };
}

/** Returns the recorder of call times. Methods are those with handlers, so they are few. */
function callObserver(registry: Registry): (method: string, durationMs: number) => void {
  const family = registry.histogram('skyshard_node_call_us', 'Time that a call took in its handler.', ['method']);
  const histogramByMethod = new Map<string, Histogram>();
  return (method, durationMs) => {
    let histogram = histogramByMethod.get(method);
    if (histogram === undefined) {
      histogram = family.with(method);
      histogramByMethod.set(method, histogram);
    }
    histogram.record(durationMs * 1000);
  };
}

function registerWireMetrics(registry: Registry, wire: WireServer): void {
  const one = (kind: 'gauge' | 'counter', name: string, help: string, read: (of: WireServerSnapshot) => number): void =>
    registry.readout(kind, name, help, [], () => [{ labelValues: [], value: read(wire.snapshot) }]);
  const byLabel = (
    name: string,
    help: string,
    label: string,
    read: (of: WireServerSnapshot) => Readonly<Record<string, number>>,
  ): void =>
    registry.readout('counter', name, help, [label], () =>
      Object.entries(read(wire.snapshot)).map(([value, count]) => ({ labelValues: [value], value: count })),
    );
  one('gauge', 'skyshard_wire_connections_count', 'Open connections of the wire.', (of) => of.connections);
  one('gauge', 'skyshard_wire_calls_running', 'Calls whose answers are still worked on.', (of) => of.callsRunning);
  one('counter', 'skyshard_wire_calls_count', 'Calls that arrived.', (of) => of.callCount);
  one('counter', 'skyshard_wire_received_bytes', 'Bytes of messages that arrived.', (of) => of.receivedBytes);
  one('counter', 'skyshard_wire_sent_bytes', 'Bytes of messages that were sent.', (of) => of.sentBytes);
  one('counter', 'skyshard_wire_handshakes_refused', 'Handshakes that were refused.', (of) => of.refusedHandshakeCount);
  one('counter', 'skyshard_wire_slow_readers_closed', 'Connections closed unread.', (of) => of.slowReaderCount);
  byLabel('skyshard_wire_errors_count', 'Calls answered by an error.', 'code', (of) => of.errorCountByCode);
  byLabel('skyshard_wire_malformed_count', 'Messages refused.', 'reason', (of) => of.malformedCountByReason);
}
