/**
 * The HTTP/2 edge: gRPC (the AppView's default) and Connect, in cleartext or TLS.
 *
 * uWebSockets has no HTTP/2, so this is node:http2. A unary gRPC call is one framed message and
 * trailers. Owns: limits on heads and bodies. Never writes to a stream that was reset.
 */
import { readFileSync } from 'node:fs';
import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { JointSource } from '../../http/byte-shares.ts';
import { type ListeningServer, listenError, type TlsFiles, tlsError } from '../../http/json-server.ts';
import { type HeaderReader, PageGuard, type PageRules } from '../../http/page-guard.ts';
import { type BodyBound, type BodyLimits, type BodySource, RequestBody } from '../../http/request-body.ts';
import type { ServiceRouter } from '../plan/service-router.ts';
import { type Http2Connection, Http2Connections, type Http2Limits, http2LimitDefaults } from './http2-connection.ts';
import {
  type BodyLimitsOfCalls,
  boundReply,
  type CallSharing,
  failedReply,
  readHead,
  replyTo,
  requestIdHeader,
  servicePath,
  typeRefusal,
} from './rpc-endpoint.ts';
import { bodyBytes, declaredBytesBy, type LargeBody, type RpcReply, wholeBody } from './rpc-protocol.ts';

export type ListeningHttp2 = ListeningServer & {
  /** Calls whose answers are not written to the end yet. */
  openStreams(): number;
  /** Tells clients to go: their sessions end with the calls that they have made. */
  drain(): void;
};

export type Http2EdgeOptions = PageRules & {
  readonly router: ServiceRouter;
  /** 0 takes any free port. */
  readonly port: number;
  /** Other threads of this process listen on the port, too. */
  readonly reusePort: boolean;
  /** Absent: this thread answers all calls of its sessions. */
  readonly sharing?: CallSharing | undefined;
  readonly tls: TlsFiles | null;
  readonly limits: BodyLimitsOfCalls & Partial<Http2Limits> & { readonly httpConnectionsMax: number };
  readonly clock: Clock;
};

/** Of the names and values of one head, and their number; those of HTTP/1.1 are below 4 KiB. */
const headBytesMax = 16 * 1024;
const headPairsMax = 64;
const handshakeMsMax = 10_000;
/** Unread bytes in flight of one stream, and of a whole connection. */
const streamWindowBytes = 1024 * 1024;
const connectionWindowBytes = 16 * 1024 * 1024;

/** A client that gave its stream up closes it at once; it is destroyed a turn later. */
function isOver({ destroyed, closed, headersSent }: ServerHttp2Stream): boolean {
  return destroyed || closed || headersSent;
}

/** Writes a body in parts, one in each turn of the event loop, and waits for the client to read. */
function writeParts(stream: ServerHttp2Stream, { parts, release }: LargeBody): void {
  const left = parts();
  stream.once('close', release);
  const next = (): void => {
    if (stream.destroyed) return;
    const part = left.next();
    if (part.done === true) stream.end();
    else if (stream.write(part.value)) setImmediate(next);
    else stream.once('drain', next);
  };
  next();
}

