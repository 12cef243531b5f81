/**
 * The HTTP/1.1 edge on uWebSockets: gRPC, Connect, health, metrics and operators' endpoints on one port.
 *
 * gRPC over HTTP/1.1 needs no trailers: `grpc-status` stands in the headers beside the framed message, and errors are headers
 * only. Owns: sockets, body bounds, tokens of operators' endpoints. A response is never touched after its client has gone.
 */
import {
  App,
  type HttpRequest,
  type HttpResponse,
  SSLApp,
  type TemplatedApp,
  type us_listen_socket,
  us_listen_socket_close,
  us_socket_local_port,
} from 'uWebSockets.js';
import { DataPlaneError, toDataPlaneError } from '../../base/data-plane-error.ts';
import { carriesToken } from '../../config/access-token.ts';
import { guardOperators } from '../../http/page-guard.ts';
import type { ServiceRouter } from '../plan/service-router.ts';
import { type BodyBound, type BodyRoom, RequestBody } from './request-body.ts';
import { readHead, replyTo, servicePath, tooLargeReply } from './rpc-endpoint.ts';
import { httpStatusOf, type RpcReply } from './rpc-protocol.ts';

/** An operators' endpoint: what it returns is printed as JSON, what it throws as an error body. */
export type JsonRoute = {
  readonly verb: 'get' | 'post';
  /** Begins with `/v1/`. */
  readonly path: string;
  /** `body` is the parsed JSON of a POST, `{}` when it is empty. */
  readonly answer: (body: unknown) => Promise<object>;
};

/** What the edge serves, and where. */
export type HttpEdgeOptions = {
  readonly router: ServiceRouter;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly bodyBytesMax: number;
  readonly room: BodyRoom;
  /** Needed by `/metrics` and `/v1/...`; null where none is configured. */
  readonly adminToken: string | null;
  readonly isReady: () => Promise<boolean>;
  readonly metricsText: () => string;
  readonly routes: readonly JsonRoute[];
};

/** A listening edge. */
export type RunningEdge = {
  readonly port: number;
  /** Takes no more connections; those that are open go on. */
  stopListening(): void;
  /** Ends every connection. */
  close(): Promise<void>;
};

/** Status lines by code; uWebSockets wants the whole text. */
const statusTexts: ReadonlyMap<number, string> = new Map([
  [200, '200 OK'],
  [400, '400 Bad Request'],
  [401, '401 Unauthorized'],
  [403, '403 Forbidden'],
  [404, '404 Not Found'],
  [405, '405 Method Not Allowed'],
  [409, '409 Conflict'],
  [415, '415 Unsupported Media Type'],
  [429, '429 Too Many Requests'],
  [499, '499 Client Closed Request'],
  [500, '500 Internal Server Error'],
  [501, '501 Not Implemented'],
  [503, '503 Service Unavailable'],
  [504, '504 Gateway Timeout'],
]);

function statusText(status: number): string {
  return statusTexts.get(status) ?? `${status} Error`;
}

/** A request that is being answered. */
class Exchange {
  readonly response: HttpResponse;
  isEnded = false;
  #body: RequestBody | null = null;

  constructor(response: HttpResponse) {
    this.response = response;
    response.onAborted(() => {
      this.isEnded = true;
      if (this.#body?.isDropped === false) this.#body.drop();
    });
  }

  /** Reads the body; `whole` gets it, or the name of the bound that it passed. Nothing is called once the client has gone. */
  readBody(bytesMax: number, room: BodyRoom, whole: (body: Buffer | BodyBound) => void): void {
    const body = new RequestBody(bytesMax, room);
    this.#body = body;
    this.response.onData((chunk, isLast) => {
      if (body.isDropped) return;
      // The chunk is only lent, so it is copied.
      const copy = Buffer.allocUnsafe(chunk.byteLength);
      copy.set(new Uint8Array(chunk));
      const bound = body.add(copy);
      if (bound !== null) whole(bound);
      else if (isLast) whole(body.take());
    });
  }

  send(status: number, contentType: string, body: Buffer | string, isClosing = false): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.response.cork(() => {
      this.response.writeStatus(statusText(status)).writeHeader('content-type', contentType).end(body, isClosing);
    });
  }

  sendReply({ httpStatus, contentType, body, grpc }: RpcReply, isClosing = false): void {
    if (grpc === null) {
      this.send(httpStatus, contentType, body, isClosing);
      return;
    }
    if (this.isEnded) return;
    this.isEnded = true;
    this.response.cork(() => {
      this.response.writeStatus(statusText(httpStatus)).writeHeader('content-type', contentType);
      this.response.writeHeader('grpc-status', String(grpc.status));
      if (grpc.message !== '') this.response.writeHeader('grpc-message', grpc.message);
      this.response.end(body, isClosing);
    });
  }

