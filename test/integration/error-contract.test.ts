/** An error keeps its code and its hint from any of our processes to any other, and to the CLI. */

import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { DataPlaneError, type ErrorCode, errorTable } from '../../src/base/data-plane-error.ts';
import { adminRequest } from '../../src/cli/admin-request.ts';
import { callService } from '../../src/cli/service-call.ts';
import { getRoute } from '../../src/http/json-route.ts';
import { encodeOutcomes } from '../../src/log/chunk.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { startNodeServer } from '../../src/node/node-server.ts';
import type { RouterOptions, RunningRouter } from '../../src/router/router-server.ts';
import type { ShardMap } from '../../src/shardmap/shard-map.ts';
import type { CallHandler } from '../../src/wire/node-caller.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import { didOf, emptyNetwork, FakeNodes, twoNodeMap } from '../support/fake-nodes.ts';
import { IngestHarness } from '../support/ingest-harness.ts';
import { runCommand } from '../support/running-cluster.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { startTestRouter } from '../support/test-router.ts';
import { mapOfPorts } from '../support/wire-node.ts';

const codes = Object.keys(errorTable) as ErrorCode[];
const timeoutMs = 10_000;
const noDataDir = join(tmpdir(), 'skyshard-error-contract-nowhere');

const resources = stopAfterEach();

/** An error as it should arrive. */
type Raised = { readonly code: ErrorCode; readonly hint: string; readonly message: string };

function raised(code: ErrorCode, hint: string): Raised {
  return { code, hint, message: `the message of ${code}` };
}

function throwIt({ code, hint, message }: Raised): never {
  throw new DataPlaneError(code, message, { hint });
}

/** Starts a node's socket whose status and calls raise the error. */
async function startNodeThatRaises(error: Raised): Promise<number> {
  const raise: CallHandler = () => throwIt(error);
  const serving = await startNodeServer({
    host: '127.0.0.1',
    port: 0,
    tls: null,
    clusterToken: null,
    adminToken: null,
    handlers: new Map([
      ['bsky.GetActors', raise],
      ['slot.append', () => encodeOutcomes([{ status: 'refused', code: error.code, message: error.message }])],
    ]),
    epoch: () => 1,
    isReady: () => true,
    status: async () => throwIt(error),
    registry: new Registry(),
    onFault: (fault) => {
      throw fault;
    },
  });
  resources.defer(() => serving.close(100));
  return serving.port;
}

function clientOf(port: number): { readonly map: ShardMap; readonly caller: NodeClient } {
  const map = mapOfPorts([port]);
  const caller = new NodeClient({ map });
  resources.defer(() => caller[Symbol.asyncDispose]());
  return { map, caller };
}

async function startWithUrl(more: Partial<RouterOptions> = {}): Promise<RunningRouter & { readonly url: string }> {
  const nodes = new FakeNodes(twoNodeMap(), emptyNetwork());
  const router = await startTestRouter({ map: nodes.map, caller: nodes }, more);
  resources.defer(() => router.close(100));
  return { ...router, url: `http://127.0.0.1:${router.port}` };
}

async function startTestIngest(): Promise<{ readonly harness: IngestHarness; readonly url: string }> {
  const harness = await IngestHarness.create();
  resources.defer(() => harness.close());
  await harness.start();
  return { harness, url: `http://127.0.0.1:${harness.ingest.port}` };
}

function ask(url: string, path: string, body?: unknown): Promise<unknown> {
  return adminRequest({ url, path, body, token: null, timeoutMs });
}