function sendReply(stream: ServerHttp2Stream, reply: RpcReply): void {
  const { httpStatus, contentType, large, grpc, requestId } = reply;
  if (isOver(stream)) return large?.release();
  const end = (): void => {
    // The stream keeps it until the client reads.
    if (large === null) stream.end(wholeBody(reply, null));
    else writeParts(stream, large);
  };
  const headers = {
    ':status': httpStatus,
    'content-type': contentType,
    ...(requestId === null ? {} : { [requestIdHeader]: requestId }),
  };
  if (grpc === null) {
    stream.respond(headers);
    return end();
  }
  const trailers = {
    'grpc-status': String(grpc.status),
    ...(grpc.message === '' ? {} : { 'grpc-message': grpc.message }),
  };
  if (bodyBytes(reply) === 0) {
    stream.respond({ ...headers, ...trailers }, { endStream: true });
    return;
  }
  stream.respond(headers, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  end();
}

function sendPlain(stream: ServerHttp2Stream, status: number, text: string): void {
  if (isOver(stream)) return;
  stream.respond({ ':status': status, 'content-type': 'text/plain' });
  stream.end(text);
}

/** Reads a body. The time of one that is not complete counts from its head. */
function readBody(
  stream: ServerHttp2Stream,
  limits: BodyLimits,
  source: BodySource,
  done: (body: Buffer | BodyBound) => void,
  declaredBytes: ((first: Buffer) => number) | undefined,
): void {
  const body = new RequestBody(limits, source);
  let isFirst = true;
  stream.on('data', (chunk: Buffer) => {
    if (body.isDropped) return;
    const isTooLarge = isFirst && declaredBytes !== undefined && declaredBytes(chunk) > limits.bodyBytesMax;
    isFirst = false;
    if (isTooLarge) body.drop();
    const bound = isTooLarge ? 'bodyBytesMax' : body.add(chunk);
    if (bound !== null) done(bound);
  });
  // Most bodies are complete at the end of this turn of the event loop and need no timer.
  setImmediate(() => {
    if (!body.isDropped) body.expectRest(done);
  });
  stream.on('end', () => {
    if (body.isDropped) return;
    // A client that gives the stream up also ends its body, wherever that was.
    if (stream.closed) body.drop();
    else done(body.take());
  });
  stream.on('close', () => {
    if (!body.isDropped) body.drop();
  });
}

/** Returns a reader of headers in which `host` is the authority, if there is one. */
function headerReader(headers: IncomingHttpHeaders): HeaderReader {
  return (name) => {
    const value = (name === 'host' ? headers[':authority'] : undefined) ?? headers[name];
    return typeof value === 'string' ? value : (value?.[0] ?? '');
  };
}

/** Returns whether a head is too large. What we advertise is only advice to clients. */
function isHeadTooLarge(headers: IncomingHttpHeaders): boolean {
  let bytes = 0;
  for (const name in headers) bytes += name.length + (headers[name]?.length ?? 0);
  return bytes > headBytesMax;
}

type Serving = { readonly options: Http2EdgeOptions; readonly pages: PageGuard };

function serveStream(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  connection: Http2Connection,
  { options, pages }: Serving,
): void {
  const path = String(headers[':path'] ?? '');
  const isCall = headers[':method'] === 'POST' && path.startsWith(servicePath);
  const header = headerReader(headers);
  const head = isCall ? readHead(path.slice(servicePath.length), header) : undefined;
  const refusal = pages.callRefusal(header);
  if (refusal !== null && head !== undefined) return sendReply(stream, failedReply(head, refusal));
  if (head === undefined) {
    if (isCall) sendPlain(stream, 415, typeRefusal);
    else sendPlain(stream, 404, 'no such endpoint\n');
    return;
  }
  if (connection.isBackpressured) {
    const error = new DataPlaneError('ResourceExhausted', 'answers are not read (unreadBytesOfConnectionMax)');
    return sendReply(stream, failedReply(head, error));
  }
  const { limits } = options;
  const source = new JointSource([connection.budget, limits.callers.of(head.caller)]);
  const done = (body: Buffer | BodyBound): void => {
    if (typeof body === 'string') {
      sendReply(stream, boundReply(head, body));
      // After the reply, since a client that is late may never end its stream.
      if (body === 'bodyMsMax') stream.close(constants.NGHTTP2_NO_ERROR);
    } else {
      const { sharing, router } = options;
      const replied = sharing === undefined ? replyTo(router, head, body) : sharing.answer(head, body);
      const send = (reply: RpcReply): void => {
        connection.answers(stream, bodyBytes(reply));
        sendReply(stream, reply);
      };
      if (replied instanceof Promise) void replied.then(send);
      else send(replied);
    }
  };
  readBody(stream, limits, source, done, declaredBytesBy[head.protocol]);
}

function createHttp2Server(tls: TlsFiles | null, limits: Http2Limits): Http2Server | Http2SecureServer {
  const settings = {
    maxConcurrentStreams: limits.streamsOfConnectionMax,
    maxHeaderListSize: headBytesMax,
    initialWindowSize: streamWindowBytes,
    enablePush: false,
  };
  const options = { settings, maxHeaderListPairs: headPairsMax };
  if (tls === null) return createServer(options);
  try {
    const files = { cert: readFileSync(tls.certFile), key: readFileSync(tls.keyFile) };
    return createSecureServer({ ...options, ...files, handshakeTimeout: handshakeMsMax });
  } catch (cause) {
    throw tlsError(tls, cause);
  }
}

/** Listens. Errors: DataPlaneError `ConfigInvalid` for a port that is taken or bad TLS files. */
export async function startHttp2Edge(options: Http2EdgeOptions): Promise<ListeningHttp2> {
  const limits = { ...http2LimitDefaults, ...options.limits };
  const server = createHttp2Server(options.tls, limits);
  server.maxConnections = options.limits.httpConnectionsMax;
  const serving = { options, pages: new PageGuard(options) };
  const connections = new Http2Connections(limits, options.clock);
  server.on('session', (session) => {
    session.setLocalWindowSize(connectionWindowBytes);
    connections.add(session);
  });
  server.on('stream', (stream, headers) => {
    // After a reset or a broken connection the call continues, and its reply is dropped.
    stream.on('error', () => {});
    const connection = connections.admit(stream);
    if (isHeadTooLarge(headers)) sendPlain(stream, 431, 'the head is too large\n');
    else if (connection !== null) serveStream(stream, headers, connection, serving);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(listenError(options.host, options.port, cause)));
    const { port, host, reusePort } = options;
    server.listen({ port, host, reusePort }, resolve);
  });
  const closed = new Promise<void>((resolve) => server.once('close', () => resolve()));
  return {
    port: (server.address() as AddressInfo).port,
    openStreams: () => connections.streams,
    drain: () => connections.closeAll(),
    stopListening: () => {
      server.close();
      connections.closeAll();
    },
    close: async () => {
      connections[Symbol.dispose]();
      await closed;
    },
  };
}
