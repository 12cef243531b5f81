/**
 * The link to one node: its connection, and the calls in flight.
 *
 * Owns: connecting and reconnecting, batching the frames of one turn of the event loop into one
 * message, and the limits on calls and bytes in flight. Every call ends once: with its answer, the
 * node's error, its deadline, or the loss of the connection. Refuses: calls while the node is known
 * to be down, so that callers fail fast.
 */
import { type BackoffPolicy, backoffMs } from '../base/backoff.ts';
import { DataPlaneError, errorFromPeer } from '../base/data-plane-error.ts';
import { Breaker } from './breaker.ts';
import {
  FrameBatch,
  FrameReader,
  frameKind,
  type MalformedReason,
  nameBytesMax,
  payloadBytesMax,
  readErrorText,
} from './frame.ts';
import type { LinkEnvironment, LinkSnapshot, LinkState } from './link-environment.ts';
import { LinkSocket } from './link-socket.ts';
import { deadlineExceeded, PendingCalls } from './pending-calls.ts';
import { Silence } from './silence.ts';
import type { TraceContext } from './trace-context.ts';

/** Where nothing listens an attempt costs little, and a node that comes up is missed at once. */
const refusedPolicy = { firstMs: 50, maxMs: 250 };
/** A peer that accepts connections and then breaks them pays for each handshake. */
const brokenPolicy = { firstMs: 50, maxMs: 2000 };

/** The calls from this process to one node. */
export class NodeLink {
  readonly #node: string;
  readonly #url: string;
  readonly #environment: LinkEnvironment;
  readonly #breaker = new Breaker();
  readonly #silence: Silence;
  readonly #batch = new FrameBatch();
  readonly #reader = new FrameReader();
  readonly #pending: PendingCalls;
  /** Messages that wait for the link to connect. */
  #unsent: Buffer[] = [];
  #state: LinkState = 'idle';
  #socket: LinkSocket | null = null;
  #isRetired = false;
  #isFlushDue = false;
  #socketBytes = 0;
  #failuresInRow = 0;
  #lastHeardMs = 0;
  #lastPingMs = 0;
  #lastProblem = 'not connected yet';
  #reconnectTimer: NodeJS.Timeout | null = null;
  readonly #counts = { connect: 0, call: 0, timeout: 0, lateAnswer: 0, sentMessage: 0, sentBytes: 0, receivedBytes: 0 };

