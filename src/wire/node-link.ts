/**
 * One WebSocket connection to one node, with the calls that wait on it.
 *
 * Owns: connecting and reconnecting, the frames of one turn of the event loop going out as one message, deadlines, and
 * the bounds on calls and bytes in flight. Every call ends once: with its answer, the node's error, its deadline, or
 * the loss of the connection. Refuses: calls while the node is known to be down, so that callers fail fast.
 */
import { WebSocket } from 'ws';
import { backoffMs } from '../base/backoff.ts';
import { DataPlaneError, errorFromPeer } from '../base/data-plane-error.ts';
import { Breaker } from './breaker.ts';
import {
  FrameBatch,
  FrameReader,
  frameKind,
  type MalformedReason,
  messageBytesMax,
  nameBytesMax,
  payloadBytesMax,
  readErrorText,
  wireSubprotocol,
} from './frame.ts';
import type { LinkEnvironment, LinkSnapshot, LinkState } from './link-environment.ts';

type WaitingCall = {
  readonly resolve: (payload: Uint8Array) => void;
  readonly reject: (error: DataPlaneError) => void;
  readonly deadlineMs: number;
  readonly requestBytes: number;
  readonly method: string;
};

/** Deadlines are looked at this often, all calls in one sweep, so that a call costs no timer. Units: milliseconds. */
const sweepMs = 10;
const reconnectPolicy = { firstMs: 50, maxMs: 2000 };

const fillZeroMask = (mask: Buffer): void => void mask.fill(0);

/** The calls of this process to one node. */
export class NodeLink {
  readonly #node: string;
  readonly #url: string;
  readonly #environment: LinkEnvironment;
  readonly #breaker = new Breaker();
  readonly #batch = new FrameBatch();
  readonly #reader = new FrameReader();
  readonly #waitingById = new Map<number, WaitingCall>();
  /** Messages made while the link connects. */
  #unsent: Buffer[] = [];
  #state: LinkState = 'idle';
  #socket: WebSocket | null = null;
  #isRetired = false;
  #isFlushDue = false;
  #nextId = 0;
  #bytesInFlight = 0;
  #socketBytes = 0;
  #failuresInRow = 0;
  #lastHeardMs = 0;
  #lastPingMs = 0;
  #lastProblem = 'not connected yet';
  #sweepTimer: NodeJS.Timeout | null = null;
  #reconnectTimer: NodeJS.Timeout | null = null;
  readonly #counts = { connect: 0, call: 0, timeout: 0, lateAnswer: 0, sentMessage: 0, sentBytes: 0, receivedBytes: 0 };

  constructor(node: string, url: string, environment: LinkEnvironment) {
    this.#node = node;
    this.#url = url;
    this.#environment = environment;
  }

  get url(): string {
    return this.#url;
  }

  get snapshot(): LinkSnapshot {
    return {
      state: this.#state,
      isBreakerOpen: this.#breaker.isOpen,
      callsInFlight: this.#waitingById.size,
      bytesInFlight: this.#bytesInFlight,
      connectCount: this.#counts.connect,
      callCount: this.#counts.call,
      timeoutCount: this.#counts.timeout,
      lateAnswerCount: this.#counts.lateAnswer,
      sentMessageCount: this.#counts.sentMessage,
      sentBytes: this.#counts.sentBytes,
      receivedBytes: this.#counts.receivedBytes,
    };
  }

