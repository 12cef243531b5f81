/**
 * The HTTP server of node, router and ingest: health, metrics and JSON endpoints for operators.
 *
 * Owns: an exclusive port, TLS, tokens, limits on bodies, and how an error becomes an answer. Load
 * balancers may ask for health by any name and without a token; all else is closed to web pages,
 * and needs a token where one is configured.
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
import { chmodSync, rmSync } from 'node:fs';
import { isMainThread } from 'node:worker_threads';
import { DataPlaneError, operatingFailure } from '../base/data-plane-error.ts';
import { InvariantError } from '../base/invariant.ts';
import { carriesToken } from '../config/access-token.ts';
import { ByteShares } from './byte-shares.ts';
import { ConnectionLimit, httpConnectionsMax } from './connection-limit.ts';
import { Exchange } from './exchange.ts';
import { type JsonRoute, parseBody } from './json-route.ts';
import { PageGuard, type PageRules, requireJson } from './page-guard.ts';
import { type BodyLimits, bodyBoundError, bodyMsMaxDefault } from './request-body.ts';
import { clearSocketPath } from './unix-socket.ts';

export type TlsFiles = { readonly certFile: string; readonly keyFile: string };

export type JsonServerOptions = PageRules & {
  /** 0 takes any free port. */
  readonly port: number;
  /** Other threads of this process listen on the port, too; see `lockPort`. */
  readonly reusePort?: boolean;
  /** Where to listen beside the port, for processes of this machine; null is nowhere. */
  readonly unixPath?: string | null;
  /** Null serves cleartext. */
  readonly tls: TlsFiles | null;
  /** Any one admits a request; null is not configured. Without any, all requests are admitted. */
  readonly tokens: readonly (string | null)[];
  /** Admits a request for metrics, and nothing else; null is not configured. */
  readonly viewToken?: string | null;
  readonly isReady: () => boolean | Promise<boolean>;
  readonly metricsText: () => string | Promise<string>;
  readonly routes: readonly JsonRoute[];
  readonly limits?: Partial<BodyLimits & { readonly httpConnectionsMax: number }>;
  /** Adds endpoints of other protocols; called before the server listens. */
  readonly attach?: (listener: Listener) => void;
};

/** What endpoints of other protocols share with those of operators. */
export type Listener = {
  readonly app: TemplatedApp;
  readonly pages: PageGuard;
  readonly connections: ConnectionLimit;
};

export type ListeningServer = {
  readonly port: number;
  /** Accepts no more connections; open ones continue. */
  stopListening(): void;
  /** Ends every connection. */
  close(): Promise<void>;
};

/** `isOnUnixSocket` is false without a path, or where the file system has no sockets. */
export type ListeningJsonServer = ListeningServer & { readonly isOnUnixSocket: boolean };

/** Units: bytes of one body. */
export const bodyBytesMaxDefault = 1024 * 1024;
/** Units: bytes of all bodies that are arriving. */
const arrivingBytesMaxDefault = 64 * bodyBytesMaxDefault;

/** Whether others may listen on the port; the types of uWebSockets lack this form of `listen`. */
const portUse = { shared: 0, exclusive: 1 } as const;
type ListenWith = (
  host: string,
  port: number,
  options: number,
  done: (socket: us_listen_socket | false) => void,
) => void;

/** Returns the error for TLS files that do not load. */
export function tlsError({ certFile, keyFile }: TlsFiles, cause: unknown): DataPlaneError {
  return new DataPlaneError('ConfigInvalid', `tls: ${certFile} and ${keyFile} do not load`, { cause });
}

/** Returns the error for a port that cannot be bound. */
export function listenError(host: string, port: number, cause?: unknown): DataPlaneError {
  return new DataPlaneError('ConfigInvalid', `cannot listen on ${host}:${port}; the port may be taken`, { cause });
}

/** Of this thread. A worker that ends with an open one aborts the process. */
const openApps = new Set<TemplatedApp>();
// Also when it ends by an error or by `process.exit`.
if (!isMainThread) process.once('exit', () => openApps.forEach(closeApp));

function closeApp(app: TemplatedApp): void {
  if (openApps.delete(app)) app.close();
}

function createApp(tls: TlsFiles | null): TemplatedApp {
  if (tls === null) return App();
  try {
    return SSLApp({ cert_file_name: tls.certFile, key_file_name: tls.keyFile });
  } catch (cause) {
    throw tlsError(tls, cause);
  }
}

/** Returns null if the file system has no sockets. Errors: see `clearSocketPath`. */
async function listenUnix(app: TemplatedApp, path: string): Promise<us_listen_socket | null> {
  await clearSocketPath(path);
  const socket = await new Promise<us_listen_socket | false>((resolve) => app.listen_unix(resolve, path));
  if (socket === false) return null;
  chmodSync(path, 0o600);
  return socket;
}

function listen(app: TemplatedApp, host: string, port: number, use: number): Promise<us_listen_socket> {
  const listenWith = app.listen.bind(app) as unknown as ListenWith;
  return new Promise((resolve, reject) => {
    listenWith(host, port, use, (socket) => {
      if (socket !== false) resolve(socket);
      else reject(listenError(host, port));
    });
  });
}

