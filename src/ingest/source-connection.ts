/**
 * One WebSocket connection to an event stream of a source, from open to close.
 *
 * Owns: the limits on handshake, frame and silence, and the pause while there is no capacity.
 */
import type { LookupFunction } from 'node:net';
import { WebSocket } from 'ws';
import type { Clock } from '../base/clock.ts';

export type SourceConnectionOptions = {
  /** http(s) or ws(s). */
  readonly url: string;
  /** The method that streams. */
  readonly nsid: string;
  /** Looks the host up; absent for the system's way. */
  readonly lookup?: LookupFunction | undefined;
  /** Requests events after this seq; null for those from now on. */
  readonly cursor: number | null;
  readonly clock: Clock;
  /** How long the source may send nothing, not even pongs. */
  readonly silenceMsMax: number;
  readonly onOpen: () => void;
  /** Receives one binary message, or null for a text message. */
  readonly onMessage: (message: Buffer | null) => void;
  /** A frame exceeded the socket's limit, which ends the connection. */
  readonly onOversized: () => void;
  /** Null while there is capacity for more messages; else resolves when there is. */
  readonly waitForCapacity: () => Promise<void> | null;
};

export type EndedConnection = { readonly received: number; readonly problem: string };

/** Above the decoder's own limit, so most oversized frames do not end the connection. */
const frameBytesMax = 16_777_216;
const handshakeMsMax = 10_000;

function streamUrl({ url: origin, nsid, cursor }: SourceConnectionOptions): string {
  const url = new URL(`/xrpc/${nsid}`, origin);
  url.protocol = url.protocol === 'https:' || url.protocol === 'wss:' ? 'wss:' : 'ws:';
  if (cursor !== null) url.searchParams.set('cursor', String(cursor));
  return url.href;
}

function bytesOf(data: Buffer | ArrayBuffer | Buffer[]): Buffer {
  if (Buffer.isBuffer(data)) return data;
  return Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data);
}

/**
 * Returns how many events to skip after a frame that the socket refused, by how many were refused
 * in a row before: the same frame would end every connection.
 *
 * Its seq is unknown, but follows everything received. Single steps lose nothing; after a few tries
 * larger steps are the lesser harm.
 */
export function oversizedSkip(oversizedInARow: number): number {
  return 2 ** Math.max(0, oversizedInARow - 8);
}

/** Connects and receives messages until the source, a fault or the signal ends it. */
export function holdConnection(options: SourceConnectionOptions, signal: AbortSignal): Promise<EndedConnection> {
  const socket = new WebSocket(streamUrl(options), {
    ...(options.lookup === undefined ? {} : { lookup: options.lookup }),
    handshakeTimeout: handshakeMsMax,
    maxPayload: frameBytesMax,
    perMessageDeflate: false,
    followRedirects: false,
    headers: { 'user-agent': 'skyshard' },
  });
  const stop = (): void => socket.terminate();
  signal.addEventListener('abort', stop, { once: true });
  const stopSilenceWatch = watchSilence(socket, options);
  let received = 0;
  let problem = 'closed';
  return new Promise((resolve) => {
    socket.on('open', options.onOpen);
    socket.on('message', (data, isBinary) => {
      received++;
      options.onMessage(isBinary ? bytesOf(data) : null);
      pauseWithoutCapacity(socket, options);
    });
    socket.on('error', (error) => {
      problem = error.message;
      if ('code' in error && error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') options.onOversized();
    });
    socket.on('close', (code, reason) => {
      if (problem === 'closed') problem = `closed by the source: ${code} ${reason.toString('utf8').slice(0, 200)}`;
      signal.removeEventListener('abort', stop);
      stopSilenceWatch();
      resolve({ received, problem });
    });
  });
}

function pauseWithoutCapacity(socket: WebSocket, { waitForCapacity }: SourceConnectionOptions): void {
  if (socket.isPaused) return;
  const capacity = waitForCapacity();
  if (capacity === null) return;
  socket.pause();
  const resume = (): void => socket.resume();
  capacity.then(resume, resume);
}

/** Pings, and ends a silent connection. A paused socket cannot answer and does not count. */
function watchSilence(socket: WebSocket, { clock, silenceMsMax }: SourceConnectionOptions): () => void {
  let activeMs = clock.monotonicMs();
  const markActive = (): void => {
    activeMs = clock.monotonicMs();
  };
  for (const event of ['open', 'message', 'ping', 'pong']) socket.on(event, markActive);
  const ended = new AbortController();
  const watch = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      await clock.sleep(silenceMsMax / 4, ended.signal);
      if (socket.isPaused) markActive();
      else if (clock.monotonicMs() - activeMs > silenceMsMax) socket.terminate();
      else if (socket.readyState === WebSocket.OPEN) socket.ping();
    }
  };
  void watch();
  return () => ended.abort();
}
