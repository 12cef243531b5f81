/**
 * A node's end of the wire: `/wire` on a uWebSockets app, where handlers answer calls.
 *
 * Owns: the checks of the handshake, dispatch by method name, deadlines, and backpressure. Refuses:
 * web pages, other versions, callers without the cluster token, malformed messages (the connection
 * closes with the reason), calls past their deadline, and calls of a connection that does not read
 * its answers.
 */
import type { HttpRequest, HttpResponse, TemplatedApp, us_socket_context_t } from 'uWebSockets.js';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError, type ErrorCode, toDataPlaneError } from '../base/data-plane-error.ts';
import { InvariantError } from '../base/invariant.ts';
import { carriesToken } from '../config/access-token.ts';
import {
  FrameReader,
  frameKind,
  type MalformedReason,
  messageBytesMax,
  payloadBytesMax,
  wireSubprotocol,
} from './frame.ts';
import type { MapGate } from './map-gate.ts';
import type { CallContext, CallHandler, CallObserver } from './node-caller.ts';
import { ServerConnection, type ServerLimits, type SocketState, serverLimitDefaults } from './server-connection.ts';
import { unixOfferHeader } from './unix-offer.ts';

export type WireServerOptions = {
  readonly handlers: ReadonlyMap<string, CallHandler>;
  /** The epoch of the node's map, which every answer carries. */
  readonly epoch: () => number;
  /** Absent: all calls run, whatever their epoch. */
  readonly gate?: MapGate;
  /** Required in every handshake; null if only loopback can reach the node. */
  readonly clusterToken: string | null;
  readonly clock: Clock;
  readonly limits?: Partial<ServerLimits>;
  readonly observe?: CallObserver;
  /** Called when a handler breaks an invariant, which its caller sees as `Internal`. */
  readonly onFault: (error: InvariantError, method: string) => void;
};

export type WireServerSnapshot = {
  readonly connections: number;
  readonly callsRunning: number;
  readonly callCount: number;
  readonly errorCountByCode: Readonly<Record<string, number>>;
  readonly malformedCountByReason: Readonly<Record<string, number>>;
  readonly refusedHandshakeCount: number;
  readonly slowReaderCount: number;
  readonly receivedBytes: number;
  readonly sentMessageCount: number;
  readonly sentBytes: number;
};

/** The part of the listener that handshakes need. */
export type WireListener = {
  /** Returns why a handshake with these headers is a web page's, or null. */
  readonly pageRefusal?: (header: (name: string) => string) => { readonly message: string } | null;
  /** Said in each handshake, see unix-offer.ts; null while there is no Unix socket. */
  readonly unixOffer?: () => string | null;
  /** Called when an HTTP connection has become a WebSocket. */
  readonly onUpgraded?: () => void;
};

/** Answers are sent after this time even if more calls of the message wait. */
const batchMsMax = 1;

/** Answers the calls of all connections of a node. Stop it before the app closes. */
export class WireServer {
  readonly #options: WireServerOptions;
  readonly #limits: ServerLimits;
  readonly #reader = new FrameReader();
  readonly #connections = new Set<ServerConnection>();
  readonly #errorCountByCode = new Map<string, number>();
  readonly #malformedCountByReason = new Map<string, number>();
  readonly #counts = { call: 0, refusedHandshake: 0, slowReader: 0, sentMessage: 0, receivedBytes: 0, sentBytes: 0 };
  #callsRunning = 0;
  #isStopping = false;
  /** While stopping: called when a call or a connection ends. */
  #onEnding: (() => void) | null = null;

  constructor(options: WireServerOptions) {
    this.#options = options;
    this.#limits = { ...serverLimitDefaults, ...options.limits };
  }

