/**
 * HTTP endpoints of a node beside the wire: health, metrics, and JSON routes for operators.
 *
 * Owns: who may ask (tokens), body bounds, and how errors become statuses. Health says nothing but yes or no, so that
 * load balancers may ask without a token; all else needs one wherever a token is configured.
 */
import type { HttpRequest, HttpResponse, TemplatedApp } from 'uWebSockets.js';
import { DataPlaneError, grpcStatus, toDataPlaneError } from '../base/data-plane-error.ts';
import { carriesToken } from '../config/access-token.ts';
import { guardOperators } from '../http/page-guard.ts';

/** A JSON route: what it answers is printed as JSON, what it throws as an error body. */
export type JsonRoute = {
  readonly verb: 'get' | 'post';
  /** Begins with `/v1/`. */
  readonly path: string;
  /** `body` is the parsed JSON of a POST, `{}` when it is empty. */
  readonly answer: (body: unknown) => Promise<object>;
};

/** What the endpoints show, and to whom. */
export type EndpointOptions = {
  readonly clusterToken: string | null;
  readonly adminToken: string | null;
  /** Whether the node serves all of its slots. */
  readonly isReady: () => boolean;
  readonly metricsText: () => Promise<string>;
  readonly routes: readonly JsonRoute[];
};

/** Units: bytes of a POST body. */
export const bodyBytesMax = 1024 * 1024;

const httpStatusByGrpc: Readonly<Record<number, string>> = {
  [grpcStatus.invalidArgument]: '400 Bad Request',
  [grpcStatus.unauthenticated]: '401 Unauthorized',
  [grpcStatus.permissionDenied]: '403 Forbidden',
  [grpcStatus.notFound]: '404 Not Found',
  [grpcStatus.aborted]: '409 Conflict',
  [grpcStatus.failedPrecondition]: '412 Precondition Failed',
  [grpcStatus.resourceExhausted]: '429 Too Many Requests',
  [grpcStatus.unimplemented]: '501 Not Implemented',
  [grpcStatus.unavailable]: '503 Service Unavailable',
  [grpcStatus.deadlineExceeded]: '504 Gateway Timeout',
};

const noBody = Buffer.alloc(0);

function sendText(response: HttpResponse, status: string, type: string, text: string): void {
  response.cork(() => {
    response.writeStatus(status).writeHeader('content-type', type).end(text);
  });
}

function sendJson(response: HttpResponse, status: string, value: object): void {
  sendText(response, status, 'application/json', `${JSON.stringify(value)}\n`);
}

function sendError(response: HttpResponse, thrown: unknown): void {
  const { code, message, grpc, hint } = toDataPlaneError(thrown);
  const status = httpStatusByGrpc[grpc] ?? '500 Internal Server Error';
  sendJson(response, status, { error: code, message, hint });
}

/** A request that is being answered. After the client has gone, its response must not be touched. */
class Exchange {
  readonly response: HttpResponse;
  isGone = false;
  #onGone: () => void = () => {};

  constructor(response: HttpResponse) {
    this.response = response;
    response.onAborted(() => {
      this.isGone = true;
      this.#onGone();
    });
  }

  /** Reads the body of a POST. Must be called before anything is awaited. */
  body(): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      this.#onGone = () => reject(new DataPlaneError('Canceled', 'the client went away'));
      this.response.onData((chunk, isLast) => {
        bytes += chunk.byteLength;
        // The chunk is only lent, so it is copied; past the bound chunks are dropped.
        if (bytes <= bodyBytesMax) chunks.push(Buffer.copyBytesFrom(new Uint8Array(chunk)));
        else reject(new DataPlaneError('ResourceExhausted', `a body above ${bodyBytesMax} bytes (bodyBytesMax)`));
        if (isLast) resolve(Buffer.concat(chunks));
      });
    });
  }
}

function parseBody(body: Buffer): unknown {
  if (body.length === 0) return {};
  try {
    return JSON.parse(body.toString());
  } catch (cause) {
    throw new DataPlaneError('InvalidArgument', 'the body is not JSON', { cause });
  }
}

/** Adds all endpoints but `/wire` to an app that does not listen yet. */
export function attachEndpoints(app: TemplatedApp, options: EndpointOptions): void {
  const tokens = [options.clusterToken, options.adminToken].filter((token) => token !== null);
  const mayAsk = (request: HttpRequest): boolean =>
    tokens.length === 0 || tokens.some((token) => carriesToken(request.getHeader('authorization'), token));
  const unauthenticated = (): DataPlaneError => new DataPlaneError('Unauthenticated', 'a token is needed');

  app.get('/healthz', (response) => sendText(response, '200 OK', 'text/plain', 'ok\n'));
  app.get('/readyz', (response) => {
    const isReady = options.isReady();
    sendText(response, isReady ? '200 OK' : '503 Service Unavailable', 'text/plain', isReady ? 'ok\n' : 'not ready\n');
  });
  app.get('/metrics', (response, request) => {
    if (!mayAsk(request)) return sendError(response, unauthenticated());
    void answerMetrics(options.metricsText, new Exchange(response));
  });
  for (const route of options.routes) {
    app[route.verb](route.path, (response, request) => {
      if (!mayAsk(request)) return sendError(response, unauthenticated());
      try {
        guardOperators(route.verb, (name) => request.getHeader(name), tokens.length > 0);
      } catch (thrown) {
        return sendError(response, thrown);
      }
      void answerRoute(route, new Exchange(response));
    });
  }
  app.any('/*', (response) => sendError(response, new DataPlaneError('NotFound', 'no such endpoint')));
}

async function answerMetrics(metricsText: () => Promise<string>, exchange: Exchange): Promise<void> {
  try {
    const text = await metricsText();
    if (!exchange.isGone) sendText(exchange.response, '200 OK', 'text/plain; version=0.0.4', text);
  } catch (thrown) {
    if (!exchange.isGone) sendError(exchange.response, thrown);
  }
}

async function answerRoute(route: JsonRoute, exchange: Exchange): Promise<void> {
  try {
    const body = route.verb === 'post' ? await exchange.body() : noBody;
    const answer = await route.answer(parseBody(body));
    if (!exchange.isGone) sendJson(exchange.response, '200 OK', answer);
  } catch (thrown) {
    if (!exchange.isGone) sendError(exchange.response, thrown);
  }
}
