/** The WebSocket of a link: how it is opened, and what became of it in words for operators. */
import { WebSocket } from 'ws';
import { messageBytesMax, wireSubprotocol } from './frame.ts';
import type { LinkEnvironment } from './link-environment.ts';

/** What a link is called for. After `onClose`, which comes once, nothing else comes. */
export type LinkSocketEvents = {
  readonly onOpen: () => void;
  readonly onMessage: (data: Buffer, isBinary: boolean) => void;
  readonly onPong: () => void;
  readonly onClose: (problem: string) => void;
};

/** Units: UTF-16 units of a node's refusal that are shown. */
const refusalLengthMax = 200;
/** A peer has so long to answer a close. Units: milliseconds. */
const closeGraceMs = 100;

const fillZeroMask = (mask: Buffer): void => void mask.fill(0);

/** Begins to connect. */
export function openLinkSocket(url: string, environment: LinkEnvironment, events: LinkSocketEvents): WebSocket {
  const { clusterToken, trustedCertificates, limits } = environment;
  const socket = new WebSocket(url, wireSubprotocol, {
    headers: clusterToken === null ? {} : { authorization: `Bearer ${clusterToken}` },
    perMessageDeflate: false,
    skipUTF8Validation: true,
    maxPayload: messageBytesMax,
    handshakeTimeout: limits.connectMsMax,
    // The mask guards proxies against scripts in browsers. Between our own processes it would only
    // cost a pass over every byte; a mask of zeros is valid and leaves the bytes as they are.
    generateMask: fillZeroMask,
    // Nodes share the map's certificate, so being that certificate (or signed by it) is the whole
    // identity.
    ...(trustedCertificates === null
      ? {}
      : { ca: trustedCertificates, allowPartialTrustChain: true, checkServerIdentity: () => undefined }),
  });
  let refusal: string | null = null;
  let error = 'the connection broke';
  socket.on('open', events.onOpen);
  socket.on('message', (data, isBinary) => events.onMessage(data as Buffer, isBinary));
  socket.on('pong', events.onPong);
  // The node says which token or version it wants.
  socket.on('unexpected-response', (_request, response) => {
    response.once('readable', () => {
      const text = String(response.read() ?? '').slice(0, refusalLengthMax);
      refusal = `refused with ${response.statusCode} ${text}`.trim();
      socket.terminate();
    });
  });
  socket.on('error', ({ message, code }: NodeJS.ErrnoException) => {
    error = message || (code ?? error);
  });
  socket.on('close', (code: number, reason: Buffer) => {
    events.onClose(refusal ?? (code === 1006 ? error : `closed with ${code} ${reason.toString()}`.trim()));
  });
  return socket;
}

/** Closes a socket in any state; none of its events come any more. */
export function closeLinkSocket(socket: WebSocket): void {
  socket.removeAllListeners();
  // Terminating a socket that still connects raises an error event.
  socket.on('error', () => {});
  if (socket.readyState !== WebSocket.OPEN) return socket.terminate();
  socket.close(1000);
  setTimeout(() => socket.terminate(), closeGraceMs).unref();
}