  get snapshot(): WireServerSnapshot {
    return {
      connections: this.#connections.size,
      callsRunning: this.#callsRunning,
      callCount: this.#counts.call,
      errorCountByCode: Object.fromEntries(this.#errorCountByCode),
      malformedCountByReason: Object.fromEntries(this.#malformedCountByReason),
      refusedHandshakeCount: this.#counts.refusedHandshake,
      slowReaderCount: this.#counts.slowReader,
      receivedBytes: this.#counts.receivedBytes,
      sentMessageCount: this.#counts.sentMessage,
      sentBytes: this.#counts.sentBytes,
    };
  }

  /** Adds `/wire` to an app that does not listen yet. */
  attachTo(app: TemplatedApp, { pageRefusal, unixOffer, onUpgraded }: WireListener): void {
    app.ws<SocketState>('/wire', {
      idleTimeout: this.#limits.idleSMax,
      maxPayloadLength: messageBytesMax,
      // We enforce the limits ourselves and answer refused calls; the app must not drop answers.
      maxBackpressure: this.#limits.unreadBytesHardMax + messageBytesMax,
      upgrade: (response, request, context) => {
        const page = pageRefusal?.((name) => request.getHeader(name));
        if (page != null) this.#refuseHandshake(response, '403 Forbidden', page.message);
        else this.#upgrade(response, request, context, unixOffer?.() ?? null);
      },
      open: (socket) => {
        const { connection } = socket.getUserData();
        connection.opened(socket);
        this.#connections.add(connection);
        onUpgraded?.();
      },
      message: (socket, message, isBinary) => this.#received(socket.getUserData().connection, message, isBinary),
      drain: (socket) => {
        socket.getUserData().connection.drained(socket);
      },
      close: (socket) => {
        const { connection } = socket.getUserData();
        connection.closed();
        this.#connections.delete(connection);
        this.#onEnding?.();
      },
    });
  }

  /** Refuses new calls, waits for the running ones, and closes every connection. */
  async stop(timeoutMs: number): Promise<void> {
    this.#isStopping = true;
    const endMs = this.#options.clock.monotonicMs() + timeoutMs;
    await this.#until(() => this.#callsRunning === 0, endMs);
    for (const connection of this.#connections) connection.end(1001, 'the node is stopping');
    // A connection closes once its peer has read everything; the caller cuts off one that does not.
    await this.#until(() => this.#connections.size === 0, endMs);
  }

  /** Waits until `endMs` for `holds`, which may change when a call or a connection ends. */
  async #until(holds: () => boolean, endMs: number): Promise<void> {
    const timer = new AbortController();
    this.#onEnding = () => {
      if (holds()) timer.abort();
    };
    if (!holds()) await this.#options.clock.sleep(endMs - this.#options.clock.monotonicMs(), timer.signal);
    this.#onEnding = null;
  }

  #upgrade(response: HttpResponse, request: HttpRequest, context: us_socket_context_t, unixOffer: string | null): void {
    const { clusterToken } = this.#options;
    const protocols = request.getHeader('sec-websocket-protocol');
    let refusal: readonly [status: string, text: string] | null = null;
    if (clusterToken !== null && !carriesToken(request.getHeader('authorization'), clusterToken)) {
      refusal = ['401 Unauthorized', 'the cluster token is needed: start the caller with --cluster-token-file'];
    } else if (!protocols.split(',').some((name) => name.trim() === wireSubprotocol)) {
      refusal = ['400 Bad Request', `the WebSocket subprotocol must be ${wireSubprotocol}`];
    } else if (this.#isStopping || this.#connections.size >= this.#limits.connectionsMax) {
      refusal = ['503 Service Unavailable', this.#isStopping ? 'the node is stopping' : 'too many connections'];
    }
    if (refusal !== null) {
      this.#refuseHandshake(response, ...refusal);
      return;
    }
    const connection = new ServerConnection(this.#limits, this.#counts);
    const key = request.getHeader('sec-websocket-key');
    const extensions = request.getHeader('sec-websocket-extensions');
    if (unixOffer !== null) response.writeStatus('101 Switching Protocols').writeHeader(unixOfferHeader, unixOffer);
    response.upgrade<SocketState>({ connection }, key, wireSubprotocol, extensions, context);
  }

  #refuseHandshake(response: HttpResponse, status: string, text: string): void {
    this.#counts.refusedHandshake++;
    response.writeStatus(status).end(text, true);
  }

  #received(connection: ServerConnection, message: ArrayBuffer, isBinary: boolean): void {
    this.#counts.receivedBytes += message.byteLength;
    if (!isBinary) {
      this.#refuse(connection, 'message is text');
      return;
    }
    const { clock } = this.#options;
    const reader = this.#reader;
    reader.start(Buffer.from(message));
    const receivedMs = clock.monotonicMs();
    let nowMs = receivedMs;
    let batchStartMs = receivedMs;
    while (connection.isOpen && reader.next()) {
      if (reader.kind !== frameKind.call) {
        this.#refuse(connection, 'frame goes the wrong way');
        return;
      }
      this.#run(connection, reader, receivedMs, nowMs);
      nowMs = clock.monotonicMs();
      if (nowMs - batchStartMs > batchMsMax) {
        connection.flush();
        batchStartMs = nowMs;
      }
    }
    if (reader.malformed !== null) {
      this.#refuse(connection, reader.malformed);
      return;
    }
    connection.flush();
  }