  constructor(node: string, url: string, environment: LinkEnvironment) {
    this.#node = node;
    this.#url = url;
    this.#environment = environment;
    this.#silence = new Silence(environment.limits);
    this.#pending = new PendingCalls(node, environment.clock, (timeoutCount, nowMs) =>
      this.#swept(timeoutCount, nowMs),
    );
  }

  get url(): string {
    return this.#url;
  }

  get snapshot(): LinkSnapshot {
    return {
      state: this.#state,
      transport: this.#state === 'open' && this.#socket !== null ? this.#socket.transport : null,
      isBreakerOpen: this.#breaker.isOpen,
      breakerOpenings: this.#breaker.openings,
      breakerTrials: this.#breaker.trials,
      callsInFlight: this.#pending.count,
      bytesInFlight: this.#pending.bytes,
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
  call(method: string, payload: Uint8Array, timeoutMs: number, trace: TraceContext | null): Promise<Uint8Array> {
    const nowMs = this.#environment.clock.monotonicMs();
    const refusal = this.#refusalOf(method, payload, timeoutMs, nowMs);
    if (refusal !== null) return Promise.reject(refusal);
    if (this.#state === 'idle') this.#connect();
    this.#counts.call++;
    if (this.#batch.isFullFor(payload.length)) this.#flush();
    if (!this.#isFlushDue) {
      this.#isFlushDue = true;
      setImmediate(this.#flushDue);
    }
    return new Promise((resolve, reject) => {
      const call = { resolve, reject, method, requestBytes: payload.length, deadlineMs: nowMs + timeoutMs };
      const id = this.#pending.add(call);
      const wireTimeoutMs = Math.min(Math.ceil(timeoutMs), 0xffff_ffff);
      const epoch = this.#environment.epoch();
      if (trace === null) this.#batch.addCall(id, epoch, method, wireTimeoutMs, payload);
      else this.#batch.addTracedCall({ id, epoch, method, timeoutMs: wireTimeoutMs, payload }, trace);
    });
  }

  /** Refuses new calls, and closes once the pending ones have ended. */
  retire(): void {
    this.#isRetired = true;
    this.#closeIfIdle();
  }

  /** Closes at once, and fails the pending calls. */
  close(): void {
    if (this.#state === 'closed') return;
    this.#state = 'closed';
    if (this.#reconnectTimer !== null) clearTimeout(this.#reconnectTimer);
    this.#socket?.close();
    this.#socket = null;
    this.#failAll('the link was closed');
  }

  /** Pings a silent peer, and drops one that stays silent. Called about once a second. */
  checkSilence(): void {
    if (this.#state !== 'open' || this.#socket === null) return;
    const { clock, limits } = this.#environment;
    const nowMs = clock.monotonicMs();
    const silenceMs = nowMs - this.#lastHeardMs;
    if (silenceMs > limits.silenceMsMax) {
      this.#lose(`silent for ${Math.round(silenceMs)} ms`);
      return;
    }
    // An open breaker closes as soon as the node answers this.
    if (
      this.#breaker.isOpen ||
      (silenceMs > limits.silenceMsMax / 4 && nowMs - this.#lastPingMs > limits.silenceMsMax / 4)
    ) {
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
    if (this.#pending.count >= limits.callsInFlightMax) {
      return this.#exhausted(`${limits.callsInFlightMax} calls wait (callsInFlightMax)`);
    }
    const waitingBytes = this.#pending.bytes + this.#socketBytes;
    if (waitingBytes + payload.length > limits.bytesInFlightMax) {
      return this.#exhausted(`${waitingBytes} bytes wait (bytesInFlightMax)`);
    }
    if (method.length > nameBytesMax) return new DataPlaneError('InvalidArgument', 'the method name is too long');
    if (!(timeoutMs > 0)) return deadlineExceeded(this.#node, method);
    if (!this.#breaker.admits(nowMs)) return this.#unavailable('it does not answer (breaker open)');
    return null;
  }

  #connect(): void {
    this.#state = 'connecting';
    this.#counts.connect++;
    // A socket that was dropped may still emit events.
    const socket = new LinkSocket(this.#url, this.#environment, {
      onOpen: () => {
        if (this.#socket === socket) this.#opened(socket);
      },
      onMessage: (data, isBinary) => {
        if (this.#socket === socket) this.#received(data, isBinary);
      },
      onPong: () => {
        this.#heard();
        this.#breaker.ponged();
      },
      onClose: (problem, isRefused) => {
        if (this.#socket === socket) this.#lose(problem, isRefused ? refusedPolicy : brokenPolicy);
      },
    });
    this.#socket = socket;
  }

  #opened(socket: LinkSocket): void {
    this.#state = 'open';
    this.#breaker.answered();
    this.#heard();
    const unsent = this.#unsent;
    this.#unsent = [];
    for (const message of unsent) this.#send(socket, message);
    this.#closeIfIdle();
  }

  /** Drops the connection, fails the pending calls, and reconnects with backoff. */
  #lose(problem: string, policy: BackoffPolicy = brokenPolicy): void {
    const socket = this.#socket;
    this.#socket = null;
    if (this.#failuresInRow === 0 || problem !== this.#lastProblem) this.#environment.onProblem(this.#node, problem);
    this.#lastProblem = problem;
    socket?.terminate();
    this.#socketBytes = 0;
    this.#state = 'down';
    this.#failAll(problem);
    if (this.#isRetired) {
      this.close();
      return;
    }
    const pauseMs = backoffMs(policy, ++this.#failuresInRow, this.#environment.random);
    this.#reconnectTimer = setTimeout(() => this.#connect(), pauseMs);
    // Only pending calls keep the process alive.
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

  #send(socket: LinkSocket, message: Buffer): void {
    this.#counts.sentMessage++;
    this.#counts.sentBytes += message.length;
    socket.send(message, () => this.#batch.recycle(message));
    this.#socketBytes = socket.bufferedAmount;
  }

  #heard(): void {
    this.#lastHeardMs = this.#environment.clock.monotonicMs();
    this.#silence.broken();
  }

  #received(data: Buffer, isBinary: boolean): void {
    const environment = this.#environment;
    this.#heard();
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
      const call = this.#pending.take(reader.id);
      if (call === undefined) {
        this.#counts.lateAnswer++;
        continue;
      }
      if (reader.kind === frameKind.answer) call.resolve(reader.payload);
      else call.reject(this.#errorOf(reader));
    }
    if (reader.malformed !== null) {
      this.#refuse(reader.malformed);
      return;
    }
    this.#breaker.answered();
    // Only now: a peer that accepts connections and then breaks them is not asked at once again.
    this.#failuresInRow = 0;
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

  #swept(timeoutCount: number, nowMs: number): void {
    this.#counts.timeout += timeoutCount;
    // A timeout while connecting does not show that the node fails to answer.
    if (this.#state === 'open') {
      for (let index = 0; index < timeoutCount; index++) this.#breaker.timedOut(nowMs);
      const due = this.#silence.look(nowMs);
      if (due === 'ping') this.#socket?.ping();
      else if (due === 'silent') this.#breaker.fellSilent();
    }
    this.#closeIfIdle();
  }

  #failAll(problem: string): void {
    this.#unsent = [];
    if (this.#batch.frames > 0) this.#batch.take();
    for (const call of this.#pending.takeAll()) call.reject(this.#unavailable(problem));
  }

  #closeIfIdle(): void {
    if (this.#isRetired && this.#pending.count === 0 && this.#state !== 'closed') this.close();
  }

  #unavailable(problem: string): DataPlaneError {
    return new DataPlaneError('Unavailable', `node ${this.#node} at ${this.#url}: ${problem}`);
  }

  #exhausted(problem: string): DataPlaneError {
    return new DataPlaneError('ResourceExhausted', `node ${this.#node}: ${problem}`);
  }
}
