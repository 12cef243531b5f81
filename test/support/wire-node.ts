/**
 * A node's end of the wire for tests; run as a script, it is a process that tests may kill.
 *
 * Methods: `echo` returns its payload; `fill` as many bytes as the payload's u32 says; `fail`
 * throws the code and message named in its payload; `silent` never answers; `later` echoes after a
 * turn of the event loop; `block` blocks the thread for the payload's u32 in ms; `ran` lists the
 * methods that ran.
 */
import { App, type us_listen_socket, us_listen_socket_close, us_socket_local_port } from 'uWebSockets.js';
import { systemClock } from '../../src/base/clock.ts';
import { DataPlaneError, type ErrorCode } from '../../src/base/data-plane-error.ts';
import { invariant } from '../../src/base/invariant.ts';
import { parseShardMap, type ShardMap } from '../../src/shardmap/shard-map.ts';
import type { CallContext, CallHandler } from '../../src/wire/node-caller.ts';
import { WireServer, type WireServerOptions } from '../../src/wire/wire-server.ts';

export type WireNode = {
  readonly port: number;
  readonly server: WireServer;
  /** Of the calls that ran. */
  readonly contexts: CallContext[];
  readonly faults: { method: string; message: string }[];
  /** Stops listening and ends every connection. */
  close(): void;
};

function testHandlers(contexts: CallContext[]): Map<string, CallHandler> {
  const handlers: Record<string, CallHandler> = {
    echo: (payload) => Buffer.copyBytesFrom(payload),
    fill: (payload) => Buffer.alloc(Buffer.from(payload).readUInt32BE(0), 7),
    fail: (payload) => {
      const [code, message] = Buffer.from(payload).toString().split(':');
      throw new DataPlaneError(code as ErrorCode, message ?? '');
    },
    break: () => invariant(false, 'a test may break this') as never,
    throw: async () => {
      throw new TypeError('a defect');
    },
    silent: () => new Promise(() => {}),
    later: async (payload) => {
      const copy = Buffer.copyBytesFrom(payload);
      await new Promise((resolve) => setImmediate(resolve));
      return copy;
    },
    ran: () => Buffer.from(JSON.stringify(contexts.map((context) => context.method))),
    block: (payload) => {
      const untilMs = systemClock.monotonicMs() + Buffer.from(payload).readUInt32BE(0);
      while (systemClock.monotonicMs() < untilMs);
      return Buffer.alloc(0);
    },
  };
  const recorded = (handler: CallHandler): CallHandler => {
    return (payload, context) => {
      contexts.push(context);
      return handler(payload, context);
    };
  };
  return new Map(Object.entries(handlers).map(([name, handler]) => [name, recorded(handler)]));
}

/** Starts a node on `port`, or on a free one. */
export async function startWireNode(
  options: Partial<WireServerOptions> & { readonly port?: number; readonly unixOffer?: string } = {},
): Promise<WireNode> {
  const contexts: CallContext[] = [];
  const faults: { method: string; message: string }[] = [];
  const server = new WireServer({
    handlers: testHandlers(contexts),
    epoch: () => 1,
    clusterToken: null,
    clock: systemClock,
    onFault: (error, method) => void faults.push({ method, message: error.message }),
    ...options,
  });
  const app = App();
  server.attachTo(app, { unixOffer: () => options.unixOffer ?? null });
  const socket = await new Promise<us_listen_socket>((resolve, reject) => {
    app.listen('127.0.0.1', options.port ?? 0, (listening) => {
      if (listening === false) reject(new Error('cannot listen'));
      else resolve(listening);
    });
  });
  const port = us_socket_local_port(socket);
  const close = (): void => {
    us_listen_socket_close(socket);
    app.close();
  };
  return { port, server, contexts, faults, close };
}

/** Returns a map of one slot whose nodes n0, n1, … listen on these ports. */
export function mapOfPorts(ports: readonly number[], epoch = 1): ShardMap {
  const nodes = Object.fromEntries(ports.map((port, index) => [`n${index}`, { host: '127.0.0.1', port }]));
  return parseShardMap({ epoch, slots: 1, nodes, shards: [{ name: 's0', primary: 'n0', slots: ['0'] }] });
}

if (import.meta.main ?? process.argv[1] === import.meta.filename) {
  const node = await startWireNode({ port: Number(process.argv[2] ?? 0) });
  console.log(JSON.stringify({ port: node.port }));
}