  /** Runs a call. Its timeout counts from the arrival of the message, since clocks differ. */
  #run(connection: ServerConnection, frame: FrameReader, receivedMs: number, nowMs: number): void {
    const { id, name: method } = frame;
    const deadlineMs = receivedMs + frame.timeoutMs;
    this.#counts.call++;
    const wait = this.#options.gate?.waitOf(method, frame.epoch, nowMs) ?? null;
    const handler = this.#options.handlers.get(method);
    if (handler === undefined) {
      this.#fail(connection, id, 'Unimplemented', `no method "${method}" on this node`);
      return;
    }
    if (nowMs >= deadlineMs) {
      this.#fail(connection, id, 'DeadlineExceeded', `${method} was not run: too late`);
      return;
    }
    const refusal = this.#refusalOf(connection, method);
    if (refusal !== null) {
      this.#fail(connection, id, refusal[0], refusal[1]);
      return;
    }
    const context: CallContext = { method, epoch: frame.epoch, deadlineMs, trace: frame.trace };
    if (wait !== null) {
      const payload = Buffer.copyBytesFrom(frame.payload);
      const late = wait.then(() => this.#runAfterWait(connection, handler, payload, context));
      this.#runAsync(connection, id, context, nowMs, late);
      return;
    }
    try {
      const answer = handler(frame.payload, context);
      if (!(answer instanceof Uint8Array)) return this.#runAsync(connection, id, context, nowMs, answer);
      this.#observe(context, nowMs, null, false);
      this.#answer(connection, id, method, answer);
    } catch (thrown) {
      this.#observe(context, nowMs, toDataPlaneError(thrown).code, false);
      this.#failThrown(connection, id, method, thrown);
    }
  }

  #refusalOf(connection: ServerConnection, method: string): readonly [code: ErrorCode, message: string] | null {
    if (this.#isStopping) return ['Unavailable', 'the node is stopping'];
    if (connection.isBackpressured) {
      return ['ResourceExhausted', 'answers are not read (unreadBytesMax)'];
    }
    if (this.#callsRunning >= this.#limits.callsRunningMax) {
      return ['ResourceExhausted', 'too many calls run (callsRunningMax)'];
    }
    const wrongEpoch = this.#options.gate?.refusalOf(method) ?? null;
    return wrongEpoch === null ? null : ['WrongEpoch', wrongEpoch];
  }

  /** Runs a call that has waited for the map, as any other. */
  async #runAfterWait(
    connection: ServerConnection,
    handler: CallHandler,
    payload: Buffer,
    context: CallContext,
  ): Promise<Uint8Array> {
    const refusal = this.#refusalOf(connection, context.method);
    if (refusal !== null) throw new DataPlaneError(refusal[0], refusal[1]);
    const answer = handler(payload, context);
    // A synchronous answer may be in memory of the next one.
    return answer instanceof Uint8Array ? Buffer.copyBytesFrom(answer) : await answer;
  }

  #runAsync(
    connection: ServerConnection,
    id: number,
    context: CallContext,
    startMs: number,
    answer: Promise<Uint8Array>,
  ): void {
    this.#callsRunning++;
    const { method } = context;
    answer
      .then(
        (payload) => {
          this.#observe(context, startMs, null, true);
          this.#answer(connection, id, method, payload);
        },
        (thrown: unknown) => {
          this.#observe(context, startMs, toDataPlaneError(thrown).code, true);
          this.#failThrown(connection, id, method, thrown);
        },
      )
      .finally(() => {
        this.#callsRunning--;
        connection.flushSoon();
        this.#onEnding?.();
      });
  }

  #observe({ method, trace = null }: CallContext, startMs: number, code: ErrorCode | null, isLater: boolean): void {
    const { observe, clock } = this.#options;
    observe?.(method, clock.monotonicMs() - startMs, code, isLater, trace);
  }

  #answer(connection: ServerConnection, id: number, method: string, payload: Uint8Array): void {
    if (payload.length > payloadBytesMax) {
      const message = `${method}: an answer of ${payload.length} bytes; payloadBytesMax is ${payloadBytesMax}`;
      this.#fail(connection, id, 'ResourceExhausted', message);
      return;
    }
    connection.addAnswer(id, this.#options.epoch(), payload);
  }

  #failThrown(connection: ServerConnection, id: number, method: string, thrown: unknown): void {
    const error: DataPlaneError = toDataPlaneError(thrown);
    this.#fail(connection, id, error.code, error.message, error.ownHint);
    if (thrown instanceof InvariantError) this.#options.onFault(thrown, method);
  }

  #fail(connection: ServerConnection, id: number, code: ErrorCode, message: string, hint = ''): void {
    this.#errorCountByCode.set(code, (this.#errorCountByCode.get(code) ?? 0) + 1);
    connection.addError(id, this.#options.epoch(), code, message, hint);
  }

  #refuse(connection: ServerConnection, reason: MalformedReason): void {
    this.#malformedCountByReason.set(reason, (this.#malformedCountByReason.get(reason) ?? 0) + 1);
    connection.end(1002, reason);
  }
}
