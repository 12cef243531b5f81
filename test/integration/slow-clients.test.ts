/** Clients that are slow, silent, or too many take a bounded share, and only their own. */
import { once } from 'node:events';
import http2 from 'node:http2';
import { connect as connectTcp, type Socket } from 'node:net';
import { describe, expect, it } from 'vitest';
import { encodeMessage } from '../../src/proto/codec.ts';
import type { RouterOptions, RunningRouter } from '../../src/router/router-server.ts';
import { didOf, emptyNetwork, FakeNodes, twoNodeMap } from '../support/fake-nodes.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { startTestRouter } from '../support/test-router.ts';
import { until } from '../support/until.ts';

const nodes = new FakeNodes(twoNodeMap(), emptyNetwork());
const resources = stopAfterEach();

async function start(limits: RouterOptions['limits']): Promise<RunningRouter> {
  const router = await startTestRouter({ map: nodes.map, caller: nodes }, { http2Port: 0, limits: limits ?? {} });
  resources.defer(() => router.close());
  return router;
}

const proto = { 'content-type': 'application/proto' };
const call = { ':method': 'POST', ':path': '/bsky.Service/Ping', ...proto };

function connect(router: RunningRouter): http2.ClientHttp2Session {
  const session = http2.connect(`http://127.0.0.1:${router.http2Port}`);
  session.on('error', () => {});
  resources.defer(() => session.destroy());
  return session;
}

/** Opens a stream whose body is not complete. */
function beginBody(session: http2.ClientHttp2Session, bytes: number, headers = {}): http2.ClientHttp2Stream {
  const stream = session.request({ ...call, ...headers });
  stream.on('error', () => {});
  if (bytes > 0) stream.write(Buffer.alloc(bytes));
  return stream;
}

async function statusOf(stream: http2.ClientHttp2Stream): Promise<number> {
  const [headers] = await once(stream, 'response');
  return Number(headers[':status']);
}

