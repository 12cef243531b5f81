/**
 * A bsync on loopback: the scans of its three streams, as unary Connect calls with JSON.
 *
 * It spells messages as the proto3 mapping does: lower-camel names, enums by name, ids as texts,
 * bytes as base64, and no field that has its default.
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import type { BsyncStream } from '../../src/ingest/bsync-client.ts';

export type FakeOperation = Readonly<Record<string, unknown>>;
type Scan = { readonly stream: BsyncStream; readonly cursor: string; readonly limit: number; readonly key: string };
/** What a scan is answered with instead of its operations: a body, or silence. */
type Misanswer =
  | { readonly status?: number; readonly headers?: Record<string, string>; readonly body: string }
  | 'silence'
  | 'drop';

const pathOf: Readonly<Record<string, BsyncStream>> = {
  '/bsync.Service/ScanMuteOperations': 'mute',
  '/bsync.Service/ScanNotifOperations': 'notif',
  '/bsync.Service/ScanOperations': 'op',
};

export class FakeBsync {
  readonly url: string;
  readonly operations: Record<BsyncStream, FakeOperation[]> = { mute: [], notif: [], op: [] };
  readonly scans: Scan[] = [];
  key = 'bsync-key';
  /** How a scan without new operations is held. Units: ms. */
  longPollMs = 200;
  /** Answers a scan in another way. */
  misanswer: (scan: Scan) => Misanswer | null = () => null;
  readonly #server: http.Server;
  readonly #held = new Set<() => void>();

  private constructor(server: http.Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (request, response) => void this.#answer(request, response));
  }

  static async start(port = 0): Promise<FakeBsync> {
    const server = http.createServer();
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    return new FakeBsync(server);
  }

  /** Adds an operation with the next id of its stream, or the given one. Returns its id. */
  add(stream: BsyncStream, operation: FakeOperation): number {
    const last = this.operations[stream].at(-1)?.['id'];
    const id = operation['id'] ?? String(Number(last ?? 0) + 1);
    this.operations[stream].push({ id, ...operation });
    for (const wake of [...this.#held]) wake();
    return Number(id);
  }

  /** Adds one of `ScanOperations` whose payload is JSON, or none. */
  put(
    actorDid: string,
    method: 'CREATE' | 'UPDATE' | 'DELETE',
    namespace: string,
    key: string,
    value?: object,
  ): number {
    const payload = value === undefined ? {} : { payload: Buffer.from(JSON.stringify(value)).toString('base64') };
    return this.add('op', { actorDid, namespace, key, method: `METHOD_${method}`, ...payload });
  }

  async #answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    const stream = pathOf[request.url ?? ''];
    const { cursor = '', limit = 0 } = JSON.parse(Buffer.concat(parts).toString()) as Partial<Scan>;
    const key = (request.headers.authorization ?? '').replace('Bearer ', '');
    const json = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    };
    if (stream === undefined || request.method !== 'POST') return json(404, { code: 'unimplemented' });
    if (request.headers['content-type'] !== 'application/json') return json(415, { code: 'unknown' });
    this.scans.push({ stream, cursor, limit, key });
    if (key !== this.key) return json(401, { code: 'unauthenticated', message: 'invalid api key' });
    const other = this.misanswer({ stream, cursor, limit, key });
    if (other === 'silence') return;
    if (other === 'drop') return void request.socket.destroy();
    if (other !== null) return void response.writeHead(other.status ?? 200, other.headers).end(other.body);
    const page = (): FakeOperation[] => {
      const all = this.operations[stream];
      const last = all.findLastIndex(({ id }) => Number(id) <= Number(cursor));
      return all.slice(last + 1, last + 1 + (limit || 1000));
    };
    if (page().length === 0) await this.#hold(response);
    const operations = page();
    json(200, operations.length === 0 ? { cursor } : { operations, cursor: operations.at(-1)!['id'] });
  }

  async #hold(response: http.ServerResponse): Promise<void> {
    const held = Promise.withResolvers<void>();
    const timer = setTimeout(held.resolve, this.longPollMs);
    this.#held.add(held.resolve);
    response.on('close', held.resolve);
    await held.promise;
    clearTimeout(timer);
    this.#held.delete(held.resolve);
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }
}
