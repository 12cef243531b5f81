/**
 * A small simulated network on one port: relay, PDS and PLC directory with the real protocol.
 *
 * Owns: the server and the pace of events. `DemoWorld` decides what happens.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';
import { type Clock, systemClock } from '../../base/clock.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { DemoExamples } from '../model/demo-examples.ts';
import { answerRequest } from './demo-endpoints.ts';
import { DemoWorld } from './demo-world.ts';
import { HostileSide } from './hostile-side.ts';
import { parseCursor, streamRepos } from './repo-stream.ts';

export type DemoNetworkOptions = {
  readonly dataDir: string;
  readonly seed?: number;
  readonly actors?: number;
  /** Records that exist when it first opens. */
  readonly initialRecords?: number;
  /** 0 emits nothing by itself. */
  readonly recordsPerSecond?: number;
  readonly host?: string;
  /** 0 takes any free port. */
  readonly port?: number;
  /** Share of events that change a handle or switch an account off or on. */
  readonly accountEvents?: number;
  readonly recordsMax?: number;
  readonly backlogBytesMax?: number;
  readonly journalSlackBytes?: number;
  readonly clock?: Clock;
  /** Messages of strangers, mixed into the stream; 0 for a network without any. */
  readonly hostilePerSecond?: number;
};

const demoNetworkDefaults = {
  seed: 1,
  actors: 150,
  initialRecords: 3000,
  recordsPerSecond: 20,
  host: '127.0.0.1',
  port: 0,
  accountEvents: 0.004,
  /** Past this, each commit also deletes an old record, so that the demo stops growing. */
  recordsMax: 100_000,
  backlogBytesMax: 128 * 2 ** 20,
  journalSlackBytes: 64 * 2 ** 20,
  initialSpanMs: 3 * 86_400_000,
  hostilePerSecond: 0,
} as const;

export interface RunningDemoNetwork extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** The address of relay, PDS and PLC directory alike. */
  readonly url: string;
  readonly examples: DemoExamples;
  /** The seq of the last message. */
  readonly seq: number;
  readonly records: number;
  readonly world: DemoWorld;
  /** Rejects when the network can no longer go on; resolves when it is closed. */
  readonly finished: Promise<void>;
  /** Emits events until at least this many records were written or deleted. */
  emit(records: number): Promise<void>;
  close(): Promise<void>;
}

const streamPath = '/xrpc/com.atproto.sync.subscribeRepos';
const tickMs = 50;

class DemoServer implements AsyncDisposable {
  readonly #world: DemoWorld;
  readonly #http: Server;
  readonly #sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 4096 });
  readonly #stop = new AbortController();
  readonly #streams = new Set<Promise<void>>();
  url = '';

  constructor(world: DemoWorld, hostile: HostileSide | null) {
    this.#world = world;
    this.#http = createServer((request, response) => {
      void answerRequest(world, hostile?.accounts ?? null, request, response, this.url);
    });
    this.#http.on('upgrade', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#upgrade(request, socket, head);
    });
  }

  async listen(host: string, port: number): Promise<number> {
    this.#http.listen(port, host);
    await once(this.#http, 'listening');
    const bound = (this.#http.address() as AddressInfo).port;
    this.url = `http://${host.includes(':') ? `[${host}]` : host}:${bound}`;
    return bound;
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const target = new URL(request.url ?? '/', 'http://demo.invalid');
    const cursor = parseCursor(target.searchParams.get('cursor'));
    if (target.pathname !== streamPath || cursor === undefined) {
      socket.on('error', () => socket.destroy());
      socket.end(`HTTP/1.1 ${cursor === undefined ? '400 Bad Request' : '404 Not Found'}\r\nconnection: close\r\n\r\n`);
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (opened: WebSocket) => {
      const stream = streamRepos(opened, this.#world.backlog, this.#world.seq, cursor, this.#stop.signal);
      this.#streams.add(stream);
      void stream.finally(() => this.#streams.delete(stream));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    // A subscriber that does not answer the close is terminated.
    const timer = setTimeout(() => this.#terminate(), 1000);
    await Promise.allSettled(this.#streams);
    clearTimeout(timer);
    this.#terminate();
    this.#http.closeAllConnections();
    this.#http.close();
    await once(this.#http, 'close');
  }

  #terminate(): void {
    for (const socket of this.#sockets.clients) socket.terminate();
  }
}

/** Emits records at an even pace until `signal` aborts, without catching up after a pause. */
async function runLive(emit: (records: number) => Promise<void>, perSecond: number, clock: Clock, signal: AbortSignal) {
  let due = 0;
  let lastMs = clock.monotonicMs();
  while (!signal.aborted) {
    await clock.sleep(Math.max(tickMs, 1000 / perSecond), signal);
    const nowMs = clock.monotonicMs();
    due = Math.min(Math.max(1, perSecond), due + ((nowMs - lastMs) * perSecond) / 1000);
    lastMs = nowMs;
    if (signal.aborted || due < 1) continue;
    await emit(Math.floor(due));
    due -= Math.floor(due);
  }
}

/**
 * Starts a demo network, resuming the one in the folder.
 *
 * Returns: once its first records exist and it listens.
 * Errors: DataPlaneError `ConfigInvalid` when the folder holds the network of another seed or size.
 */
export async function startDemoNetwork(options: DemoNetworkOptions): Promise<RunningDemoNetwork> {
  const settings = { ...demoNetworkDefaults, clock: systemClock, ...options };
  const { clock, host, recordsPerSecond, hostilePerSecond } = settings;
  const world = await DemoWorld.open(settings, clock.nowMs());
  const hostile = hostilePerSecond > 0 ? await HostileSide.open(world, settings.seed, clock) : null;
  const server = new DemoServer(world, hostile);
  let port: number;
  try {
    port = await server.listen(host, settings.port);
  } catch (thrown) {
    world[Symbol.dispose]();
    throw new DataPlaneError('ConfigInvalid', `the demo network cannot listen on ${host}:${settings.port}`, {
      cause: thrown,
    });
  }
  const stop = new AbortController();
  // Events are emitted one at a time, whoever asks for them.
  let turn: Promise<void> = Promise.resolve();
  const emit = (records: number): Promise<void> => {
    const emitted = turn.then(async () => {
      for (let left = records; left > 0 && !stop.signal.aborted; ) left -= await world.emit(clock.nowMs());
    });
    turn = emitted.catch(() => undefined);
    return emitted;
  };
  const live =
    recordsPerSecond > 0
      ? runLive(emit, recordsPerSecond, clock, stop.signal)
      : once(stop.signal, 'abort').then(() => undefined);
  const strangers =
    hostile === null
      ? live
      : runLive((messages) => hostile.emit(messages, stop.signal), hostilePerSecond, clock, stop.signal);
  const finished = Promise.all([live, strangers]).then(() => undefined);
  // Awaiters of `finished` see the failure; without one, it must not end the process before close.
  finished.catch(() => stop.abort());
  const closeOnce = async (): Promise<void> => {
    stop.abort();
    await turn;
    await hostile?.[Symbol.asyncDispose]();
    await server[Symbol.asyncDispose]();
    world[Symbol.dispose]();
  };
  let closed: Promise<void> | null = null;
  const close = (): Promise<void> => {
    closed ??= closeOnce();
    return closed;
  };
  return {
    host,
    port,
    url: server.url,
    examples: world.examples(),
    world,
    finished,
    emit,
    close,
    get seq() {
      return world.seq;
    },
    get records() {
      return world.records;
    },
    [Symbol.asyncDispose]: close,
  };
}
