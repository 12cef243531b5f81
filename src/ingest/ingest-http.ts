/**
 * The HTTP face of ingest: health, metrics, status, and what operators and nodes ask of it.
 *
 * Owns: reading bounded JSON bodies, tokens, and turning errors into answers. Refuses: POSTs without the token when one
 * is configured, what web pages send when none is, and unknown fields in a body.
 */
import {
  App,
  type HttpResponse,
  type TemplatedApp,
  us_listen_socket_close,
  us_socket_local_port,
} from 'uWebSockets.js';
import { DataPlaneError, type ErrorCode, toDataPlaneError } from '../base/data-plane-error.ts';
import { InvariantError } from '../base/invariant.ts';
import { carriesToken } from '../config/access-token.ts';
import { guardOperators } from '../http/page-guard.ts';

/** One request as a handler sees it. `body` is an empty object for a GET. */
export type IngestRequest = {
  readonly query: URLSearchParams;
  readonly body: Readonly<Record<string, unknown>>;
};
/** What a handler answers when all is well. */
export type IngestAnswer = { readonly json: unknown } | { readonly text: string };
/** Answers one request. What it throws becomes the error answer. */
export type IngestHandler = (request: IngestRequest) => Promise<IngestAnswer> | IngestAnswer;

/** One endpoint. */
export type IngestRoute = {
  readonly method: 'get' | 'post';
  readonly path: string;
  /** Fields that the body may have. */
  readonly fields: readonly string[];
  readonly handler: IngestHandler;
};

/** Where to listen and what to answer. */
export type IngestHttpOptions = {
  readonly host: string;
  /** 0 for any free port. */
  readonly port: number;
  /** Needed for POSTs when it is not null. */
  readonly adminToken: string | null;
  readonly routes: readonly IngestRoute[];
};

const bodyBytesMax = 1_048_576;

const httpStatusByCode: Partial<Record<ErrorCode, string>> = {
  InvalidArgument: '400 Bad Request',
  Unauthenticated: '401 Unauthorized',
  NotFound: '404 Not Found',
  ResourceExhausted: '429 Too Many Requests',
  Unavailable: '503 Service Unavailable',
  DeadlineExceeded: '504 Gateway Timeout',
};

/** A response whose requester may go away at any time. */
class Reply {
  #isOver = false;
  readonly #response: HttpResponse;

  constructor(response: HttpResponse) {
    this.#response = response;
    response.onAborted(() => {
      this.#isOver = true;
    });
  }

  send(status: string, answer: IngestAnswer): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#response.cork(() => {
      this.#response.writeStatus(status);
      if ('text' in answer) this.#response.writeHeader('content-type', 'text/plain; charset=utf-8').end(answer.text);
      else this.#response.writeHeader('content-type', 'application/json').end(JSON.stringify(answer.json));
    });
  }

  fail(thrown: unknown): void {
    const { code, message, hint } = toDataPlaneError(thrown);
    const status = httpStatusByCode[code] ?? '500 Internal Server Error';
    this.send(status, { json: { code, message, hint } });
  }
}

function parseBody(bytes: Buffer, fields: readonly string[]): Readonly<Record<string, unknown>> {
  let value: unknown = {};
  try {
    if (bytes.length > 0) value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new DataPlaneError('InvalidArgument', 'the body is not JSON', { cause });
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new DataPlaneError('InvalidArgument', 'the body must be a JSON object');
  }
  for (const key of Object.keys(value)) {
    if (!fields.includes(key)) {
      throw new DataPlaneError('InvalidArgument', `unknown field "${key}" (known: ${fields.join(', ') || 'none'})`);
    }
  }
  return value as Readonly<Record<string, unknown>>;
}

/** Calls back once with the whole body, or with null when it is longer than `bodyBytesMax`. */
function readBody(response: HttpResponse, done: (body: Buffer | null) => void): void {
  const parts: Buffer[] = [];
  let bytes = 0;
  response.onData((part, isLast) => {
    bytes += part.byteLength;
    // The part's memory is reused after this call.
    if (bytes <= bodyBytesMax) parts.push(Buffer.from(new Uint8Array(part)));
    if (isLast) done(bytes <= bodyBytesMax ? Buffer.concat(parts) : null);
  });
}

/** Health is for whoever balances load; all else is for operators, and even asking can make ingest fetch. */
function allow(route: IngestRoute, header: (name: string) => string, adminToken: string | null): void {
  if (route.path === '/healthz' || route.path === '/readyz') return;
  if (adminToken !== null && !carriesToken(header('authorization'), adminToken)) {
    throw new DataPlaneError('Unauthenticated', `${route.path} needs the admin token`);
  }
  if (route.path.startsWith('/v1/')) guardOperators(route.method, header, adminToken !== null);
}

function addRoute(app: TemplatedApp, route: IngestRoute, adminToken: string | null): void {
  const answer = async (reply: Reply, request: IngestRequest): Promise<void> => {
    try {
      reply.send('200 OK', await route.handler(request));
    } catch (thrown) {
      if (thrown instanceof InvariantError) throw thrown;
      reply.fail(thrown);
    }
  };
  app[route.method](route.path, (response, request) => {
    const reply = new Reply(response);
    const query = new URLSearchParams(request.getQuery());
    const header = (name: string): string => request.getHeader(name);
    try {
      allow(route, header, adminToken);
    } catch (thrown) {
      return reply.fail(thrown);
    }
    if (route.method === 'get') return void answer(reply, { query, body: {} });
    readBody(response, (bytes) => {
      if (bytes === null)
        return reply.fail(new DataPlaneError('ResourceExhausted', `a body above ${bodyBytesMax} bytes (bodyBytesMax)`));
      try {
        void answer(reply, { query, body: parseBody(bytes, route.fields) });
      } catch (thrown) {
        reply.fail(thrown);
      }
    });
  });
}

/** A listening server. */
export type IngestHttp = { readonly port: number; close(): void };

/**
 * Listens.
 *
 * Errors: DataPlaneError `ConfigInvalid` when the port cannot be had.
 */
export function listenIngestHttp(options: IngestHttpOptions): Promise<IngestHttp> {
  const app = App();
  for (const route of options.routes) addRoute(app, route, options.adminToken);
  app.any('/*', (response) => {
    new Reply(response).fail(new DataPlaneError('NotFound', 'no such endpoint'));
  });
  return new Promise((resolve, reject) => {
    app.listen(options.host, options.port, (socket) => {
      if (socket === false) {
        reject(new DataPlaneError('ConfigInvalid', `port ${options.port} of ${options.host} cannot be listened on`));
        return;
      }
      resolve({
        port: us_socket_local_port(socket),
        close: () => {
          us_listen_socket_close(socket);
          app.close();
        },
      });
    });
  });
}