  sendJson(status: number, value: object): void {
    this.send(status, 'application/json', `${JSON.stringify(value)}\n`);
  }

  sendError(thrown: unknown, isClosing = false): void {
    const { code, message, hint } = toDataPlaneError(thrown);
    const body = JSON.stringify({ error: code, message, hint });
    this.send(httpStatusOf(code), 'application/json', `${body}\n`, isClosing);
  }
}

function attachService(app: TemplatedApp, { router, bodyBytesMax, room }: HttpEdgeOptions): void {
  app.post(`${servicePath}:method`, (response, request) => {
    const exchange = new Exchange(response);
    const head = readHead(request.getParameter(0) ?? '', (name) => request.getHeader(name));
    if (head === undefined) {
      return exchange.send(
        415,
        'text/plain',
        'content-type must be application/grpc, application/proto or application/json\n',
        true,
      );
    }
    exchange.readBody(bodyBytesMax, room, (body) => {
      if (typeof body === 'string') return exchange.sendReply(tooLargeReply(head, body), true);
      void replyTo(router, head, body).then((reply) => exchange.sendReply(reply));
    });
  });
}

function parseBody(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body.toString());
  } catch (cause) {
    throw new DataPlaneError('InvalidArgument', 'the body is not JSON', { cause });
  }
}

async function answerRoute(route: JsonRoute, exchange: Exchange, body: Buffer): Promise<void> {
  try {
    exchange.sendJson(200, await route.answer(parseBody(body)));
  } catch (thrown) {
    exchange.sendError(thrown);
  }
}

async function answerReady(exchange: Exchange, isReady: () => Promise<boolean>): Promise<void> {
  const ready = await isReady().catch(() => false);
  exchange.send(ready ? 200 : 503, 'text/plain', ready ? 'ok\n' : 'not ready\n');
}

function attachOperators(app: TemplatedApp, options: HttpEdgeOptions): void {
  const mayAsk = (request: HttpRequest): boolean =>
    options.adminToken === null || carriesToken(request.getHeader('authorization'), options.adminToken);
  const unauthenticated = new DataPlaneError('Unauthenticated', 'a token is needed');
  app.get('/healthz', (response) => new Exchange(response).send(200, 'text/plain', 'ok\n'));
  app.get('/readyz', (response) => void answerReady(new Exchange(response), options.isReady));
  app.get('/metrics', (response, request) => {
    const exchange = new Exchange(response);
    if (!mayAsk(request)) return exchange.sendError(unauthenticated);
    exchange.send(200, 'text/plain; version=0.0.4', options.metricsText());
  });
  for (const route of options.routes) {
    app[route.verb](route.path, (response, request) => {
      const exchange = new Exchange(response);
      if (!mayAsk(request)) return exchange.sendError(unauthenticated, true);
      try {
        guardOperators(route.verb, (name) => request.getHeader(name), options.adminToken !== null);
      } catch (thrown) {
        return exchange.sendError(thrown, true);
      }
      if (route.verb === 'get') return void answerRoute(route, exchange, Buffer.alloc(0));
      exchange.readBody(options.bodyBytesMax, options.room, (body) => {
        if (typeof body !== 'string') return void answerRoute(route, exchange, body);
        exchange.sendError(new DataPlaneError('ResourceExhausted', `the body passes ${body}`), true);
      });
    });
  }
}

/** The socket option by which two processes never share a port; the app's types lack this form of `listen`. */
const exclusivePort = 1;
type ListenExclusively = (
  host: string,
  port: number,
  options: number,
  done: (socket: us_listen_socket | false) => void,
) => void;

function createApp(tls: HttpEdgeOptions['tls']): TemplatedApp {
  if (tls === null) return App();
  try {
    return SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
  } catch (cause) {
    throw new DataPlaneError('ConfigInvalid', `tls: ${tls.certFile} and ${tls.keyFile} do not load`, { cause });
  }
}

/** Listens. Errors: DataPlaneError `ConfigInvalid` when the port cannot be had or TLS files do not load. */
export async function startHttpEdge(options: HttpEdgeOptions): Promise<RunningEdge> {
  const app = createApp(options.tls);
  attachService(app, options);
  attachOperators(app, options);
  app.any('/*', (response) =>
    new Exchange(response).sendError(new DataPlaneError('NotFound', 'no such endpoint'), true),
  );
  const listen = app.listen.bind(app) as unknown as ListenExclusively;
  const { host, port } = options;
  const socket = await new Promise<us_listen_socket>((resolve, reject) => {
    listen(host, port, exclusivePort, (found) => {
      if (found !== false) resolve(found);
      else reject(new DataPlaneError('ConfigInvalid', `cannot listen on ${host}:${port}; the port may be taken`));
    });
  });
  return {
    port: us_socket_local_port(socket),
    stopListening: () => us_listen_socket_close(socket),
    close: async () => {
      app.close();
    },
  };
}
