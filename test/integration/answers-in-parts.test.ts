/** Large answers over real sockets: in parts, at the speed of their readers, in bounded memory. */
import { once } from 'node:events';
import http from 'node:http';
import http2 from 'node:http2';
import { beforeEach, describe, expect, it } from 'vitest';
import { decodeMessage, encodeMessage } from '../../src/proto/codec.ts';
import type { RouterOptions, RunningRouter } from '../../src/router/router-server.ts';
import { emptyNetwork, FakeNodes, postOf, twoNodeMap } from '../support/fake-nodes.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { startTestRouter } from '../support/test-router.ts';
import { until } from '../support/until.ts';

const recordBytes = 4_000;
const uris = Array.from({ length: 1_000 }, (_unused, index) => postOf(index, 'r'));
/** Of the answer to a request for all of them. */
const answerBytes = uris.length * recordBytes;
const request = encodeMessage('GetPostRecordsRequest', { uris });
const path = '/bsky.Service/GetPostRecords';

let nodes: FakeNodes;
const resources = stopAfterEach();

function fill(bytes: number): void {
  for (const uri of uris) nodes.network.records.set(uri, JSON.stringify({ uri, text: 'x'.repeat(bytes) }));
}

beforeEach(() => {
  nodes = new FakeNodes(twoNodeMap(), emptyNetwork());
  fill(recordBytes);
});

async function start(limits: RouterOptions['limits'] = {}): Promise<RunningRouter> {
  const router = await startTestRouter({ map: nodes.map, caller: nodes }, { http2Port: 0, limits });
  resources.defer(() => router.close());
  return router;
}

const grpc = { 'content-type': 'application/grpc', te: 'trailers' };
const proto = { 'content-type': 'application/proto' };

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Sends a request; the response is not read yet. */
async function ask(port: number, headers: http.OutgoingHttpHeaders, body: Buffer): Promise<http.IncomingMessage> {
  const asking = http.request({ host: '127.0.0.1', port, path, method: 'POST', headers, agent: false });
  asking.on('error', () => {});
  resources.defer(() => asking.destroy());
  asking.end(body);
  const [response] = await once(asking, 'response');
  return response as http.IncomingMessage;
}

async function bodyOf(stream: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function requestStream(router: RunningRouter, headers: http2.OutgoingHttpHeaders, body: Buffer) {
  const session = http2.connect(`http://127.0.0.1:${router.http2Port}`);
  resources.defer(() => session.destroy());
  const stream = session.request({ ':method': 'POST', ':path': path, ...headers });
  stream.end(body);
  return stream;
}

function expectAll(message: Buffer): void {
  const { records } = decodeMessage('GetPostRecordsResponse', message);
  expect(records.map(({ cid }) => cid)).toEqual(uris.map((uri) => `cid of ${uri}`));
  expect(records.every(({ record }) => record.length > recordBytes)).toBe(true);
}

/** Returns the message of a gRPC body, which must be all of it. */
function unframed(body: Buffer): Buffer {
  expect([body[0], body.readUInt32BE(1)]).toEqual([0, body.length - 5]);
  return body.subarray(5);
}

describe('a large answer', () => {
  it('comes whole over every protocol, and takes no memory once it is read', async () => {
    const router = await start();
    const first = await ask(router.port, grpc, framed(request));
    expect(first.headers).toMatchObject({ 'grpc-status': '0', 'transfer-encoding': 'chunked' });
    expectAll(unframed(await bodyOf(first)));
    expectAll(await bodyOf(await ask(router.port, proto, request)));
    const stream = requestStream(router, grpc, framed(request));
    const trailers = once(stream, 'trailers');
    expectAll(unframed(await bodyOf(stream)));
    expect((await trailers)[0]).toMatchObject({ 'grpc-status': '0' });
    expectAll(await bodyOf(requestStream(router, proto, request)));
    await until(() => router.router.preparedBytes === 0);
  });

  it('waits in bounded memory for a client that reads slowly, and for none that has gone', async () => {
    // Two answers and what it takes to prepare one; a third would need as much again.
    const preparedBytesMax = 3.5 * answerBytes;
    const router = await start({ preparedBytesMax, preparedBytesOfCallerMax: 2 * preparedBytesMax });
    const streams: http2.ClientHttp2Stream[] = [];
    for (const _time of [1, 2]) {
      const stream = requestStream(router, proto, request);
      await once(stream, 'response');
      streams.push(stream);
    }
    // Each holds its answer, whatever sockets have taken of it.
    await until(() => router.router.itemsInFlight === 0);
    expect(router.router.preparedBytes).toBeGreaterThan(2 * answerBytes);
    const refused = await ask(router.port, grpc, framed(request));
    expect(refused.headers).toMatchObject({ 'grpc-status': '8' });
    expect(refused.headers['grpc-message']).toContain('preparedBytesMax = 14000000');
    // Small ones are not concerned.
    const few = encodeMessage('GetPostRecordsRequest', { uris: uris.slice(0, 2) });
    expect((await ask(router.port, grpc, framed(few))).headers).toMatchObject({ 'grpc-status': '0' });
    expectAll(await bodyOf(streams[0]!));
    streams[1]!.close();
    await until(() => router.router.preparedBytes === 0);
    expect(router.router.refusedByLimit).toMatchObject({ preparedBytesMax: 1 });
    expectAll(await bodyOf(await ask(router.port, proto, request)));
  });

  it('is released when its HTTP/1.1 client goes away', async () => {
    // More than sockets of this machine take of an answer that nobody reads.
    fill(25 * 1_024);
    const router = await start();
    const gone = await ask(router.port, proto, request);
    await until(() => router.router.itemsInFlight === 0);
    expect(router.router.preparedBytes).toBeGreaterThan(25 * 1_024 * uris.length);
    gone.destroy();
    await until(() => router.router.preparedBytes === 0);
  });

  it('of one caller is refused by name before it is whole, and leaves room for others', async () => {
    const router = await start({ preparedBytesOfCallerMax: answerBytes / 2 });
    const named = { ...grpc, 'x-atlantis-caller': 'greedy' };
    const refused = await ask(router.port, named, framed(request));
    expect(refused.headers['grpc-message']).toContain('preparedBytesOfCallerMax = 2000000');
    expect([router.router.preparedBytes, router.router.itemsInFlight]).toEqual([0, 0]);
    expect(router.router.refusedByLimit).toMatchObject({ preparedBytesOfCallerMax: 1 });
  });

  it('is sent as JSON up to a limit, beyond which the refusal says what to ask for', async () => {
    fill(17 * 1_024);
    const router = await start();
    const refused = await ask(
      router.port,
      { 'content-type': 'application/json' },
      Buffer.from(JSON.stringify({ uris })),
    );
    expect(refused.statusCode).toBe(429);
    expect((await bodyOf(refused)).toString()).toContain('jsonAnswerBytesMax = 16777216; ask for protobuf');
  });
});
