/**
 * The HTTP/1.1 edge on uWebSockets: gRPC, Connect and the JSON endpoints on one port.
 *
 * gRPC over HTTP/1.1 has no trailers here: `grpc-status` is a header, and an error is headers only.
 */
import type { TemplatedApp } from 'uWebSockets.js';
import { Exchange, statusLine } from '../../http/exchange.ts';
import { type JsonServerOptions, type ListeningServer, startJsonServer } from '../../http/json-server.ts';
import type { PageGuard } from '../../http/page-guard.ts';
import type { BodyLimits } from '../../http/request-body.ts';
import type { ServiceRouter } from '../plan/service-router.ts';
import { boundReply, failedReply, readHead, replyTo, servicePath, typeRefusal } from './rpc-endpoint.ts';
import type { RpcReply } from './rpc-protocol.ts';

export type HttpEdgeOptions = Omit<JsonServerOptions, 'attach'> & {
  readonly router: ServiceRouter;
  readonly limits: BodyLimits;
};

function sendReply(exchange: Exchange, { httpStatus, contentType, body, grpc }: RpcReply, isClosing = false): void {
  if (grpc === null) {
    exchange.send(httpStatus, contentType, body, isClosing);
    return;
  }
  exchange.answer((response) => {
    response.writeStatus(statusLine(httpStatus)).writeHeader('content-type', contentType);
    response.writeHeader('grpc-status', String(grpc.status));
    if (grpc.message !== '') response.writeHeader('grpc-message', grpc.message);
    response.end(body, isClosing);
  });
}

function attachService(app: TemplatedApp, pages: PageGuard, { router, limits }: HttpEdgeOptions): void {
  app.post(`${servicePath}:method`, (response, request) => {
    const exchange = new Exchange(response);
    const head = readHead(request.getParameter(0) ?? '', (name) => request.getHeader(name));
    if (head === undefined) return exchange.send(415, 'text/plain', typeRefusal, true);
    const refusal = pages.callRefusal((name) => request.getHeader(name));
    if (refusal !== null) return sendReply(exchange, failedReply(head, refusal), true);
    exchange.readBody(limits, (body) => {
      if (typeof body === 'string') return sendReply(exchange, boundReply(head, body), true);
      void replyTo(router, head, body).then((reply) => sendReply(exchange, reply));
    });
  });
}

/** Listens. Errors: DataPlaneError `ConfigInvalid` for a port that is taken or bad TLS files. */
export function startHttpEdge(options: HttpEdgeOptions): Promise<ListeningServer> {
  return startJsonServer({ ...options, attach: (app, pages) => attachService(app, pages, options) });
}