/** A frame of HTTP/2 (RFC 9113, 4.1). */
function frame(type: number, flags: number, stream: number, payload = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** The frames of a call without its end, and of its cancellation. */
function askedAndGivenUp(stream: number, code: number): Buffer {
  const text = (value: string): Buffer => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
  const headers = Object.entries({ ':scheme': 'http', ':authority': '127.0.0.1', ...call });
  const block = headers.map(([name, value]) => Buffer.concat([Buffer.from([0]), text(name), text(value)]));
  return Buffer.concat([
    frame(1, 4, stream, Buffer.concat(block)),
    frame(0, 0, stream, Buffer.alloc(0)),
    frame(3, 0, stream, Buffer.from([0, 0, 0, code])),
  ]);
}

/** Keeps what nobody catches from ending the process. Returns a function that returns it. */
function collectUncaught(): () => readonly unknown[] {
  const errors: unknown[] = [];
  const listeners = process.listeners('uncaughtException');
  process.removeAllListeners('uncaughtException');
  process.on('uncaughtException', (error) => errors.push(error));
  resources.defer(() => {
    process.removeAllListeners('uncaughtException');
    for (const listener of listeners) process.on('uncaughtException', listener);
  });
  return () => errors;
}

async function pingStatus(router: RunningRouter): Promise<number> {
  const url = `http://127.0.0.1:${router.port}/bsky.Service/Ping`;
  return (await fetch(url, { method: 'POST', headers: proto, body: new Uint8Array(100) })).status;
}

describe('unfinished bodies over HTTP/2', () => {
  const sizes = { bodyBytesMax: 1000, arrivingBytesMax: 8000 };

  it('of one connection leave room for the requests of all others', async () => {
    const router = await start({ ...sizes, arrivingBytesOfConnectionMax: 2000 });
    const greedy = connect(router);
    const streams = Array.from({ length: 20 }, () => beginBody(greedy, 900));
    const statuses = await Promise.all(streams.slice(2).map(statusOf));
    expect(new Set(statuses)).toEqual(new Set([429]));
    expect(router.arrivingBytes()).toBe(1800);
    expect(await pingStatus(router)).not.toBe(429);
    expect(await statusOf(connect(router).request(call, { endStream: true }))).toBe(200);
  });

  it('of one caller, on many connections, leave room for other callers', async () => {
    const router = await start({ ...sizes, arrivingBytesOfCallerMax: 2000 });
    const greedy = { 'x-atlantis-caller': 'greedy' };
    const streams = Array.from({ length: 5 }, () => beginBody(connect(router), 900, greedy));
    const statuses = streams.map((stream) => statusOf(stream).catch(() => 0));
    await until(() => router.arrivingBytes() === 1800);
    const refused = await Promise.race(statuses);
    expect(refused).toBe(429);
    expect(await pingStatus(router)).not.toBe(429);
    for (const stream of streams) stream.close();
    await until(() => router.arrivingBytes() === 0);
    expect(await statusOf(beginBody(connect(router), 100, greedy).end())).not.toBe(429);
  });

  it('that never begin are refused in time, like those that never end', async () => {
    const router = await start({ bodyMsMax: 50 });
    const stream = beginBody(connect(router), 0);
    expect(await statusOf(stream)).toBe(504);
    await until(() => stream.closed);
  });
});

describe('an HTTP/2 connection', () => {
  it('that opens no stream is ended', async () => {
    const router = await start({ firstStreamMsMax: 1 });
    const silent = connectTcp(router.http2Port!, '127.0.0.1').resume();
    await once(silent, 'close');
    const session = connect(router);
    await once(session, 'close');
  });

  it('that has been idle is closed, once its streams have ended', async () => {
    const router = await start({ idleMsMax: 50 });
    const session = connect(router);
    expect(await statusOf(session.request(call, { endStream: true }))).toBe(200);
    await once(session, 'close');
    expect(await statusOf(connect(router).request(call, { endStream: true }))).toBe(200);
  });

  it('has streams of bounded number and time', async () => {
    const router = await start({ streamsMax: 3, streamMsMax: 200 });
    const session = connect(router);
    const streams = Array.from({ length: 3 }, () => beginBody(session, 10));
    await until(() => router.arrivingBytes() === 30);
    const refused = session.request(call, { endStream: true });
    const [error] = (await once(refused, 'error')) as [Error];
    expect(error.message).toContain('NGHTTP2_REFUSED_STREAM');
    await until(() => streams.every(({ closed }) => closed));
    expect(await statusOf(session.request(call, { endStream: true }))).toBe(200);
  });

  it('that does not read its answers is refused more, and answered again once it has read', async () => {
    const router = await start({ unreadBytesOfConnectionMax: 10_000 });
    const session = http2.connect(`http://127.0.0.1:${router.http2Port}`, { settings: { initialWindowSize: 10 } });
    resources.defer(() => session.destroy());
    const dids = Array.from({ length: 4_000 }, (_unused, number) => didOf(number));
    const large = { ...call, ':path': '/bsky.Service/GetActors' };
    const stream = session.request(large);
    stream.end(encodeMessage('GetActorsRequest', { dids }));
    expect(await statusOf(stream)).toBe(200);
    const refused = session.request(call, { endStream: true });
    expect(await statusOf(refused)).toBe(429);
    expect(await statusOf(connect(router).request(call, { endStream: true }))).toBe(200);
    session.settings({ initialWindowSize: 1_000_000 });
    await stream.resume().toArray();
    await until(async () => (await statusOf(session.request(call, { endStream: true }))) === 200);
  });

  it.each([
    ['NO_ERROR', http2.constants.NGHTTP2_NO_ERROR],
    ['CANCEL', http2.constants.NGHTTP2_CANCEL],
  ])('that gives streams up by %s before their ends is not answered, and disturbs nobody', async (_name, code) => {
    const router = await start({});
    const uncaught = collectUncaught();
    const hasty = connectTcp(router.http2Port!, '127.0.0.1');
    resources.defer(() => hasty.destroy());
    const streams = Array.from({ length: 100 }, (_unused, index) => askedAndGivenUp(2 * index + 1, code));
    const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    const ping = frame(6, 0, 0, Buffer.from('ping 123'));
    hasty.write(Buffer.concat([preface, frame(4, 0, 0), ...streams, ping]));
    for await (const bytes of hasty) if (bytes.includes('ping 123')) break;
    expect(await statusOf(connect(router).request(call, { endStream: true }))).toBe(200);
    expect(uncaught()).toEqual([]);
    const metrics = await (await fetch(`http://127.0.0.1:${router.port}/metrics`)).text();
    expect(metrics).toMatch(/^skyshard_request_duration_seconds_count\{.*method="Ping".*\} 1$/m);
    expect(router.arrivingBytes()).toBe(0);
  });

  it('sends heads of bounded size', async () => {
    const router = await start({});
    const large = { ...call, 'x-large': 'x'.repeat(17_000) };
    expect(await statusOf(connect(router).request(large, { endStream: true }))).toBe(431);
    const names = Array.from({ length: 100 }, (_unused, index) => [`x-${index}`, 'x']);
    const many = connect(router).request({ ...call, ...Object.fromEntries(names) }, { endStream: true });
    const [error] = (await once(many, 'error')) as [Error];
    expect(error.message).toContain('NGHTTP2_ENHANCE_YOUR_CALM');
    expect(await statusOf(connect(router).request(call, { endStream: true }))).toBe(200);
  });
});

describe('HTTP/1.1 connections', () => {
  it('that are silent, or whose head or body comes too slowly, are ended', async () => {
    const router = await start({});
    const dripping = (first: string): Socket => {
      const socket = connectTcp(router.port, '127.0.0.1').resume();
      socket.on('error', () => {});
      socket.write(first);
      const timer = setInterval(() => socket.write('a'), 1000);
      socket.on('close', () => clearInterval(timer));
      return socket;
    };
    const head = 'POST /bsky.Service/Ping HTTP/1.1\r\nhost: 127.0.0.1\r\n';
    const slow = [
      connectTcp(router.port, '127.0.0.1').resume(),
      dripping(`${head}x-slow: `),
      dripping(`${head}content-type: application/proto\r\ncontent-length: 100000\r\n\r\n`),
    ];
    await Promise.all(slow.map((socket) => once(socket, 'close')));
    await until(() => router.arrivingBytes() === 0);
  });

  it('above their limit are refused', async () => {
    const router = await start({ httpConnectionsMax: 2 });
    const open = Array.from({ length: 2 }, () => connectTcp(router.port, '127.0.0.1'));
    await Promise.all(open.map((socket) => once(socket, 'connect')));
    for (const socket of open) socket.write('POST /bsky.Service/Ping HTTP/1.1\r\nhost: 127.0.0.1\r\n');
    const third = connectTcp(router.port, '127.0.0.1').resume();
    third.on('error', () => {});
    await once(third, 'close');
    for (const socket of open) socket.destroy();
    await until(() =>
      pingStatus(router).then(
        (status) => status === 200,
        () => false,
      ),
    );
  });
});
