/**
 * One caller's connection as the node sees it.
 *
 * Owns: gathering answers into messages, and the count of what the caller has not read. Refuses: a
 * caller that reads so slowly that the hard bound is passed; its connection is closed.
 */
import type { WebSocket } from 'uWebSockets.js';
import { errorTextBytesMax, FrameBatch } from './frame.ts';

/** What bounds a node's end of the wire. All have defaults in `serverLimitDefaults`. */
export type ServerLimits = {
  readonly connectionsMax: number;
  /** Calls whose handlers have returned a promise that is still open, over all connections. */
  readonly callsRunningMax: number;
  /**
   * Past so many bytes that a connection has not read, its new calls are refused with
   * `ResourceExhausted`.
   */
  readonly unreadBytesMax: number;
  /** Past so many, the connection is closed. */
  readonly unreadBytesHardMax: number;
  /** A connection that says nothing for so long is closed; clients ping. Units: seconds. */
  readonly idleSMax: number;
};

/** Bounds that suit a node with a few dozen callers. */
export const serverLimitDefaults: ServerLimits = {
  connectionsMax: 1024,
  callsRunningMax: 32_768,
  unreadBytesMax: 32 * 1024 * 1024,
  unreadBytesHardMax: 128 * 1024 * 1024,
  idleSMax: 60,
};

/** Counts of all connections of a server together. */
export type SendCounts = { slowReader: number; sentMessage: number; sentBytes: number };

/** What the app keeps with a socket. It copies the properties, so the connection itself is one. */
export type ConnectionData = { readonly connection: ServerConnection };

/** A connection, from its handshake on. */
export class ServerConnection {
  readonly #limits: ServerLimits;
  readonly #counts: SendCounts;
  readonly #batch = new FrameBatch();
  #socket: WebSocket<ConnectionData> | null = null;
  #isFlushDue = false;
  #unreadBytes = 0;

  constructor(limits: ServerLimits, counts: SendCounts) {
    this.#limits = limits;
    this.#counts = counts;
  }

  get isOpen(): boolean {
    return this.#socket !== null;
  }

  /** True while the caller must read answers before it may ask for more. */
  get isBackpressured(): boolean {
    return this.#unreadBytes > this.#limits.unreadBytesMax;
  }

  opened(socket: WebSocket<ConnectionData>): void {
    this.#socket = socket;
  }

  closed(): void {
    this.#socket = null;
  }

  drained(socket: WebSocket<ConnectionData>): void {
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

  /** Sends what was gathered, at the end of this turn of the event loop. */
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
    // The app copies what the kernel does not take, so the buffer is free again when `send`
    // returns.
    const outcome = socket.send(message, true, false);
    this.#batch.giveBack(message);
    if (outcome === 1) return;
    this.#unreadBytes = socket.getBufferedAmount();
    if (outcome === 0 && this.#unreadBytes <= this.#limits.unreadBytesHardMax) return;
    this.#counts.slowReader++;
    socket.close();
  }

  /** Sends what was gathered, and then closes with a reason. */
  end(code: number, reason: string): void {
    this.flush();
    this.#socket?.end(code, reason);
  }
}
