/**
 * One server that acts as relay, PDS, PLC directory and handle resolver by script: it sends what
 * the test says, drops connections, refuses and lies.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { frameOf } from '../unit/atproto/signed-repo.ts';

/** A path's answer; a function may delay it, or never resolve and so leave the request open. */
export type Answer = {
  readonly status?: number;
  readonly headers?: Record<string, string>;
  readonly body: string | Buffer;
  /** Writes the body instead, and may never end it, or cut the connection. */
  readonly stream?: (response: ServerResponse) => void;
};
export type Responder = (query: URLSearchParams) => Answer | Promise<Answer>;

export type Connection = { readonly cursor: number | null; readonly socket: WebSocket };

export function json(value: unknown, status = 200): Answer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

export class ScriptedNetwork {
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  port = 0;
  /** Where it listens. */
  readonly host: string;
  readonly connections: Connection[] = [];
  readonly requests: string[] = [];
  /** Replayed to subscribers that pass a cursor. */
  backlog: { readonly seq: number; readonly frame: Buffer }[] = [];
  /** Replaces the replay when set. */
  onConnect: ((connection: Connection) => void) | null = null;
  /** By path; these override the built-in answers. */
  readonly responders = new Map<string, Responder>();
  readonly documents = new Map<string, unknown>();
  readonly didByHandle = new Map<string, string>();

  private constructor(http: Server, nsid: string, host: string) {
    this.#http = http;
    this.host = host;
    this.#sockets = new WebSocketServer({ server: http, path: `/xrpc/${nsid}` });
    this.#sockets.on('connection', (socket, request) => this.#onConnection(socket, request));
    this.#http.on('request', (request, response) => void this.#onRequest(request, response));
  }

  static async start(port = 0, nsid = 'com.atproto.sync.subscribeRepos', host = '127.0.0.1'): Promise<ScriptedNetwork> {
    const http = createServer();
    const network = new ScriptedNetwork(http, nsid, host);
    await new Promise<void>((resolve) => http.listen(port, host, resolve));
    network.port = (http.address() as AddressInfo).port;
    return network;
  }

  get url(): string {
    return `http://${this.host}:${this.port}`;
  }

  #onConnection(socket: WebSocket, request: IncomingMessage): void {
    const cursorText = new URL(request.url ?? '/', 'http://x').searchParams.get('cursor');
    const connection = { cursor: cursorText === null ? null : Number(cursorText), socket };
    this.connections.push(connection);
    if (this.onConnect !== null) {
      this.onConnect(connection);
      return;
    }
    const { cursor } = connection;
    if (cursor === null) return;
    if (cursor > (this.backlog.at(-1)?.seq ?? 0)) {
      socket.send(frameOf({ op: -1 }, { error: 'FutureCursor', message: 'Cursor in the future.' }));
      socket.close(1008, 'FutureCursor');
      return;
    }
    for (const { seq, frame } of this.backlog) if (seq > cursor) socket.send(frame);
  }

  /** Adds to the backlog and sends to every open connection. */
  publish(seq: number, frame: Buffer): void {
    this.backlog.push({ seq, frame });
    this.send(frame);
  }

  send(frame: Buffer | string): void {
    for (const { socket } of this.connections) if (socket.readyState === socket.OPEN) socket.send(frame);
  }

  /** Cuts every connection without a close frame. */
  cut(): void {
    for (const { socket } of this.connections) socket.terminate();
  }

  get openCount(): number {
    return this.connections.filter(({ socket }) => socket.readyState === socket.OPEN).length;
  }

  async #onRequest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://x');
    this.requests.push(`${url.pathname}${url.search}`);
    const answer = await (this.responders.get(url.pathname)?.(url.searchParams) ?? this.#builtIn(url));
    response.writeHead(answer.status ?? 200, answer.headers ?? {});
    if (answer.stream === undefined) response.end(answer.body);
    else answer.stream(response);
  }

  #builtIn(url: URL): Answer {
    if (url.pathname === '/xrpc/com.atproto.identity.resolveHandle') {
      const did = this.didByHandle.get(url.searchParams.get('handle') ?? '');
      return did === undefined
        ? json({ error: 'InvalidRequest', message: 'Unable to resolve handle' }, 400)
        : json({ did });
    }
    const document = this.documents.get(decodeURIComponent(url.pathname.slice(1)));
    return document === undefined ? json({ message: 'not registered' }, 404) : json(document);
  }

  requestCount(path: string): number {
    return this.requests.filter((request) => request.startsWith(path)).length;
  }

  /** Registers a DID at this host, with a handle that resolves back to it. */
  register(did: string, handle: string, key = signingKey): void {
    this.documents.set(did, didDocument(did, handle, this.url, key));
    this.didByHandle.set(handle, did);
  }

  /** Serves a repo through getRepo. */
  serveRepos(carOf: (did: string) => Answer | Promise<Answer>): void {
    this.responders.set('/xrpc/com.atproto.sync.getRepo', (query) => carOf(query.get('did') ?? ''));
  }

  async close(): Promise<void> {
    this.cut();
    this.#sockets.close();
    this.#http.closeAllConnections();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }
}

/** The public key of `SignedRepo`, in every document. */
export const signingKey = 'zQ3shjyJXUaRJC2GC43mX8aPrUhoTdoiongXhZjsdTzPKYZUM';

export function didDocument(did: string, handle: string, pds: string, key = signingKey): Record<string, unknown> {
  return {
    '@context': ['https://www.w3.org/ns/did/v1'],
    id: did,
    alsoKnownAs: [`at://${handle}`],
    verificationMethod: [
      {
        id: `${did}#atproto`,
        type: 'Multikey',
        controller: did,
        publicKeyMultibase: key,
      },
    ],
    service: [{ id: '#atproto_pds', type: 'AtprotoPersonalDataServer', serviceEndpoint: pds }],
  };
}