  /** See NodeCaller.call. The payload is copied before this returns. */
  call(method: string, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array> {
    const nowMs = this.#environment.clock.monotonicMs();
    const refusal = this.#refusalOf(method, payload, timeoutMs, nowMs);
    if (refusal !== null) return Promise.reject(refusal);
    if (this.#state === 'idle') this.#connect();
    do this.#nextId = (this.#nextId + 1) >>> 0;
    while (this.#waitingById.has(this.#nextId));
    const id = this.#nextId;
    this.#counts.call++;
    this.#bytesInFlight += payload.length;
    if (this.#batch.isFullFor(payload.length)) this.#flush();
    const wireTimeoutMs = Math.min(Math.ceil(timeoutMs), 0xffff_ffff);
    this.#batch.addCall(id, this.#environment.epoch(), method, wireTimeoutMs, payload);
    if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      setImmediate(this.#flushDue);
    }
    if (this.#sweepTimer === null) this.#sweepTimer = setTimeout(this.#sweep, sweepMs);
    return new Promise((resolve, reject) => {
      this.#waitingById.set(id, {
        resolve,
        reject,
        deadlineMs: nowMs + timeoutMs,
        requestBytes: payload.length,
        method,
      });
    });
  }

  /** Takes no new calls and closes once the waiting ones have ended: for a node that the map no longer names so. */
  retire(): void {
    this.#isRetired = true;
    this.#closeIfIdle();
  }

  /** Fails what waits and closes at once. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    if (this.#reconnectTimer !== null) clearTimeout(this.#reconnectTimer);
    if (this.#sweepTimer !== null) clearTimeout(this.#sweepTimer);
    const socket = this.#socket;
    this.#socket = null;
    socket?.removeAllListeners();
    // Terminating a socket that still connects raises an error event, which then has nobody to tell.
    socket?.on('error', () => {});
    if (socket?.readyState === WebSocket.OPEN) socket.close(1000);
    else socket?.terminate();
    setTimeout(() => socket?.terminate(), 100).unref();
    this.#failAll('the link was closed');
  }

  /** Checks that the peer still speaks; called about once a second. */
  beat(): void {
    if (this.#state !== 'open' || this.#socket === null) return;
    const { clock, limits } = this.#environment;
    const nowMs = clock.monotonicMs();
    const silenceMs = nowMs - this.#lastHeardMs;
    if (silenceMs > limits.silenceMsMax) {
      this.#lose(`silent for ${Math.round(silenceMs)} ms`);
      return;
    }
    if (silenceMs > limits.silenceMsMax / 4 && nowMs - this.#lastPingMs > limits.silenceMsMax / 4) {
      this.#lastPingMs = nowMs;
      this.#socket.ping();
    }
  }

  #refusalOf(method: string, payload: Uint8Array, timeoutMs: number, nowMs: number): DataPlaneError | null {
    const { limits } = this.#environment;
    const isKnownDown = this.#state === 'down' || (this.#state === 'connecting' && this.#failuresInRow > 0);
    if (isKnownDown || this.#state === 'closed' || this.#isRetired) return this.#unavailable(this.#lastProblem);
    if (payload.length > payloadBytesMax) {
      return this.#exhausted(`${method}: a payload of ${payload.length} bytes; payloadBytesMax is ${payloadBytesMax}`);
    }
    if (this.#waitingById.size >= limits.callsInFlightMax) {
      return this.#exhausted(`${limits.callsInFlightMax} calls wait (callsInFlightMax)`);
    }
    if (this.#bytesInFlight + this.#socketBytes + payload.length > limits.bytesInFlightMax) {
      return this.#exhausted(`${this.#bytesInFlight + this.#socketBytes} bytes wait (bytesInFlightMax)`);
    }
    if (method.length > nameBytesMax) return new DataPlaneError('InvalidArgument', 'the method name is too long');
    if (!(timeoutMs > 0)) return this.#timedOut(method);
    if (!this.#breaker.admits(nowMs)) return this.#unavailable('it does not answer (breaker open)');
    return null;
  }

  #connect(): void {
    const { clusterToken, trustedCertificates, limits } = this.#environment;
    this.#state = 'connecting';
    this.#counts.connect++;
    const socket = new WebSocket(this.#url, wireSubprotocol, {
      headers: clusterToken === null ? {} : { authorization: `Bearer ${clusterToken}` },
      perMessageDeflate: false,
      skipUTF8Validation: true,
      maxPayload: messageBytesMax,
      handshakeTimeout: limits.connectMsMax,
      // The mask guards proxies against scripts in browsers. Between our own processes it would only cost a pass over
      // every byte; a mask of zeros is valid and leaves the bytes as they are.
      generateMask: fillZeroMask,
      // Nodes share the map's certificate, so being that certificate (or signed by it) is the whole identity.
      ...(trustedCertificates === null
        ? {}
        : { ca: trustedCertificates, allowPartialTrustChain: true, checkServerIdentity: () => undefined }),
    });
    this.#socket = socket;
    socket.on('open', () => this.#opened(socket));
    socket.on('message', (data, isBinary) => this.#received(data as Buffer, isBinary));
    socket.on('pong', () => {
      this.#lastHeardMs = this.#environment.clock.monotonicMs();
    });
    socket.on('error', (error: Error) => {
      this.#lastProblem = error.message || (error as NodeJS.ErrnoException).code || 'connection failed';
    });
    socket.on('close', (code: number, reason: Buffer) => {
      if (this.#socket !== socket) return;
      if (code !== 1006) this.#lastProblem = `closed with ${code} ${reason.toString()}`.trim();
      else if (this.#state === 'open') this.#lastProblem = 'the connection broke';
      this.#lose(this.#lastProblem);
    });
  }

  #opened(socket: WebSocket): void {
    if (this.#socket !== socket) return;
    this.#state = 'open';
    this.#failuresInRow = 0;
    this.#breaker.answered();
    this.#lastHeardMs = this.#environment.clock.monotonicMs();
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const message of unsent) this.#send(socket, message);
    this.#closeIfIdle();
  }

  /** Gives the connection up, fails what waits, and tries again after a pause that grows. */
  #lose(problem: string): void {
    const socket = this.#socket;
    this.#socket = null;
    this.#lastProblem = problem;
    if (socket !== null && socket.readyState !== WebSocket.CLOSED) socket.terminate();
    this.#socketBytes = 0;
    this.#state = 'down';
    this.#failAll(problem);
    if (this.#isRetired) {
      this.close();
      return;
    }
    const pauseMs = backoffMs(reconnectPolicy, ++this.#failuresInRow, this.#environment.random);
    this.#reconnectTimer = setTimeout(() => this.#connect(), pauseMs);
    // Only callers keep the process alive, not the wish to reach a node again.
    this.#reconnectTimer.unref();
  }

  readonly #flushDue = (): void => {
    this.#isFlushDue = false;
    this.#flush();
  };

  #flush(): void {
    if (this.#batch.frames === 0) return;
    const message = this.#batch.take();
    if (this.#state === 'open' && this.#socket !== null) this.#send(this.#socket, message);
    else if (this.#state === 'connecting') this.#unsent.push(message);
  }

  #send(socket: WebSocket, message: Buffer): void {
    this.#counts.sentMessage++;
    this.#counts.sentBytes += message.length;
    socket.send(message, (error) => {
      if (error === undefined || error === null) this.#batch.giveBack(message);
    });
    this.#socketBytes = socket.bufferedAmount;
  }

  #received(data: Buffer, isBinary: boolean): void {
    const environment = this.#environment;
    this.#lastHeardMs = environment.clock.monotonicMs();
    this.#counts.receivedBytes += data.length;
    if (!isBinary) {
      this.#refuse('message is text');
      return;
    }
    const reader = this.#reader;
    const ownEpoch = environment.epoch();
    reader.start(data);
    while (reader.next()) {
      if (reader.kind === frameKind.call) {
        this.#refuse('frame goes the wrong way');
        return;
      }
      if (reader.epoch !== ownEpoch) environment.onOtherEpoch(this.#node, reader.epoch);
      const call = this.#waitingById.get(reader.id);
      if (call === undefined) {
        this.#counts.lateAnswer++;
        continue;
      }
      this.#waitingById.delete(reader.id);
      this.#bytesInFlight -= call.requestBytes;
      if (reader.kind === frameKind.answer) call.resolve(reader.payload);
      else call.reject(this.#errorOf(reader));
    }
    if (reader.malformed !== null) {
      this.#refuse(reader.malformed);
      return;
    }
    this.#breaker.answered();
    this.#socketBytes = this.#socket?.bufferedAmount ?? 0;
    if (this.#isRetired) this.#closeIfIdle();
  }

  #refuse(reason: MalformedReason): void {
    this.#lose(`it sent a message that is malformed: ${reason}`);
  }

  #errorOf({ name, payload }: FrameReader): DataPlaneError {
    const { message, hint } = readErrorText(payload);
    return errorFromPeer(`node ${this.#node}`, name, message, hint);
  }

  readonly #sweep = (): void => {
    this.#sweepTimer = null;
    const { clock, limits } = this.#environment;
    const nowMs = clock.monotonicMs();
    for (const [id, call] of this.#waitingById) {
      if (call.deadlineMs > nowMs) continue;
      this.#waitingById.delete(id);
      this.#bytesInFlight -= call.requestBytes;
      this.#counts.timeout++;
      // A deadline that passes while connecting says nothing about how the node answers.
      if (this.#state === 'open') this.#breaker.timedOut(nowMs);
      call.reject(this.#timedOut(call.method));
    }
    if (this.#waitingById.size > 0) this.#sweepTimer = setTimeout(this.#sweep, Math.min(sweepMs, limits.silenceMsMax));
    else this.#closeIfIdle();
  };

  #failAll(problem: string): void {
    const waiting = [...this.#waitingById.values()];
    this.#waitingById.clear();
    this.#bytesInFlight = 0;
    this.#unsent = [];
    if (this.#batch.frames > 0) this.#batch.take();
    for (const call of waiting) call.reject(this.#unavailable(problem));
  }

  #closeIfIdle(): void {
    if (this.#isRetired && this.#waitingById.size === 0 && this.#state !== 'closed') this.close();
  }

  #unavailable(problem: string): DataPlaneError {
    return new DataPlaneError('Unavailable', `node ${this.#node} at ${this.#url}: ${problem}`);
  }

  #exhausted(problem: string): DataPlaneError {
    return new DataPlaneError('ResourceExhausted', `node ${this.#node}: ${problem}`);
  }

  #timedOut(method: string): DataPlaneError {
    return new DataPlaneError('DeadlineExceeded', `node ${this.#node}: ${method}`);
  }
}
