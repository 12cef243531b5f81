/** Opens and closes the WebSocket of a link, and describes its problems for operators. */
import { WebSocket } from 'ws';
import { messageBytesMax, wireSubprotocol } from './frame.ts';
import type { LinkEnvironment } from './link-environment.ts';

/** `onClose` comes once, and is the last event. */
export type LinkSocketEvents = {
  readonly onOpen: () => void;
  readonly onMessage: (data: Buffer, isBinary: boolean) => void;
  readonly onPong: () => void;
  readonly onClose: (problem: string) => void;
};

/** Longer refusals of a node are truncated. Units: characters. */
const refusalLengthMax = 200;
/** How long a peer may take to answer a close. */
const closeGraceMs = 100;

const fillZeroMask = (mask: Buffer): void => void mask.fill(0);

/** Begins to connect; `events` report the outcome. */
export function openLinkSocket(url: string, environment: LinkEnvironment, events: LinkSocketEvents): WebSocket {
  const { clusterToken, trustedCertificates, limits } = environment;
  const socket = new WebSocket(url, wireSubprotocol, {
    headers: clusterToken === null ? {} : { authorization: `Bearer ${clusterToken}` },
    perMessageDeflate: false,
    skipUTF8Validation: true,
    maxPayload: messageBytesMax,
    handshakeTimeout: limits.connectMsMax,
    // The mask protects proxies from scripts in browsers. Between our processes it would only cost
    // a pass over every byte; a mask of zeros is valid and changes nothing.
    generateMask: fillZeroMask,
    // All nodes share the map's certificate, which is therefore their only identity.
    ...(trustedCertificates === null
      ? {}
      : { ca: trustedCertificates, allowPartialTrustChain: true, checkServerIdentity: () => undefined }),
  });
  let refusal: string | null = null;
  let error = 'the connection broke';
  socket.on('open', events.onOpen);
  socket.on('message', (data, isBinary) => events.onMessage(data as Buffer, isBinary));
  socket.on('pong', events.onPong);
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
  });
  socket.on('close', (code: number, reason: Buffer) => {
    events.onClose(refusal ?? (code === 1006 ? error : `closed with ${code} ${reason.toString()}`.trim()));
  });
  return socket;
}

/** Closes a socket in any state; no events come after this. */
export function closeLinkSocket(socket: WebSocket): void {
  socket.removeAllListeners();
  // Terminating a socket that is connecting emits an error.
  socket.on('error', () => {});
  if (socket.readyState !== WebSocket.OPEN) return socket.terminate();
  socket.close(1000);
  setTimeout(() => socket.terminate(), closeGraceMs).unref();
}