/** Sends the answer or the error. Rethrows an InvariantError, so that main stops the process. */
async function answerWith(exchange: Exchange, make: () => Promise<void>): Promise<void> {
  try {
    await make();
  } catch (thrown) {
    exchange.sendError(thrown);
    if (thrown instanceof InvariantError) throw thrown;
  }
}

const appMethods = { get: 'get', post: 'post', delete: 'del' } as const;

class JsonEndpoints {
  readonly #options: JsonServerOptions;
  readonly #tokens: readonly string[];
  readonly #limits: BodyLimits;
  readonly #pages: PageGuard;

  constructor(options: JsonServerOptions, pages: PageGuard) {
    this.#options = options;
    this.#pages = pages;
    this.#tokens = options.tokens.filter((token) => token !== null);
    this.#limits = {
      bodyBytesMax: bodyBytesMaxDefault,
      bodyMsMax: bodyMsMaxDefault,
      budget: options.limits?.budget ?? new ByteShares(arrivingBytesMaxDefault, 'arrivingBytesMax'),
      ...options.limits,
    };
  }

  attachTo(app: TemplatedApp): void {
    app.get('/healthz', (response) => new Exchange(response).send(200, 'text/plain', 'ok\n'));
    app.get('/readyz', (response) => {
      const exchange = new Exchange(response);
      void answerWith(exchange, () => this.#answerReady(exchange));
    });
    app.get('/metrics', (response, request) => {
      const exchange = new Exchange(response);
      if (!this.#mayAsk(request, exchange, this.#options.viewToken ?? null)) return;
      void answerWith(exchange, async () =>
        exchange.send(200, 'text/plain; version=0.0.4', await this.#options.metricsText()),
      );
    });
    for (const route of this.#options.routes) {
      app[appMethods[route.verb]](route.path, (response, request) => this.#serve(route, response, request));
    }
    app.any('/*', (response) =>
      new Exchange(response).sendError(
        new DataPlaneError('NotFound', 'no such endpoint', { hint: 'ops/operating.md lists the endpoints.' }),
        true,
      ),
    );
  }

  #mayAsk(request: HttpRequest, exchange: Exchange, viewToken: string | null = null): boolean {
    const authorization = request.getHeader('authorization');
    const tokens = viewToken === null ? this.#tokens : [...this.#tokens, viewToken];
    const hasToken = this.#tokens.length === 0 || tokens.some((token) => carriesToken(authorization, token));
    const refusal = hasToken
      ? this.#pages.operatorRefusal((name) => request.getHeader(name))
      : new DataPlaneError('Unauthenticated', 'a token is needed');
    if (refusal !== null) exchange.sendError(refusal, true);
    return refusal === null;
  }

  async #answerReady(exchange: Exchange): Promise<void> {
    let isReady = false;
    try {
      isReady = await this.#options.isReady();
    } catch (thrown) {
      operatingFailure(thrown);
    }
    exchange.send(isReady ? 200 : 503, 'text/plain', isReady ? 'ok\n' : 'not ready\n');
  }

  #serve(route: JsonRoute, response: HttpResponse, request: HttpRequest): void {
    const exchange = new Exchange(response);
    if (!this.#mayAsk(request, exchange)) return;
    try {
      if (route.verb !== 'get') requireJson((name) => request.getHeader(name));
    } catch (thrown) {
      return exchange.sendError(thrown, true);
    }
    const query = new URLSearchParams(request.getQuery());
    const answer = (body: Buffer | null): void =>
      void answerWith(exchange, async () => {
        const json = JSON.stringify(await route.answer(body === null ? {} : parseBody(body), query));
        exchange.send(200, 'application/json', `${json}\n`);
      });
    if (route.verb === 'get') return answer(null);
    exchange.readBody(this.#limits, (body) => {
      if (typeof body === 'string') exchange.sendError(bodyBoundError(body), true);
      else answer(body);
    });
  }
}

/**
 * Listens, first on the Unix socket.
 *
 * Errors: DataPlaneError `ConfigInvalid` for a port that is taken or bad TLS files; `DataInUse` for
 * a Unix socket that is.
 */
export async function startJsonServer(options: JsonServerOptions): Promise<ListeningJsonServer> {
  const app = createApp(options.tls);
  openApps.add(app);
  const pages = new PageGuard(options);
  const connections = new ConnectionLimit(options.limits?.httpConnectionsMax ?? httpConnectionsMax);
  connections.attachTo(app);
  options.attach?.({ app, pages, connections });
  new JsonEndpoints(options, pages).attachTo(app);
  const { host, port, reusePort = false, unixPath = null } = options;
  const unixSocket = unixPath === null ? null : await listenUnix(app, unixPath);
  const stopUnix = (): void => {
    if (unixSocket === null || unixPath === null) return;
    us_listen_socket_close(unixSocket);
    rmSync(unixPath, { force: true });
  };
  const use = reusePort ? portUse.shared : portUse.exclusive;
  const socket = await listen(app, host, port, use).catch((thrown: unknown) => {
    stopUnix();
    throw thrown;
  });
  return {
    port: us_socket_local_port(socket),
    isOnUnixSocket: unixSocket !== null,
    stopListening: () => {
      us_listen_socket_close(socket);
      stopUnix();
    },
    close: async () => closeApp(app),
  };
}
