/** A web page reaches no data over any listener: WebSockets, HTTP/1.1 and HTTP/2. */
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { encodeMessage } from '../../src/proto/codec.ts';
import { type RunningRouter, startRouter } from '../../src/router/router-server.ts';
import { wireSubprotocol } from '../../src/wire/frame.ts';
import { didOf, emptyNetwork, FakeNodes, twoNodeMap } from '../support/fake-nodes.ts';
import { type LoneNode, startLoneNode } from '../support/lone-node.ts';
import { noIdentitySource } from '../support/no-identities.ts';

type Headers = Readonly<Record<string, string>>;

const evil = { origin: 'https://evil.example' };
const rebound = { host: 'evil.example:7400' };
const takedown = encodeMessage('TakedownActorRequest', { did: didOf(1), ref: 'web page' });

let node: LoneNode;
let router: RunningRouter;
const nodes = new FakeNodes(twoNodeMap(), emptyNetwork());

async function startTestRouter(allowedHosts: readonly string[]): Promise<RunningRouter> {
  return startRouter({
    map: nodes.map,
    caller: nodes,
    identity: noIdentitySource,
    registry: new Registry(),
    host: '127.0.0.1',
    allowedHosts,
    port: 0,
    http2Port: 0,
    adminToken: null,
    onFault: (error) => {
      throw error;
    },
  });
}

beforeAll(async () => {
  node = await startLoneNode({ slots: 1, applyThreads: 1 });
  router = await startTestRouter([]);
});

afterAll(async () => {
  await router.close();
  await node[Symbol.asyncDispose]();
});

/** Returns the status of a handshake at the node's `/wire`. */
async function handshake(headers: Headers): Promise<number> {
  const { port } = node.map.nodes.get('n0')!;
  const socket = new WebSocket(`ws://127.0.0.1:${port}/wire`, wireSubprotocol, { headers });
  socket.on('error', () => {});
  const status = await Promise.race([
    once(socket, 'open').then(() => 101),
    once(socket, 'unexpected-response').then(([, response]) => (response as http.IncomingMessage).statusCode!),
  ]);
  socket.terminate();
  return status;
}

async function post(port: number, path: string, headers: Headers, body: Buffer | string): Promise<number> {
  const request = http.request({ host: '127.0.0.1', port, path, method: 'POST', headers, agent: false });
  request.end(body);
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.resume();
  return response.statusCode!;
}

async function post2(port: number, headers: Headers, body: Buffer): Promise<number> {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const { host, ...others } = headers;
  const stream = session.request({
    ':method': 'POST',
    ':path': '/bsky.Service/TakedownActor',
    ...(host === undefined ? {} : { ':authority': host }),
    ...others,
  });
  stream.end(body);
  const [found] = await once(stream, 'response');
  session.destroy();
  return Number(found[':status']);
}

const proto = { 'content-type': 'application/proto' };
const json = { 'content-type': 'application/json' };

describe('a web page', () => {
  it('opens no wire to a node, by its origin or by a name that it points here', async () => {
    expect(await handshake(evil)).toBe(403);
    expect(await handshake({ host: 'evil.example:7410' })).toBe(403);
    expect(await handshake({ host: 'localhost:7410' })).toBe(101);
  });

  it.each([evil, { ...rebound, origin: 'http://evil.example:7400' }, rebound])(
    'writes nothing by bsky.Service with %j',
    async (page) => {
      const path = '/bsky.Service/TakedownActor';
      expect(await post(router.port, path, { ...proto, ...page }, takedown)).toBe(403);
      expect(await post2(router.http2Port!, { ...proto, ...page }, takedown)).toBe(403);
      expect(nodes.writes).toEqual([]);
    },
  );

  it.each([evil, rebound])("asks nothing of operators' endpoints with %j", async (page) => {
    expect(await post(router.port, '/v1/settle', { ...json, ...page }, '{}')).toBe(403);
    const metrics = http.get({ host: '127.0.0.1', port: router.port, path: '/metrics', headers: page, agent: false });
    const [response] = (await once(metrics, 'response')) as [http.IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(403);
  });

  it('asks for health as a load balancer does, by any name', async () => {
    const request = http.get({
      host: '127.0.0.1',
      port: router.port,
      path: '/healthz',
      headers: rebound,
      agent: false,
    });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    response.resume();
    expect(response.statusCode).toBe(200);
  });
});

it('a proxy that keeps the host of its clients is answered once that name is allowed', async () => {
  await using other = await startTestRouter(['appview.example']);
  const proxied = { ...proto, host: 'appview.example' };
  expect(await post(other.port, '/bsky.Service/Ping', proxied, Buffer.alloc(0))).toBe(200);
  expect(await post2(other.http2Port!, proxied, takedown)).toBe(200);
  expect(await post(other.port, '/bsky.Service/Ping', { ...proto, ...rebound }, Buffer.alloc(0))).toBe(403);
});
