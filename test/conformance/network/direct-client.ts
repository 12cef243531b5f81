/**
 * Clients of data planes that spend little CPU, for suites that ask a hundred thousand times.
 *
 * The official plane's handlers are called in this process; ours are asked by Connect's unary
 * protocol. Messages are encoded and decoded in either case. The tests of the AppView use gRPC.
 */
import http from 'node:http';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Database, DataPlaneClient, DataPlaneServer } from '@atproto/bsky';
import type { AnyMessage, MethodInfo, ServiceType } from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, createPromiseClient, type Transport } from '@connectrpc/connect';

const distUrl = pathToFileURL(join(import.meta.dirname, '..', 'node_modules/@atproto/bsky/dist/'));
const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
const deadlineMs = 30_000;

type CreateRoutes = (db: Database, idResolver: DataPlaneServer['idResolver']) => (router: ConnectRouter) => void;
type Call = (request: Uint8Array, method: MethodInfo) => Promise<Uint8Array>;
type Handlers = Readonly<Record<string, (request: AnyMessage, context: object) => Promise<object> | object>>;

// The package exports neither its service nor its routes.
const { Service } = (await import(new URL('proto/bsky_connect.js', distUrl).href)) as { readonly Service: ServiceType };
const { default: createRoutes } = (await import(new URL('data-plane/server/routes/index.js', distUrl).href)) as {
  readonly default: CreateRoutes;
};

/** Returns the official plane's routes, to be added to any server. */
export function officialRoutes(db: Database, server: DataPlaneServer): (router: ConnectRouter) => void {
  return createRoutes(db, server.idResolver);
}

/** Makes a client that calls the handlers of the official plane, without a connection. */
export function handlerClient(routes: (router: ConnectRouter) => void): DataPlaneClient {
  let handlers: Handlers = {};
  const recorder = { service: (_service: ServiceType, all: Handlers) => (handlers = all) };
  routes(recorder as unknown as ConnectRouter);
  return clientOf(async (request, { name, I, O }) => {
    const localName = `${name[0]!.toLowerCase()}${name.slice(1)}`;
    if (!(localName in handlers)) throw new ConnectError(`${name} is not implemented`, Code.Unimplemented);
    try {
      const answer = await handlers[localName]!(I.fromBinary(request) as AnyMessage, {});
      return new O(answer).toBinary();
    } catch (error) {
      // As its server does.
      throw error instanceof ConnectError ? error : new ConnectError('internal error', Code.Internal);
    }
  });
}

/** Makes a client of a plane's HTTP/1.1 address. */
export function connectClient(url: string): DataPlaneClient {
  return clientOf(async (request, { name }) => {
    const { status, body } = await post(`${url}/${Service.typeName}/${name}`, request);
    if (status === 200) return body;
    const { code, message } = JSON.parse(body.toString('utf8')) as { readonly code: string; readonly message?: string };
    throw new ConnectError(message ?? '', codeOf(code));
  });
}

function clientOf(call: Call): DataPlaneClient {
  const unary = async (_service: unknown, method: MethodInfo, ...rest: readonly unknown[]): Promise<object> => {
    const message = method.O.fromBinary(await call(new method.I(rest[3] as object).toBinary(), method));
    return { stream: false, service: Service, method, header: new Headers(), trailer: new Headers(), message };
  };
  return createPromiseClient(Service, { unary } as unknown as Transport) as unknown as DataPlaneClient;
}

/** `invalid_argument` is `InvalidArgument`. */
function codeOf(text: string): Code {
  const name = text.replace(/(?:^|_)([a-z])/g, (_match, letter: string) => letter.toUpperCase());
  return Code[name as keyof typeof Code] ?? Code.Unknown;
}

async function post(url: string, body: Uint8Array): Promise<{ readonly status: number; readonly body: Buffer }> {
  return await new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/proto', 'content-length': body.length };
    const request = http.request(url, { method: 'POST', agent, headers, timeout: deadlineMs }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks) }));
      response.on('error', reject);
    });
    request.on('timeout', () => request.destroy(new Error(`${url} did not answer within ${deadlineMs} ms`)));
    request.on('error', reject);
    request.end(body);
  });
}
