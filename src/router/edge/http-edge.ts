/**
 * The HTTP/1.1 edge on uWebSockets: gRPC, Connect, XRPC of search and JSON endpoints on one port.
 *
 * gRPC over HTTP/1.1 has no trailers here: `grpc-status` is a header, and an error is headers only.
 */
import type { HttpResponse } from 'uWebSockets.js';
import type { Clock } from '../../base/clock.ts';
import { attachDashboard, viewAccess } from '../../dashboard/dashboard.ts';
import type { LiveHost } from '../../dashboard/live-socket.ts';
import { Exchange, writeStatus } from '../../http/exchange.ts';
import {
  type JsonServerOptions,
  type Listener,
  type ListeningServer,
  startJsonServer,
} from '../../http/json-server.ts';
import type { BodyBound } from '../../http/request-body.ts';
import { smallAnswerBytesMax } from '../plan/answer-memory.ts';
import type { ServiceRouter } from '../plan/service-router.ts';
import {
  type BodyLimitsOfCalls,
  boundReply,
  failedReply,
  readHead,
  replyTo,
  requestIdHeader,
  servicePath,
  typeRefusal,
} from './rpc-endpoint.ts';
import { declaredBytesBy, type LargeBody, type RpcReply, wholeBody } from './rpc-protocol.ts';
import { attachSearchSkeletons } from './search-skeletons.ts';

export type HttpEdgeOptions = Omit<JsonServerOptions, 'attach'> & {
  readonly router: ServiceRouter;
  readonly limits: BodyLimitsOfCalls;
  /** What the page shows. */
  readonly live: LiveHost;
  readonly clock: Clock;
  /** True once connections must end with their next answer. */
  readonly isDraining: () => boolean;
};

/** Holds a body until `end` has copied it: memory of its own for each costs more to collect. */
const bodyScratch = Buffer.allocUnsafeSlow(smallAnswerBytesMax + 1024);

function writeHead(response: HttpResponse, { httpStatus, contentType, grpc, requestId }: RpcReply): void {
  writeStatus(response, httpStatus);
  response.writeHeader('content-type', contentType);
  if (grpc !== null) {
    response.writeHeader('grpc-status', String(grpc.status));
    if (grpc.message !== '') response.writeHeader('grpc-message', grpc.message);
  }
  if (requestId !== null) response.writeHeader(requestIdHeader, requestId);
}

function sendReply(exchange: Exchange, reply: RpcReply, isClosing: boolean): void {
  if (reply.large !== null) return sendLarge(exchange, reply, reply.large, isClosing);
  exchange.answer((response) => {
    writeHead(response, reply);
    response.end(wholeBody(reply, bodyScratch), isClosing);
  });
}

/** Sends a reply in chunks. Its client ends a connection that is closing, since `end` cannot. */
function sendLarge(exchange: Exchange, reply: RpcReply, large: LargeBody, isClosing: boolean): void {
  const write = (response: HttpResponse): void => {
    writeHead(response, reply);
    if (isClosing) response.writeHeader('connection', 'close');
  };
  exchange.answerInParts(write, large.parts(), large.release);
}

function attachService({ app, pages }: Listener, { router, limits, isDraining }: HttpEdgeOptions): void {
  app.post(`${servicePath}:method`, (response, request) => {
    const exchange = new Exchange(response);
    const head = readHead(request.getParameter(0) ?? '', (name) => request.getHeader(name));
    if (head === undefined) return exchange.send(415, 'text/plain', typeRefusal, true);
    const refusal = pages.callRefusal((name) => request.getHeader(name));
    if (refusal !== null) return sendReply(exchange, failedReply(head, refusal), true);
    const done = (body: Buffer | BodyBound): void => {
      if (typeof body === 'string') return sendReply(exchange, boundReply(head, body), true);
      const reply = replyTo(router, head, body);
      if (reply instanceof Promise) void reply.then((later) => sendReply(exchange, later, isDraining()));
      else sendReply(exchange, reply, isDraining());
    };
    exchange.readBody(limits, done, limits.callers.of(head.caller), declaredBytesBy[head.protocol]);
  });
}

/** Listens. Errors: DataPlaneError `ConfigInvalid` for a port that is taken or bad TLS files. */
export async function startHttpEdge(options: HttpEdgeOptions): Promise<ListeningServer> {
  const { router, live, clock, tokens, viewToken = null, host } = options;
  const access = viewAccess(host, viewToken, tokens);
  let dashboard: Disposable | null = null;
  const server = await startJsonServer({
    ...options,
    attach: (listener) => {
      attachService(listener, options);
      attachSearchSkeletons(listener, router);
      dashboard = attachDashboard(listener, { host: live, access, clock });
    },
  });
  const close = async (): Promise<void> => {
    dashboard?.[Symbol.dispose]();
    await server.close();
  };
  return { ...server, close };
}
