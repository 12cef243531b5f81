/**
 * The connection of a link: over the node's Unix socket where both are on one machine, else TCP.
 *
 * A node says in its handshake over TCP where its Unix socket is. The client tries that while the
 * TCP connection waits, and uses it if the same process answers: in a container the path may be
 * another node's, or behind a tunnel anyone's of this machine, who must not be shown the cluster
 * token. Owns: this choice, and the problems of sockets in words for operators.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { WebSocket } from 'ws';
import { isLoopback } from '../config/access-token.ts';
import { messageBytesMax, wireSubprotocol } from './frame.ts';
import type { LinkEnvironment, Transport } from './link-environment.ts';
import { connectToOwnSocket } from './own-socket.ts';
import { pathOfUnixOffer, unixOfferHeader } from './unix-offer.ts';

/** `onClose` comes once, and is the last event; `isRefused` says that nothing listens there. */
export type LinkSocketEvents = {
  readonly onOpen: () => void;
  readonly onMessage: (data: Buffer, isBinary: boolean) => void;
  readonly onPong: () => void;
  readonly onClose: (problem: string, isRefused: boolean) => void;
};

/** Longer refusals of a node are truncated. Units: characters. */
const refusalLengthMax = 200;
/** How long a peer may take to answer a close. */
const closeGraceMs = 100;

const fillZeroMask = (mask: Buffer): void => void mask.fill(0);

/** Goes on over a Unix socket; null: over TCP. */
function openWebSocket(url: string, environment: LinkEnvironment, unix: Socket | null): WebSocket {
  const { clusterToken, trustedCertificates, limits } = environment;
  return new WebSocket(url, wireSubprotocol, {
    headers: clusterToken === null ? {} : { authorization: `Bearer ${clusterToken}` },
    perMessageDeflate: false,
    skipUTF8Validation: true,
    maxPayload: messageBytesMax,
    handshakeTimeout: limits.connectMsMax,
    // The mask protects proxies from scripts in browsers. Between our processes it would only cost
    // a pass over every byte; a mask of zeros is valid and changes nothing.
    generateMask: fillZeroMask,
    ...(unix === null ? {} : { createConnection: () => unix }),
    // All nodes share the map's certificate, which is therefore their only identity.
    ...(trustedCertificates === null
      ? {}
      : { ca: trustedCertificates, allowPartialTrustChain: true, checkServerIdentity: () => undefined }),
  });
}

/** Closes a socket in any state; no events come after this. */
function closeWebSocket(socket: WebSocket): void {
  socket.removeAllListeners();
  // Terminating a socket that is connecting emits an error.
  socket.on('error', () => {});
  if (socket.readyState !== WebSocket.OPEN) return socket.terminate();
  socket.close(1000);
  setTimeout(() => socket.terminate(), closeGraceMs).unref();
}

/** Returns what a node of this machine offers in its handshake; null for one of another machine. */
function offerIn({ headers, socket }: IncomingMessage): string | null {
  const { localAddress, remoteAddress = '' } = socket;
  if (!isLoopback(remoteAddress) && localAddress !== remoteAddress) return null;
  const offer = headers[unixOfferHeader];
  return typeof offer === 'string' ? offer : null;
}

export class LinkSocket {
  readonly #events: LinkSocketEvents;
  #socket: WebSocket;
  /** A Unix socket that is tried while the TCP connection waits. */
  #candidate: WebSocket | null = null;
  transport: Transport = 'tcp';

  /** Begins to connect; `events` report the outcome. */
  constructor(url: string, environment: LinkEnvironment, events: LinkSocketEvents) {
    this.#events = events;
    this.#socket = openWebSocket(url, environment, null);
    let offer: string | null = null;
    this.#socket.on('upgrade', (response) => {
      offer = offerIn(response);
    });
    this.#socket.on('open', () => {
      const path = offer === null ? null : pathOfUnixOffer(offer);
      const unix = path === null ? null : connectToOwnSocket(path, environment.limits.connectMsMax);
      if (offer === null || unix === null) events.onOpen();
      else this.#try(openWebSocket(url, environment, unix), offer);
    });
    this.#report(this.#socket);
  }

  get bufferedAmount(): number {
    return this.#socket.bufferedAmount;
  }

  /** `sent` is called once the memory of the message is free. */
  send(message: Buffer, sent: () => void): void {
    this.#socket.send(message, (error) => {
      if (error === undefined || error === null) sent();
    });
  }

  ping(): void {
    this.#socket.ping();
  }

  /** Drops the connection. */
  terminate(): void {
    this.#closeCandidate();
    this.#socket.terminate();
  }

  /** Closes in any state; no events come after this. */
  close(): void {
    this.#closeCandidate();
    closeWebSocket(this.#socket);
  }

  #closeCandidate(): void {
    if (this.#candidate !== null) closeWebSocket(this.#candidate);
    this.#candidate = null;
  }

  /** Uses a Unix socket if the process that made the offer answers there, else TCP. */
  #try(unix: WebSocket, offer: string): void {
    this.#candidate = unix;
    const use = (isSame: boolean): void => {
      this.#candidate = null;
      closeWebSocket(isSame ? this.#socket : unix);
      if (isSame) {
        unix.removeAllListeners();
        this.#socket = unix;
        this.transport = 'unix';
        this.#report(unix);
      }
      this.#events.onOpen();
    };
    let isSame = false;
    unix.on('upgrade', ({ headers }) => {
      isSame = headers[unixOfferHeader] === offer;
    });
    unix.on('open', () => use(isSame));
    unix.on('error', () => use(false));
  }

  #report(socket: WebSocket): void {
    let refusal: string | null = null;
    let error = 'the connection broke';
    let isRefused = false;
    socket.on('message', (data, isBinary) => this.#events.onMessage(data as Buffer, isBinary));
    socket.on('pong', this.#events.onPong);
    // The node's body says which token or version it needs.
    socket.on('unexpected-response', (_request, response) => {
      response.once('readable', () => {
        const text = String(response.read() ?? '').slice(0, refusalLengthMax);
        refusal = `refused with ${response.statusCode} ${text}`.trim();
        socket.terminate();
      });
    });
    socket.on('error', ({ message, code }: NodeJS.ErrnoException) => {
      error = message || (code ?? error);
      isRefused = code === 'ECONNREFUSED';
    });
    socket.on('close', (code: number, reason: Buffer) => {
      const problem = refusal ?? (code === 1006 ? error : `closed with ${code} ${reason.toString()}`.trim());
      this.#events.onClose(problem, isRefused);
    });
  }
}