describe('the error that arrives is the one that was raised:', () => {
  it.each(codes)('%s, from a node to the CLI', async (code) => {
    const error = raised(code, 'a hint of its own');
    const port = await startNodeThatRaises(error);
    await expect(ask(`http://127.0.0.1:${port}`, '/v1/status')).rejects.toMatchObject(error);
  });

  it.each(codes)("%s, from a router's own endpoint to the CLI", async (code) => {
    const error = raised(code, 'a hint of its own');
    const { url } = await startWithUrl({ routes: [getRoute('/v1/raise', () => throwIt(error))] });
    await expect(ask(url, '/v1/raise')).rejects.toMatchObject(error);
  });

  it.each(codes)('%s, from a node over the wire to its caller: a router, ingest or another node', async (code) => {
    const error = raised(code, 'a hint of its own');
    const { caller } = clientOf(await startNodeThatRaises(error));
    const call = { node: 'n0', method: 'bsky.GetActors', payload: Buffer.alloc(0), timeoutMs };
    await expect(caller.call(call)).rejects.toMatchObject(error);
  });

  it.each(codes)('%s, from a node through a router to the CLI', async (code) => {
    const error = raised(code, 'a hint of its own');
    const { url } = await startWithUrl(clientOf(await startNodeThatRaises(error)));
    const arrived = callService({ url, timeoutMs }, 'GetActors', { dids: [didOf(1)] });
    await expect(arrived).rejects.toMatchObject({ ...error, message: expect.stringContaining(error.message) });
  });

  it.each(codes)("%s, from a node's log to the appender of ingest", async (code) => {
    // Refusals within an answer have no hint, since no error in a slot has one of its own.
    const error = raised(code, errorTable[code].hint);
    const { map, caller } = clientOf(await startNodeThatRaises(error));
    const refusal = Promise.withResolvers<DataPlaneError>();
    const onRetry = (_node: string, refused: DataPlaneError): void => refusal.resolve(refused);
    const log = new RemoteLog({ caller, map: () => map, lingerMs: 0, onRetry });
    resources.defer(() => log[Symbol.asyncDispose]());
    const did = didOf(1);
    log.append(did, { kind: 'sync', did, rev: 'r', eventMs: 0 }).catch(() => {});
    expect(await refusal.promise).toMatchObject(error);
  });

  it.each([
    ['InvalidArgument', '/v1/settle', { until: 3 }],
    ['InvalidArgument', '/v1/backfill', { did: 'nobody' }],
    ['NotFound', '/v1/backfill?did=did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', undefined],
    ['ResourceExhausted', '/v1/resync', { repos: new Array(10_001).fill({ did: didOf(1) }) }],
  ] as const)('%s, from ingest to the CLI (%s)', async (code, path, body) => {
    const { url } = await startTestIngest();
    await expect(ask(url, path, body)).rejects.toMatchObject({ code, hint: errorTable[code].hint });
  });

  it('NotFound, with a hint of its own where the endpoint is what is missing', async () => {
    const { url } = await startTestIngest();
    await expect(ask(url, '/v1/nothing')).rejects.toMatchObject({
      code: 'NotFound',
      hint: 'ops/operating.md lists the endpoints.',
    });
  });

  it('DeadlineExceeded, from ingest through a router to the CLI', async () => {
    const { harness, url } = await startTestIngest();
    harness.log.isHeld = true;
    await harness.ingest.requestResyncs([{ did: didOf(1), revMin: '' }]);
    const router = await startWithUrl({ settleIngest: (body) => ask(url, '/v1/settle', body) as Promise<object> });
    const cursors = { [harness.network.url]: 7 };
    await expect(ask(router.url, '/v1/settle', { timeoutMs: 50, cursors })).rejects.toMatchObject({
      code: 'DeadlineExceeded',
      hint: errorTable.DeadlineExceeded.hint,
      message: expect.stringContaining('after 50 ms ingest waits for'),
    });
  });
});

describe('skyshard', () => {
  it('settle prints its timeout, what still waits, and a hint', async () => {
    const nodes = new FakeNodes(twoNodeMap(), emptyNetwork());
    nodes.down.add('n0');
    const { url } = await startWithUrl({ map: nodes.map, caller: nodes });
    const ended = await runCommand(['settle', `--router-url=${url}`, '--timeout-ms=100', `--data-dir=${noDataDir}`]);
    expect(ended.code).toBe(1);
    expect(ended.err).toMatch(/^skyshard: DeadlineExceeded: not settled after 100 ms: n0 does not answer/);
    expect(ended.err).toContain(errorTable.DeadlineExceeded.hint);
    rmSync(noDataDir, { recursive: true, force: true });
  });

  it('shows the answer of another server with its status', async () => {
    const { harness } = await startTestIngest();
    harness.network.responders.set('/v1/status', () => ({ status: 502, body: 'a page of a proxy' }));
    await expect(ask(harness.network.url, '/v1/status')).rejects.toMatchObject({
      code: 'Internal',
      message: expect.stringContaining('HTTP status 502: a page of a proxy'),
    });
  });
});
