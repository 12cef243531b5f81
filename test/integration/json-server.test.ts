/** The HTTP server of node, router and ingest: bodies and their limits, exclusive ports, TLS. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as v from 'valibot';
import { describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { systemClock } from '../../src/base/clock.ts';
import { InvariantError } from '../../src/base/invariant.ts';
import { objectShape, recordShape, textShape, wholeNumberShape } from '../../src/config/json-shape.ts';
import { ByteShares } from '../../src/http/byte-shares.ts';
import { getRoute, type JsonRoute, postRoute } from '../../src/http/json-route.ts';
import {
  bodyBytesMaxDefault,
  type JsonServerOptions,
  type ListeningServer,
  startJsonServer,
} from '../../src/http/json-server.ts';
import { wireSubprotocol } from '../../src/wire/frame.ts';
import { WireServer } from '../../src/wire/wire-server.ts';
import { IngestHarness } from '../support/ingest-harness.ts';
import { selfSignedCertificate } from '../support/self-signed-certificate.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { unhandledRejectionOf } from '../support/unhandled-rejection.ts';
import { until } from '../support/until.ts';

const resources = stopAfterEach();

const shape = objectShape({
  name: textShape,
  counts: v.optional(recordShape(v.string(), wholeNumberShape(0, 9))),
  inner: v.optional(v.array(objectShape({ at: wholeNumberShape(1, 3) }))),
});

const mirrorRoute: JsonRoute = { verb: 'post', path: '/v1/mirror', answer: async (body) => ({ body }) };

async function start(options: Partial<JsonServerOptions> = {}): Promise<ListeningServer> {
  const server = await startJsonServer({
    host: '127.0.0.1',
    port: 0,
    tls: null,
    tokens: [null],
    isReady: () => true,
    metricsText: () => 'metrics\n',
    routes: [postRoute('/v1/take', shape, (body) => ({ body })), getRoute('/v1/show', (query) => [...query])],
    ...options,
  });
  resources.defer(() => server.close());
  return server;
}

async function post(port: number, body: unknown): Promise<{ status: number; json: Record<string, unknown> }> {
  const headers = { 'content-type': 'application/json' };
  const init = { method: 'POST', headers, body: JSON.stringify(body) };
  const response = await fetch(`http://127.0.0.1:${port}/v1/take`, init);
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

describe('the body of a POST', () => {
  it('reaches its route if it has the right shape, and a GET gets its query', async () => {
    const { port } = await start();
    const body = { name: 'a', counts: { x: 1 }, inner: [{ at: 2 }] };
    expect(await post(port, body)).toEqual({ status: 200, json: { body } });
    const shown = await fetch(`http://127.0.0.1:${port}/v1/show?a=1&b=%20`);
    expect(await shown.text()).toBe('[["a","1"],["b"," "]]\n');
  });

  it.each([
    [[], 'top level: must be an object'],
    [{}, 'name: must be a text that is not empty'],
    [{ nmae: 'a' }, 'top level: unknown key "nmae" (known: name, counts, inner)'],
    [{ name: 'a', counts: [] }, 'counts: must be an object'],
    [{ name: 'a', counts: { x: -1 } }, 'counts.x: must be a whole number from 0 to 9'],
    [{ name: 'a', inner: [{ at: 1 }, {}] }, 'inner[1].at: must be a whole number from 1 to 3'],
    [{ name: 'a', inner: [{ at: 1, on: 1 }] }, 'inner[0]: unknown key "on" (known: at)'],
  ])('that is %j is refused with the path of the problem', async (body, message) => {
    const { port } = await start();
    expect(await post(port, body)).toMatchObject({ status: 400, json: { error: 'InvalidArgument', message } });
  });

  it('must be JSON by its type and its bytes, within bodyBytesMax; none is an empty object', async () => {
    const { port } = await start({ routes: [mirrorRoute] });
    const headers = { 'content-type': 'application/json' };
    const mirror = (init: RequestInit): Promise<Response> =>
      fetch(`http://127.0.0.1:${port}/v1/mirror`, { method: 'POST', ...init });
    expect(await (await mirror({ headers, body: '{"a":[1]}' })).json()).toEqual({ body: { a: [1] } });
    expect(await (await mirror({ headers, body: '' })).json()).toEqual({ body: {} });
    expect((await mirror({ headers, body: '{"a"' })).status).toBe(400);
    expect((await mirror({ body: '{}' })).status).toBe(400);
    expect((await mirror({ headers, body: ' '.repeat(bodyBytesMaxDefault + 1) })).status).toBe(429);
  });

  it('releases its budget if its client disconnects', async () => {
    const budget = new ByteShares(1000, 'arrivingBytesMax' as const);
    const { port } = await start({ routes: [mirrorRoute], limits: { budget } });
    const sending = connectTcp(port, '127.0.0.1');
    const head = 'POST /v1/mirror HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n';
    sending.write(`${head}content-length: 100\r\n\r\nhalf`);
    await until(() => budget.bytes > 0);
    sending.destroy();
    await until(() => budget.bytes === 0);
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
  });

  it('that is not complete in time is refused, and releases its budget', async () => {
    const budget = new ByteShares(1000, 'arrivingBytesMax' as const);
    const { port } = await start({ limits: { bodyMsMax: 50, budget } });
    const socket = connectTcp(port, '127.0.0.1').setNoDelay();
    const head =
      'POST /v1/take HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n';
    socket.write(`${head}{"name":`);
    const [answer] = (await once(socket, 'data')) as [Buffer];
    expect(answer.toString()).toMatch(
      /^HTTP\/1\.1 504 [\s\S]*"DeadlineExceeded","message":"the body passes bodyMsMax"/,
    );
    expect(budget.bytes).toBe(0);
    socket.destroy();
  });
});

it('WebSockets do not count as HTTP connections, open or closed', async () => {
  const wire = new WireServer({
    handlers: new Map(),
    epoch: () => 1,
    clusterToken: null,
    clock: systemClock,
    onFault: (error) => {
      throw error;
    },
  });
  const { port } = await start({
    limits: { httpConnectionsMax: 1 },
    attach: ({ app, connections }) => wire.attachTo(app, { onUpgraded: () => connections.upgraded() }),
  });
  const open = async (): Promise<WebSocket> => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/wire`, wireSubprotocol);
    resources.defer(() => socket.terminate());
    await once(socket, 'open');
    return socket;
  };
  await open();
  for (let count = 0; count < 3; count++) {
    const socket = await open();
    socket.close();
    await once(socket, 'close');
  }
  await until(() => wire.snapshot.connections === 1);
  expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
});

describe('readiness', () => {
  const statusOf = async (error: Error): Promise<number> => {
    const { port } = await start({ isReady: () => Promise.reject(error) });
    return (await fetch(`http://127.0.0.1:${port}/readyz`)).status;
  };

  it('is denied while it cannot be found out', async () => {
    expect(await statusOf(new Error('a test'))).toBe(503);
  });

  it('passes a broken invariant on to main', async () => {
    const broken = new InvariantError('broken invariant: a test');
    expect(await unhandledRejectionOf(async () => expect(await statusOf(broken)).toBe(500))).toBe(broken);
  });
});

describe('ingest', () => {
  async function startIngest(): Promise<IngestHarness> {
    const harness = await IngestHarness.create();
    resources.defer(() => harness.close());
    return harness;
  }

  it('shares its port with no other process', async () => {
    const { port } = await start();
    const harness = await startIngest();
    await expect(harness.start({ port })).rejects.toMatchObject({ code: 'ConfigInvalid', message: /taken/ });
  });

  it('serves TLS if it has the files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'skyshard-ingest-tls-'));
    resources.defer(() => rmSync(folder, { recursive: true }));
    const tls = { certFile: join(folder, 'cert.pem'), keyFile: join(folder, 'key.pem') };
    const { certificate, key } = selfSignedCertificate();
    writeFileSync(tls.certFile, certificate);
    writeFileSync(tls.keyFile, key);
    const harness = await startIngest();
    await harness.start({ tls });
    const options = { host: '127.0.0.1', port: harness.ingest.port, path: '/readyz', ca: certificate, agent: false };
    const request = https.get({ ...options, checkServerIdentity: () => undefined });
    const [response] = await once(request, 'response');
    expect(response.statusCode).toBe(200);
    expect(Buffer.concat(await response.toArray()).toString()).toBe('ok\n');
  });
});
