/** The edges over real sockets: gRPC, Connect, operators' endpoints, limits, TLS, and closing. */

import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import http2 from 'node:http2';
import https from 'node:https';
import { connect as connectTcp, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import { type RouterOptions, type RunningRouter, startRouter } from '../../src/router/router-server.ts';
import { didOf, emptyNetwork, FakeNodes, postOf, twoNodeMap } from '../support/fake-nodes.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { noIdentitySource } from '../support/no-identities.ts';
import { selfSignedCertificate } from '../support/self-signed-certificate.ts';
import { until } from '../support/until.ts';

const nodes = new FakeNodes(twoNodeMap(), emptyNetwork());
const faults: Error[] = [];
let running: RunningRouter;

function optionsOf(more: Partial<RouterOptions> = {}): RouterOptions {
  return {
    map: nodes.map,
    caller: nodes,
    identity: noIdentitySource,
    registry: new Registry(),
    host: '127.0.0.1',
    port: 0,
    http2Port: 0,
    adminToken: 'secret',
    limits: { bodyBytesMax: 100_000 },
    onFault: (error) => faults.push(error),
    ...more,
  };
}

type Reply = { readonly status: number; readonly headers: { readonly [name: string]: unknown }; readonly body: Buffer };

/** Sends a request over HTTP/1.1, a list of buffers in chunks. */
function send(
  path: string,
  headers: http.OutgoingHttpHeaders,
  body?: Buffer | readonly Buffer[],
  method = 'POST',
  { port = running.port, agent }: { readonly port?: number; readonly agent?: http.Agent } = {},
): Promise<Reply> {
  return new Promise((resolve, reject) => {
    const request = http.request({ host: '127.0.0.1', port, path, method, headers, agent: agent ?? false });
    request.on('error', reject);
    request.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    if (Array.isArray(body)) for (const chunk of body) request.write(chunk);
    request.end(Buffer.isBuffer(body) ? body : undefined);
  });
}

/** Sends a request over HTTP/2; the reply's headers include trailers. */
async function send2(
  session: http2.ClientHttp2Session,
  path: string,
  headers: http2.OutgoingHttpHeaders,
  body: Buffer,
): Promise<Reply> {
  const stream = session.request({ ':method': 'POST', ':path': path, ...headers });
  const found: { [name: string]: unknown } = {};
  const chunks: Buffer[] = [];
  stream.on('response', (received) => Object.assign(found, received));
  stream.on('trailers', (received) => Object.assign(found, received));
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.end(body);
  await once(stream, 'close');
  return { status: Number(found[':status']), headers: found, body: Buffer.concat(chunks) };
}

function frame(message: Buffer, flag = 0): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

const grpc = { 'content-type': 'application/grpc+proto', te: 'trailers' };
const json = { 'content-type': 'application/json' };
const proto = { 'content-type': 'application/proto' };
const actors = encodeMessage('GetActorsRequest', { dids: [didOf(1), didOf(2)] });

function handlesOf(bytes: Buffer): string[] {
  return decodeMessage('GetActorsResponse', bytes).actors.map(({ handle }) => handle);
}

beforeAll(async () => {
  running = await startRouter(optionsOf());
});

afterAll(async () => {
  await running.close();
  expect(faults).toEqual([]);
});

describe('HTTP/1.1', () => {
  test('gRPC answers a chunked request with a framed message and the status as a header', async () => {
    const whole = frame(actors);
    const reply = await send('/bsky.Service/GetActors', grpc, [
      whole.subarray(0, 3),
      whole.subarray(3, 20),
      whole.subarray(20),
    ]);
    expect(reply).toMatchObject({
      status: 200,
      headers: { 'content-type': 'application/grpc+proto', 'grpc-status': '0' },
    });
    expect(reply.body.readUInt32BE(1)).toBe(reply.body.length - 5);
    expect(handlesOf(reply.body.subarray(5))).toEqual(['aaab.test', 'aaac.test']);
  });

  test('gRPC errors are headers only', async () => {
    const reply = await send('/bsky.Service/Nonsense', grpc, frame(Buffer.alloc(0)));
    expect(reply).toMatchObject({
      status: 200,
      headers: {
        'grpc-status': '12',
        'grpc-message': expect.stringMatching(/^bsky\.Service has no method "Nonsense" \(request /),
      },
    });
    expect(reply.body).toHaveLength(0);
    const odd = await send(
      '/bsky.Service/GetLikeRecords',
      grpc,
      frame(encodeMessage('GetLikeRecordsRequest', { uris: ['é%\n'] })),
    );
    expect(odd.headers['grpc-status']).toBe('3');
    expect(decodeURIComponent(String(odd.headers['grpc-message']))).toContain(
      'GetLikeRecordsRequest.uris[0]: "é%\\n" is malformed',
    );
  });

  test('Connect speaks protobuf and JSON', async () => {
    const binary = await send('/bsky.Service/GetActors', { ...proto, 'connect-protocol-version': '1' }, actors);
    expect(binary).toMatchObject({ status: 200, headers: { 'content-type': 'application/proto' } });
    expect(handlesOf(binary.body)).toEqual(['aaab.test', 'aaac.test']);
    const text = await send(
      '/bsky.Service/GetActors',
      { 'content-type': 'application/json; charset=utf-8' },
      Buffer.from(JSON.stringify({ dids: [didOf(1)] })),
    );
    expect(JSON.parse(text.body.toString())).toEqual({ actors: [{ exists: true, handle: 'aaab.test' }] });
    expect((await send('/bsky.Service/Ping', json)).body.toString()).toBe('{}');
  });

  test.each([
    ['not JSON', 'GetActors', json, Buffer.from('{'), [400, 'invalid_argument']],
    ['malformed bytes', 'GetActors', proto, Buffer.from([10, 200]), [400, 'invalid_argument']],
    ['an unknown method', 'Nonsense', json, Buffer.from('{}'), [501, 'unimplemented']],
    ['an unknown identity', 'GetIdentityByDid', json, Buffer.from('{"did":"did:plc:x"}'), [404, 'not_found']],
    ['a bad timeout', 'Ping', { ...json, 'connect-timeout-ms': '1h' }, Buffer.from('{}'), [400, 'invalid_argument']],
    ['compression', 'Ping', { ...proto, 'content-encoding': 'gzip' }, Buffer.from('x'), [501, 'unimplemented']],
  ] as const)('Connect reports %s', async (_what, method, headers, body, [status, code]) => {
    const reply = await send(`/bsky.Service/${method}`, headers, body);
    expect(reply.status).toBe(status);
    expect(JSON.parse(reply.body.toString())).toMatchObject({ code, message: expect.stringMatching(/./) });
  });

  test.each([
    ['a body without a prefix', Buffer.from([0, 0]), '3'],
    ['a length that lies', Buffer.from([0, 0, 0, 1, 0, 1, 2]), '3'],
    ['two messages', Buffer.concat([frame(actors), frame(actors)]), '3'],
    ['a compressed message', frame(actors, 1), '12'],
    ['a body that is too large', frame(Buffer.alloc(100_001)), '8'],
  ])('gRPC refuses %s', async (_what, body, status) => {
    expect((await send('/bsky.Service/GetActors', grpc, body)).headers['grpc-status']).toBe(status);
  });

  test('a missing node is Unavailable and named', async () => {
    nodes.down.add('n0').add('n1');
    const reply = await send('/bsky.Service/GetActors', grpc, frame(actors));
    const ready = await send('/readyz', {}, undefined, 'GET');
    nodes.down.clear();
    expect(reply.headers['grpc-status']).toBe('14');
    expect(reply.headers['grpc-message']).toMatch(/shard s\d/);
    expect(ready.status).toBe(503);
    expect((await send('/readyz', {}, undefined, 'GET')).status).toBe(200);
  });

  test('a client that disconnects before its answer does no harm', async () => {
    const open = Promise.withResolvers<void>();
    nodes.gate = open.promise;
    const before = nodes.asked.length;
    const socket = connectTcp(running.port, '127.0.0.1');
    socket.write(
      `POST /bsky.Service/GetActors HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/proto\r\ncontent-length: ${actors.length}\r\n\r\n`,
    );
    socket.write(actors);
    await until(() => nodes.asked.length > before);
    socket.destroy();
    await once(socket, 'close');
    open.resolve();
    await until(() => running.router.itemsInFlight === 0);
    expect((await send('/bsky.Service/Ping', json)).status).toBe(200);
  });

  test('a client that disconnects within its body does no harm', async () => {
    const socket = connectTcp(running.port, '127.0.0.1');
    socket.write(
      'POST /bsky.Service/GetActors HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/proto\r\ncontent-length: 1000\r\n\r\nabc',
    );
    socket.end();
    await once(socket, 'close');
    expect((await send('/bsky.Service/Ping', json)).status).toBe(200);
  });

  test('many requests on one connection are answered in order', async () => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const replies = await Promise.all(
      Array.from({ length: 50 }, (_unused, index) => {
        const body = encodeMessage('GetActorsRequest', { dids: [didOf(index)] });
        return new Promise<string[]>((resolve, reject) => {
          const request = http.request({
            host: '127.0.0.1',
            port: running.port,
            path: '/bsky.Service/GetActors',
            method: 'POST',
            headers: proto,
            agent,
          });
          request.on('error', reject);
          request.on('response', async (response) => resolve(handlesOf(Buffer.concat(await response.toArray()))));
          request.end(body);
        });
      }),
    );
    agent.destroy();
    expect(replies).toEqual(Array.from({ length: 50 }, (_unused, index) => [`${didOf(index).slice(-4)}.test`]));
  });
});

describe('arriving bodies', () => {
  test('share a limit, and release their bytes when they end or are aborted', async () => {
    await using other = await startRouter(optionsOf({ limits: { bodyBytesMax: 1000, arrivingBytesMax: 1500 } }));
    const begin = async (): Promise<Socket> => {
      const socket = connectTcp(other.port, '127.0.0.1').setNoDelay();
      socket.write(
        'POST /bsky.Service/Ping HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/proto\r\ncontent-length: 900\r\n\r\n',
      );
      socket.write(Buffer.alloc(800));
      return socket;
    };
    const first = await begin();
    await until(() => other.arrivingBytes() === 800);
    const second = await begin();
    const [answer] = (await once(second, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(/^HTTP\/1\.1 429[\s\S]*the body passes arrivingBytesMax/);
    second.destroy();
    first.destroy();
    await until(() => other.arrivingBytes() === 0);
    const session = http2.connect(`http://127.0.0.1:${other.http2Port}`);
    const stream = session.request({ ':method': 'POST', ':path': '/bsky.Service/Ping', ...proto });
    stream.on('error', () => {});
    stream.write(Buffer.alloc(800));
    await until(() => other.arrivingBytes() === 800);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await until(() => other.arrivingBytes() === 0);
    session.destroy();
  });
});

test('a body that says it is too large is read to its end, so that its client reads the refusal', async () => {
  const large = frame(Buffer.alloc(8_000_000));
  const chunks = Array.from({ length: 80 }, (_unused, index) => large.subarray(index * 100_001, (index + 1) * 100_001));
  const reply = await send('/bsky.Service/GetActors', grpc, chunks);
  expect(reply.headers).toMatchObject({ 'grpc-status': '8' });
  expect(reply.headers['grpc-message']).toContain('the body passes bodyBytesMax');
  expect(running.arrivingBytes()).toBe(0);
});

test('a body over HTTP/2 that says it is too large is refused at its beginning', async () => {
  const session = http2.connect(`http://127.0.0.1:${running.http2Port}`);
  const stream = session.request({ ':method': 'POST', ':path': '/bsky.Service/GetActors', ...grpc });
  stream.on('error', () => {});
  stream.write(frame(Buffer.alloc(8_000_000)).subarray(0, 10));
  const [headers] = await once(stream, 'response');
  expect(headers).toMatchObject({ 'grpc-status': '8' });
  expect(headers['grpc-message']).toContain('the body passes bodyBytesMax');
  session.destroy();
});

test.each([
  ['gRPC', grpc, { ':status': 200, 'grpc-status': '4' }],
  ['Connect', proto, { ':status': 504 }],
])('a body over HTTP/2 that is not complete in time is refused, and its stream ends: %s', async (_name, type, head) => {
  await using other = await startRouter(optionsOf({ limits: { bodyMsMax: 50 } }));
  const session = http2.connect(`http://127.0.0.1:${other.http2Port}`);
  const stream = session.request({ ':method': 'POST', ':path': '/bsky.Service/GetActors', ...type });
  stream.write(frame(actors).subarray(0, 10));
  const [found] = await once(stream, 'response');
  expect(found).toMatchObject(head);
  const answer = Buffer.concat(await stream.toArray()).toString();
  expect(type === grpc ? found['grpc-message'] : answer).toContain('the body passes bodyMsMax');
  await until(() => stream.closed);
  expect([stream.rstCode, other.arrivingBytes()]).toEqual([http2.constants.NGHTTP2_NO_ERROR, 0]);
  session.destroy();
});

describe('operators', () => {
  test('need a token for everything but health', async () => {
    const get = (path: string, headers = {}): Promise<Reply> => send(path, headers, undefined, 'GET');
    expect((await get('/healthz')).body.toString()).toBe('ok\n');
    expect((await get('/metrics')).status).toBe(401);
    expect((await get('/v1/status', { authorization: 'Bearer wrong' })).status).toBe(401);
    const status = await get('/v1/status', { authorization: 'Bearer secret' });
    expect(JSON.parse(status.body.toString())).toMatchObject({
      role: 'router',
      epoch: 1,
      nodes: [{ name: 'n0' }, { name: 'n1' }],
    });
    expect((await get('/metrics', { authorization: 'Bearer secret' })).body.toString()).toMatch(
      /skyshard_request_duration_seconds/,
    );
    expect((await get('/nothing')).status).toBe(404);
  });

  test('have the routes that the options add', async () => {
    const route = { verb: 'post', path: '/v1/echo', answer: async (body: unknown) => ({ got: body }) } as const;
    await using other = await startRouter(optionsOf({ adminToken: null, http2Port: null, routes: [route] }));
    const ask = (body: string): Promise<Response> =>
      fetch(`http://127.0.0.1:${other.port}/v1/echo`, { method: 'POST', body, headers: json });
    const json = { 'content-type': 'application/json' };
    expect(await (await ask('{"a":1}')).json()).toEqual({ got: { a: 1 } });
    expect((await ask('{')).status).toBe(400);
    expect((await ask('x'.repeat(100_001))).status).toBe(429);
    const url = `http://127.0.0.1:${other.port}/v1/echo`;
    const plain = await fetch(url, { method: 'POST', body: '{}' });
    expect([plain.status, await plain.text()]).toEqual([400, expect.stringContaining('application/json')]);
    const page = await fetch(url, { method: 'POST', body: '{}', headers: { ...json, origin: 'https://example.com' } });
    expect(page.status).toBe(403);
  });

  test('get ConfigInvalid for a port that is taken or a host that needs a token', async () => {
    await expect(startRouter(optionsOf({ port: running.port }))).rejects.toMatchObject({ code: 'ConfigInvalid' });
    await expect(startRouter(optionsOf({ http2Port: running.http2Port }))).rejects.toMatchObject({
      code: 'ConfigInvalid',
    });
    await expect(startRouter(optionsOf({ host: '0.0.0.0', adminToken: null }))).rejects.toMatchObject({
      code: 'ConfigInvalid',
    });
  });
});

describe('HTTP/2', () => {
  let session: http2.ClientHttp2Session;

  beforeAll(async () => {
    session = http2.connect(`http://127.0.0.1:${running.http2Port}`);
    await once(session, 'connect');
  });

  afterAll(() => session.destroy());

  test('gRPC answers with trailers, errors in headers only', async () => {
    const reply = await send2(session, '/bsky.Service/GetActors', grpc, frame(actors));
    expect(reply).toMatchObject({ status: 200, headers: { 'grpc-status': '0' } });
    expect(handlesOf(reply.body.subarray(5))).toEqual(['aaab.test', 'aaac.test']);
    const refused = await send2(session, '/bsky.Service/Nonsense', grpc, frame(Buffer.alloc(0)));
    expect(refused).toMatchObject({ status: 200, headers: { 'grpc-status': '12' } });
    expect(refused.body).toHaveLength(0);
  });

  test('Connect is answered, other types and paths are refused', async () => {
    expect(handlesOf((await send2(session, '/bsky.Service/GetActors', proto, actors)).body)).toEqual([
      'aaab.test',
      'aaac.test',
    ]);
    expect(await send2(session, '/bsky.Service/Nonsense', json, Buffer.from('{}'))).toMatchObject({ status: 501 });
    expect(await send2(session, '/elsewhere', json, Buffer.alloc(0))).toMatchObject({ status: 404 });
    expect(await send2(session, '/bsky.Service/Ping', { 'content-type': 'text/plain' }, Buffer.alloc(0))).toMatchObject(
      { status: 415 },
    );
  });

  test('a body that is too large is ResourceExhausted', async () => {
    const reply = await send2(session, '/bsky.Service/GetActors', grpc, frame(Buffer.alloc(200_000)));
    expect(reply.headers['grpc-status']).toBe('8');
  });

  test('hundreds of calls share one connection', async () => {
    const replies = await Promise.all(
      Array.from({ length: 400 }, (_unused, index) =>
        send2(
          session,
          '/bsky.Service/GetPostRecords',
          grpc,
          frame(encodeMessage('GetPostRecordsRequest', { uris: [postOf(index, 'r')] })),
        ),
      ),
    );
    const cids = replies.map(({ body }) => decodeMessage('GetPostRecordsResponse', body.subarray(5)).records[0]!.cid);
    expect(cids).toEqual(Array.from({ length: 400 }, (_unused, index) => `cid of ${postOf(index, 'r')}`));
  });

  test('a stream that is reset and a connection that sends garbage do no harm', async () => {
    const open = Promise.withResolvers<void>();
    nodes.gate = open.promise;
    const before = nodes.asked.length;
    const stream = session.request({ ':method': 'POST', ':path': '/bsky.Service/GetActors', ...grpc });
    stream.on('error', () => {});
    stream.end(frame(actors));
    await until(() => nodes.asked.length > before);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await once(stream, 'close');
    open.resolve();
    await until(() => running.router.itemsInFlight === 0);
    const socket = connectTcp(running.http2Port!, '127.0.0.1');
    socket.on('error', () => {});
    socket.resume().end(Buffer.alloc(5000, 7));
    await once(socket, 'close');
    expect((await send2(session, '/bsky.Service/Ping', proto, Buffer.alloc(0))).status).toBe(200);
  });
});

describe('a request that fails', () => {
  const noted: { message: string; fields: Record<string, unknown> }[] = [];
  let other: RunningRouter;
  let session: http2.ClientHttp2Session;

  beforeAll(async () => {
    other = await startRouter(optionsOf({ note: (message, fields) => noted.push({ message, fields }) }));
    session = http2.connect(`http://127.0.0.1:${other.http2Port}`);
    nodes.down.add('n0').add('n1');
  });

  afterAll(async () => {
    nodes.down.clear();
    session.destroy();
    await other.close();
  });

  const named = { ...grpc, 'x-atlantis-caller': 'appview' };
  const path = '/bsky.Service/GetActors';

  test.each([
    ['gRPC over HTTP/1.1', () => send(path, named, frame(actors), 'POST', other)],
    ['gRPC over HTTP/2', () => send2(session, path, named, frame(actors))],
    ['Connect over HTTP/1.1', () => send(path, { ...named, ...proto }, actors, 'POST', other)],
    ['Connect over HTTP/2', () => send2(session, path, { ...named, ...proto }, actors)],
  ])('has an id in a header and in its message, by which the router notes it: %s', async (_how, ask) => {
    noted.length = 0;
    const { headers, body } = await ask();
    const id = String(headers['x-request-id']);
    expect(id).toMatch(/^[\w-]{8}\.[a-z\d]+$/);
    const message = headers['grpc-message'] ?? JSON.parse(body.toString()).message;
    expect(message).toMatch(/connection refused/);
    expect(message.endsWith(`(request ${id})`)).toBe(true);
    expect(noted).toEqual([
      {
        message: expect.stringMatching(/^GetActors failed: Unavailable: shard/),
        fields: { request: id, caller: 'appview' },
      },
    ]);
  });

  test('by a mistake of its caller is not noted, but has an id too', async () => {
    noted.length = 0;
    const { headers } = await send('/bsky.Service/Nonsense', grpc, frame(Buffer.alloc(0)), 'POST', other);
    expect(headers['x-request-id']).toMatch(/./);
    expect(noted).toEqual([]);
  });
});

describe('a router that stops', () => {
  test('is not ready first, tells connections to go, and answers meanwhile', async () => {
    const clock = new ManualClock();
    const other = await startRouter(optionsOf({ drainMs: 5_000, clock }));
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const to = { port: other.port, agent };
    const get = (path: string) => send(path, {}, undefined, 'GET', to);
    const ask = () => send('/bsky.Service/GetActors', proto, actors, 'POST', to);
    const session = http2.connect(`http://127.0.0.1:${other.http2Port}`);
    expect((await get('/readyz')).status).toBe(200);
    expect((await ask()).headers['connection']).not.toBe('close');
    expect((await send2(session, '/bsky.Service/GetActors', proto, actors)).status).toBe(200);
    const goAway = once(session, 'goaway');
    const closing = other.close();
    expect((await get('/readyz')).status).toBe(503);
    await goAway;
    const last = await ask();
    expect(last).toMatchObject({ status: 200, headers: { connection: 'close' } });
    expect(handlesOf(last.body)).toEqual(['aaab.test', 'aaac.test']);
    // A client that has not noticed yet may connect again.
    const late = http2.connect(`http://127.0.0.1:${other.http2Port}`);
    expect((await send2(late, '/bsky.Service/GetActors', proto, actors)).status).toBe(200);
    while (!(await Promise.race([closing.then(() => true), nextTurn(false)]))) clock.advance(5_000);
    await expect(get('/readyz')).rejects.toThrow();
    agent.destroy();
  });
});

describe('requests in flight when a router drains', () => {
  test('end on both edges, and their connections after them', async () => {
    const clock = new ManualClock();
    const open = Promise.withResolvers<void>();
    nodes.gate = open.promise;
    const other = await startRouter(optionsOf({ drainMs: 5_000, clock }));
    const patient = { ...proto, 'connect-timeout-ms': '30000' };
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const session = http2.connect(`http://127.0.0.1:${other.http2Port}`);
    const path = '/bsky.Service/GetActors';
    const replies = [
      send(path, patient, actors, 'POST', { port: other.port, agent }),
      send2(session, path, patient, actors),
    ];
    await until(() => other.router.itemsInFlight === 6);
    const goAway = once(session, 'goaway');
    const closed = once(session, 'close');
    const closing = other.close();
    await goAway;
    nodes.gate = Promise.resolve();
    open.resolve();
    const [first, second] = await Promise.all(replies);
    expect(first).toMatchObject({ status: 200, headers: { connection: 'close' } });
    expect(second).toMatchObject({ status: 200 });
    expect([first!.body, second!.body].map(handlesOf)).toEqual(Array(2).fill(['aaab.test', 'aaac.test']));
    await closed;
    while (!(await Promise.race([closing.then(() => true), nextTurn(false)]))) clock.advance(5_000);
    agent.destroy();
  });
});

describe('closing', () => {
  test('lets requests in flight end and accepts no more', async () => {
    const open = Promise.withResolvers<void>();
    nodes.gate = open.promise;
    const other = await startRouter(optionsOf());
    // Requests with a timeout are not coalesced.
    const patient = { ...proto, 'connect-timeout-ms': '30000' };
    const session = http2.connect(`http://127.0.0.1:${other.http2Port}`);
    const first = fetch(`http://127.0.0.1:${other.port}/bsky.Service/GetActors`, {
      method: 'POST',
      headers: patient,
      body: actors,
    });
    const second = send2(session, '/bsky.Service/GetActors', patient, actors);
    await until(() => other.router.itemsInFlight === 6);
    const closing = other.close();
    await expect(fetch(`http://127.0.0.1:${other.port}/healthz`)).rejects.toThrow();
    open.resolve();
    expect(handlesOf(Buffer.from(await (await first).arrayBuffer()))).toEqual(['aaab.test', 'aaac.test']);
    expect(handlesOf((await second).body)).toEqual(['aaab.test', 'aaac.test']);
    await closing;
    expect(session.destroyed || session.closed).toBe(true);
  });

  test('writes all answers of a session to their ends', async () => {
    const open = Promise.withResolvers<void>();
    nodes.gate = open.promise;
    const other = await startRouter(optionsOf());
    const session = http2.connect(`http://127.0.0.1:${other.http2Port}`);
    const uris = Array.from({ length: 1000 }, (_unused, index) => postOf(index, 'r'));
    const request = encodeMessage('GetPostRecordsRequest', { uris });
    const patient = { ...proto, 'connect-timeout-ms': '30000' };
    const asked = Array.from({ length: 20 }, () => send2(session, '/bsky.Service/GetPostRecords', patient, request));
    await until(() => other.router.itemsInFlight >= asked.length * uris.length);
    const closing = other.close();
    open.resolve();
    for (const { body } of await Promise.all(asked))
      expect(decodeMessage('GetPostRecordsResponse', body).records).toHaveLength(uris.length);
    await closing;
  });

  test('does not wait longer than the grace period', async () => {
    nodes.gate = new Promise(() => {});
    const other = await startRouter(optionsOf({ http2Port: null }));
    const lost = fetch(`http://127.0.0.1:${other.port}/bsky.Service/GetActors`, {
      method: 'POST',
      headers: proto,
      body: actors,
    });
    const ended = expect(lost).rejects.toThrow();
    await until(() => other.router.itemsInFlight > 0);
    await other.close(50);
    await ended;
    nodes.gate = Promise.resolve();
  });
});

describe('TLS', () => {
  test('is used by both edges if the map names its files', async () => {
    const { certificate, key } = selfSignedCertificate();
    const folder = mkdtempSync(join(tmpdir(), 'router-edges-'));
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    writeFileSync(certFile, certificate);
    writeFileSync(keyFile, key);
    const map = { ...nodes.map, tls: { certFile, keyFile } };
    await using other = await startRouter(optionsOf({ map }));
    const session = http2.connect(`https://localhost:${other.http2Port}`, { rejectUnauthorized: false });
    expect((await send2(session, '/bsky.Service/Ping', proto, Buffer.alloc(0))).status).toBe(200);
    session.destroy();
    const status = await new Promise<number>((resolve, reject) => {
      const request = https.get(
        { host: '127.0.0.1', port: other.port, path: '/healthz', rejectUnauthorized: false, agent: false },
        (response) => {
          response.resume();
          resolve(response.statusCode!);
        },
      );
      request.on('error', reject);
    });
    rmSync(folder, { recursive: true });
    expect(status).toBe(200);
  });

  test('with files that do not load is ConfigInvalid', async () => {
    const map = { ...nodes.map, tls: { certFile: '/nowhere/c', keyFile: '/nowhere/k' } };
    await expect(startRouter(optionsOf({ map }))).rejects.toMatchObject({ code: 'ConfigInvalid' });
  });
});
