/**
 * What one HTTP/2 connection may hold: its share of arriving bodies, its streams, and their time.
 *
 * Owns: the deadlines of a connection. One that opens no stream is ended, so is a stream that takes
 * longer than any call may, such as one whose answer is not read.
 */
import { constants, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import type { Clock } from '../../base/clock.ts';
import { ByteShares } from '../../http/byte-shares.ts';
import type { ArrivingBound } from '../../http/request-body.ts';

export type Http2Limits = {
  /** Bytes of the bodies that arrive on one connection. */
  readonly arrivingBytesOfConnectionMax: number;
  /** Bytes of answers that one connection has not read; beyond it, its calls are refused. */
  readonly unreadBytesOfConnectionMax: number;
  /** Open streams of one connection; the AppView makes all of its calls on one. */
  readonly streamsOfConnectionMax: number;
  /** Open streams of all connections. */
  readonly streamsMax: number;
  /** From the head of a call until its answer is read. Units: ms. */
  readonly streamMsMax: number;
  /** Until a new connection opens its first stream. Units: ms. */
  readonly firstStreamMsMax: number;
  /** Without a stream or a ping; such a connection ends as if by request. Units: ms. */
  readonly idleMsMax: number;
};

/** A stream may use the longest body, the longest call, and as much again to read the answer. */
export const http2LimitDefaults: Http2Limits = {
  arrivingBytesOfConnectionMax: 64 * 1024 * 1024,
  unreadBytesOfConnectionMax: 128 * 1024 * 1024,
  streamsOfConnectionMax: 10_000,
  streamsMax: 40_000,
  streamMsMax: 180_000,
  firstStreamMsMax: 30_000,
  idleMsMax: 1_800_000,
};

/** How often deadlines are checked. */
const checkMs = 1_000;

/** Units: monotonic ms; bytes. */
type OpenStream = { readonly startMs: number; unreadBytes: number };

export class Http2Connection {
  readonly budget: ByteShares<ArrivingBound>;
  readonly #session: ServerHttp2Session;
  readonly #unreadBytesMax: number;
  /** Oldest first. */
  readonly #streams = new Map<ServerHttp2Stream, OpenStream>();
  readonly #openedMs: number;
  #hasOpenedStream = false;
  #unreadBytes = 0;

  constructor(session: ServerHttp2Session, limits: Http2Limits, nowMs: number) {
    this.#session = session;
    this.#openedMs = nowMs;
    this.#unreadBytesMax = limits.unreadBytesOfConnectionMax;
    this.budget = new ByteShares(limits.arrivingBytesOfConnectionMax, 'arrivingBytesOfConnectionMax');
    session.setTimeout(limits.idleMsMax, () => session.close());
  }

  get streams(): number {
    return this.#streams.size;
  }

  /** True while the peer must read answers before it may call again. */
  get isBackpressured(): boolean {
    return this.#unreadBytes > this.#unreadBytesMax;
  }

  /** Counts an answer until its stream closes. */
  answers(stream: ServerHttp2Stream, bytes: number): void {
    const open = this.#streams.get(stream);
    if (open === undefined) return;
    open.unreadBytes += bytes;
    this.#unreadBytes += bytes;
  }

  opened(stream: ServerHttp2Stream, nowMs: number): void {
    this.#hasOpenedStream = true;
    this.#streams.set(stream, { startMs: nowMs, unreadBytes: 0 });
  }

  closed(stream: ServerHttp2Stream): void {
    this.#unreadBytes -= this.#streams.get(stream)?.unreadBytes ?? 0;
    this.#streams.delete(stream);
  }

  /** Ends what has taken too long. */
  check({ firstStreamMsMax, streamMsMax }: Http2Limits, nowMs: number): void {
    if (!this.#hasOpenedStream && nowMs - this.#openedMs > firstStreamMsMax) return this.#session.destroy();
    for (const [stream, { startMs }] of this.#streams) {
      if (nowMs - startMs <= streamMsMax) return;
      stream.close(constants.NGHTTP2_CANCEL);
    }
  }

  /** Accepts no more streams, while open ones end. */
  close(): void {
    this.#session.close();
  }

  destroy(): void {
    this.#session.destroy();
  }
}

/** The connections of one server. Dispose of it when the server is closed. */
export class Http2Connections implements Disposable {
  readonly #limits: Http2Limits;
  readonly #clock: Clock;
  readonly #bySession = new Map<ServerHttp2Session, Http2Connection>();
  readonly #timer: NodeJS.Timeout;
  #streams = 0;

  constructor(limits: Http2Limits, clock: Clock) {
    this.#limits = limits;
    this.#clock = clock;
    this.#timer = setInterval(() => {
      const nowMs = clock.monotonicMs();
      for (const connection of this.#bySession.values()) connection.check(limits, nowMs);
    }, checkMs);
    this.#timer.unref();
  }

  /** Open streams of all connections. */
  get streams(): number {
    return this.#streams;
  }

  add(session: ServerHttp2Session): void {
    this.#bySession.set(session, new Http2Connection(session, this.#limits, this.#clock.monotonicMs()));
    session.on('error', () => session.destroy());
    session.on('close', () => this.#bySession.delete(session));
  }

  /** Returns the connection of a new stream, or null for one that is refused and may be retried. */
  admit(stream: ServerHttp2Stream): Http2Connection | null {
    const connection = stream.session === undefined ? undefined : this.#bySession.get(stream.session as never);
    if (connection === undefined || this.#streams >= this.#limits.streamsMax) {
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return null;
    }
    this.#streams++;
    connection.opened(stream, this.#clock.monotonicMs());
    stream.on('close', () => {
      this.#streams--;
      connection.closed(stream);
    });
    return connection;
  }

  /** Accepts no more streams, while open ones end. */
  closeAll(): void {
    for (const connection of this.#bySession.values()) connection.close();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const connection of this.#bySession.values()) connection.destroy();
  }
}
