/**
 * A node's end of one caller's connection.
 *
 * Owns: batching answers into messages, and the count of bytes that the caller has not read.
 * Refuses: a caller that reads too slowly, by closing its connection at the hard limit.
 */
import type { WebSocket } from 'uWebSockets.js';
import { errorTextBytesMax, FrameBatch } from './frame.ts';

export type ServerLimits = {
  readonly connectionsMax: number;
  /** Asynchronous calls of all connections. */
  readonly callsRunningMax: number;
  /** New calls of a connection with more unread bytes are refused with `ResourceExhausted`. */
  readonly unreadBytesMax: number;
  /** A connection with more unread bytes is closed. */
  readonly unreadBytesHardMax: number;
  /** A connection that is silent for longer is closed; clients ping. Units: seconds. */
  readonly idleSMax: number;
};

/** Suits a node with a few dozen callers. */
export const serverLimitDefaults: ServerLimits = {
  connectionsMax: 1024,
  callsRunningMax: 32_768,
  unreadBytesMax: 32 * 1024 * 1024,
  unreadBytesHardMax: 128 * 1024 * 1024,
  idleSMax: 60,
};

/** Totals of all connections of a server. */
export type SendCounts = { slowReader: number; sentMessage: number; sentBytes: number };

/** A property of its own, since uWebSockets copies the properties of a socket's user data. */
export type SocketState = { readonly connection: ServerConnection };

/** A connection, from its handshake to its end. */
export class ServerConnection {
  readonly #limits: ServerLimits;
  readonly #counts: SendCounts;
  readonly #batch = new FrameBatch();
  #socket: WebSocket<SocketState> | null = null;
  #isFlushDue = false;
  #unreadBytes = 0;

  constructor(limits: ServerLimits, counts: SendCounts) {
    this.#limits = limits;
    this.#counts = counts;
  }

  get isOpen(): boolean {
    return this.#socket !== null;
  }

  /** True while the caller must read answers before it may call again. */
  get isBackpressured(): boolean {
    return this.#unreadBytes > this.#limits.unreadBytesMax;
  }

  opened(socket: WebSocket<SocketState>): void {
    this.#socket = socket;
  }

  closed(): void {
    this.#socket = null;
  }

  drained(socket: WebSocket<SocketState>): void {
    this.#unreadBytes = socket.getBufferedAmount();
  }

  /** Copies the payload. */
  addAnswer(id: number, epoch: number, payload: Uint8Array): void {
    if (this.#socket === null) return;
    if (this.#batch.isFullFor(payload.length)) this.flush();
    this.#batch.addAnswer(id, epoch, payload);
  }

  addError(id: number, epoch: number, code: string, message: string, hint: string): void {
    if (this.#socket === null) return;
    if (this.#batch.isFullFor(errorTextBytesMax)) this.flush();
    this.#batch.addError(id, epoch, code, message, hint);
  }

  /** Sends the batch at the end of this turn of the event loop. */
  flushSoon(): void {
    if (this.#isFlushDue) return;
    this.#isFlushDue = true;
    setImmediate(() => {
      this.#isFlushDue = false;
      this.flush();
    });
  }

  flush(): void {
    const socket = this.#socket;
    if (socket === null || this.#batch.frames === 0) return;
    const message = this.#batch.take();
    this.#counts.sentMessage++;
    this.#counts.sentBytes += message.length;
    // uWebSockets copies what the kernel does not take, so the buffer is free after `send`.
    const outcome = socket.send(message, true, false);
    this.#batch.recycle(message);
    if (outcome === 1) return;
    this.#unreadBytes = socket.getBufferedAmount();
    if (outcome === 0 && this.#unreadBytes <= this.#limits.unreadBytesHardMax) return;
    this.#counts.slowReader++;
    socket.close();
  }

  /** Sends the batch, then closes with a reason. */
  end(code: number, reason: string): void {
    this.flush();
    this.#socket?.end(code, reason);
  }
}
