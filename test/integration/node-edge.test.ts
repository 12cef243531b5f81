/** A router in a node's process answers what one in a process of its own answers, byte for byte. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { GrpcLoad, grpcRequest } from '../../bench/grpc-load.ts';
import { callsOf, type HotMethod } from '../../bench/hot-request.ts';
import { hotMethods } from '../../bench/hot-requests.ts';
import { PoolGatherer } from '../../bench/request-pools.ts';
import { servingEntries } from '../../bench/serving-network.ts';
import { DataPlaneError } from '../../src/base/data-plane-error.ts';
import { InvariantError } from '../../src/base/invariant.ts';
import { withRealPorts } from '../../src/cli/map-file.ts';
import { RemoteLog } from '../../src/log/remote-log.ts';
import { type RunningNode, startNode } from '../../src/node/node-process.ts';
import { encodeMessage } from '../../src/proto/codec.ts';
import { type RunningRouter, startRouter } from '../../src/router/router-server.ts';
import { parseShardMap, type ShardMap } from '../../src/shardmap/shard-map.ts';
import { payloadBytesMax } from '../../src/wire/frame.ts';
import { LocalCaller, type LocalCallerOptions } from '../../src/wire/local-caller.ts';
import { MapGate } from '../../src/wire/map-gate.ts';
import type { CallHandler, NodeCaller } from '../../src/wire/node-caller.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import { edgeSettings } from '../support/edge-settings.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { noIdentitySource } from '../support/no-identities.ts';
import { until } from '../support/until.ts';

const network = { kind: 'graph', seed: 3, records: 2_000 } as const;
const askedOfMethod = 40;

/** Two nodes of two slots each; the ports are the nodes' own. */
function mapJson(epoch: number, ports: readonly number[]): Record<string, unknown> {
  const nodes = Object.fromEntries(ports.map((port, index) => [`n${index}`, { host: '127.0.0.1', port }]));
  const shards = ports.map((_port, index) => ({
    name: `s${index}`,
    primary: `n${index}`,
    slots: [`${2 * index}-${2 * index + 1}`],
  }));
  return { epoch, slots: 4, nodes, shards };
}

describe.each([1, 3])('two nodes of %i serving threads, one with an edge, and a router apart', (threads) => {
  let folder: string;
  let json: Record<string, unknown>;
  let map: ShardMap;
  let client: NodeClient;
  const nodes: RunningNode[] = [];
  const faults: Error[] = [];
  let apart: RunningRouter;
  let edgePort: number;
  let edgeLoad: GrpcLoad;
  let apartLoad: GrpcLoad;
  let hot: HotMethod[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'skyshard-edge-'));
    const withoutPorts = mapJson(1, [0, 0]);
    ({ raw: json, map } = await withRealPorts({ raw: withoutPorts, map: parseShardMap(withoutPorts) }));
    client = new NodeClient({ map });
    for (const [index, { port }] of [...map.nodes.values()].entries()) {
      nodes.push(
        await startNode({
          name: `n${index}`,
          mapJson: json,
          readMap: () => json,
          serveThreads: threads,
          edge: index === 0 ? edgeSettings : undefined,
          dataDir: join(folder, `n${index}`),
          host: '127.0.0.1',
          port,
          slotMapBytes: 2 ** 28,
          lingerMs: 1,
          applyThreads: 1,
          prefetchReads: false,
          recordCacheMib: 8,
          adminToken: null,
          clusterToken: null,
          registry: new Registry(),
        }),
      );
    }
    edgePort = nodes[0]!.routerPort!;
    apart = await startRouter({
      map,
      caller: client,
      identity: noIdentitySource,
      registry: new Registry(),
      host: '127.0.0.1',
      port: 0,
      http2Port: null,
      adminToken: null,
      onFault: (error) => faults.push(error),
    });
    const gatherer = new PoolGatherer();
    const log = new RemoteLog({ caller: client, map: () => map });
    const durable = new Set<Promise<void>>();
    for (const entry of servingEntries(network, (kind, key) => gatherer.addExtra(kind, key))) {
      if (entry.kind === 'commit') gatherer.add(entry);
      durable.add(log.append(entry.did, entry));
      await log.waitForCapacity();
    }
    await Promise.all(durable);
    await log[Symbol.asyncDispose]();
    const settled = await fetch(`http://127.0.0.1:${edgePort}/v1/settle`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    expect(settled.status).toBe(200);
    edgeLoad = new GrpcLoad(edgePort, 16);
    apartLoad = new GrpcLoad(apart.port, 16);
    hot = await hotMethods(gatherer.pools(network.seed), network.seed, apartLoad);
  }, 120_000);

  afterAll(async () => {
    edgeLoad.close();
    apartLoad.close();
    await apart.close();
    await client[Symbol.asyncDispose]();
    for (const node of nodes) await node.close();
    rmSync(folder, { recursive: true, force: true });
    expect(faults).toEqual([]);
  });

  const asked = (): Buffer[] =>
    hot.flatMap(({ requests }) =>
      requests
        .slice(0, askedOfMethod)
        .flatMap(callsOf)
        .map(({ bytes }) => bytes),
    );

  it('gives the same bytes for every hot method, however many requests are in flight', async () => {
    const expected: Buffer[] = [];
    for (const request of asked()) expected.push(Buffer.from(await apartLoad.ask(request)));
    expect(expected.filter((answer) => answer.length > 0).length).toBeGreaterThan(expected.length / 2);
    for (let round = 0; round < 3; round++) {
      const answers = await Promise.all(asked().map(async (request) => Buffer.from(await edgeLoad.ask(request))));
      expect(answers.findIndex((answer, index) => !answer.equals(expected[index]!))).toBe(-1);
    }
  }, 60_000);

  it('gives the same errors', async () => {
    const bad = [
      grpcRequest('GetAuthorFeed', encodeMessage('GetAuthorFeedRequest', { actorDid: 'x', limit: 5, cursor: '!' })),
      grpcRequest('GetActors', Buffer.from([0xff, 0xff, 0xff])),
      grpcRequest('GetNothing', Buffer.alloc(0)),
    ];
    const problemOf = (load: GrpcLoad, request: Buffer): Promise<string> =>
      load.ask(request).then(
        () => '',
        (error: Error) => error.message.replace(/ \(request [^)]+\)$/, ''),
      );
    for (const request of bad) expect(await problemOf(edgeLoad, request)).toBe(await problemOf(apartLoad, request));
  });

  it('sees its own writes, and shows every node in its status', async () => {
    const did = 'did:web:viewer.example';
    const mute = { actorDid: did, subjectDid: 'did:web:muted.example' };
    await edgeLoad.ask(grpcRequest('CreateActorMute', encodeMessage('CreateActorMuteRequest', mute)));
    const page = grpcRequest('GetMutes', encodeMessage('GetMutesRequest', { actorDid: did, limit: 5, cursor: '' }));
    expect((await edgeLoad.ask(page)).includes('did:web:muted.example')).toBe(true);
    const status = await fetch(`http://127.0.0.1:${edgePort}/v1/status`);
    const { nodes: shown } = (await status.json()) as { nodes: { name: string; state: string }[] };
    expect(shown.map(({ name, state }) => `${name} ${state}`)).toEqual(['n0 up', 'n1 up']);
  });

  it('refuses calls once a peer has a newer map, and takes that map', async () => {
    json = mapJson(
      2,
      nodes.map(({ port }) => port),
    );
    await using newer = new NodeClient({ map: parseShardMap(json) });
    const status = await newer.call({
      node: 'n0',
      method: nodeCalls.status,
      payload: Buffer.alloc(0),
      timeoutMs: 5_000,
    });
    expect(status.length).toBeGreaterThan(0);
    const [request] = callsOf(hot.find(({ name }) => name === 'GetActors')!.requests[0]!);
    await until(async () => {
      const shown = await fetch(`http://127.0.0.1:${edgePort}/v1/status`);
      return ((await shown.json()) as { epoch: number }).epoch === 2;
    });
    expect((await edgeLoad.ask(request!.bytes)).length).toBeGreaterThan(0);
  });
});

describe('calls to the node of the process', () => {
  const clock = new ManualClock();
  const elsewhere: NodeCaller = { call: ({ node }) => Promise.resolve(Buffer.from(node)) };
  const observed: string[] = [];

  function callerOf(handler: CallHandler, more: Partial<LocalCallerOptions> = {}): NodeCaller {
    return new LocalCaller({
      node: 'n0',
      handlers: new Map([
        ['read', handler],
        [nodeCalls.status, handler],
      ]),
      elsewhere,
      epoch: () => 1,
      gate: null,
      observe: (method, _durationMs, code) => observed.push(`${method} ${code}`),
      clock,
      ...more,
    });
  }

  const read = { node: 'n0', method: 'read', payload: Buffer.alloc(0), timeoutMs: 50 };

  it('own their answer, although the next one is written to the same memory', async () => {
    const memory = Buffer.alloc(100_000);
    const lengths = [1, 0, 16_384, 16_385, 100_000, ...Array.from({ length: 100 }, (_unused, index) => index * 97)];
    let calls = 0;
    const caller = callerOf(() => memory.fill(calls).subarray(0, lengths[calls++]));
    const answers = await Promise.all(lengths.map(() => caller.call(read)));
    expect(answers.map((answer) => Buffer.from(answer))).toEqual(
      lengths.map((length, call) => Buffer.alloc(length, call)),
    );
  });

  it('to another node take the wire', async () => {
    expect(await callerOf(() => Buffer.alloc(0)).call({ ...read, node: 'n1' })).toEqual(Buffer.from('n1'));
  });

  it('are refused while a peer has a newer map, but for the status', async () => {
    const refusal = (): string => 'a peer has a newer map';
    using gate = new MapGate({ epoch: () => 1, saw: () => null, check: () => null, refusal, clock });
    const caller = callerOf(() => Buffer.alloc(0), { gate });
    await expect(caller.call(read)).rejects.toMatchObject({ code: 'WrongEpoch' });
    expect(await caller.call({ ...read, method: nodeCalls.status })).toHaveLength(0);
  });

  it('fail as on the wire: unknown methods, large answers, errors at once and later', async () => {
    const unavailable = new DataPlaneError('Unavailable', 'not now');
    const cases: [CallHandler, string][] = [
      [() => Buffer.alloc(payloadBytesMax + 1), 'ResourceExhausted'],
      [
        () => {
          throw unavailable;
        },
        'Unavailable',
      ],
      [() => Promise.reject(unavailable), 'Unavailable'],
    ];
    for (const [handler, code] of cases) await expect(callerOf(handler).call(read)).rejects.toMatchObject({ code });
    const unknown = callerOf(() => Buffer.alloc(0)).call({ ...read, method: 'nothing' });
    await expect(unknown).rejects.toMatchObject({ code: 'Unimplemented' });
    expect(observed).toContain('read Unavailable');
  });

  it('end when their deadline passes, although the handler has no answer', async () => {
    const call = callerOf(() => new Promise(() => {})).call(read);
    clock.advance(read.timeoutMs + 1);
    await expect(call).rejects.toMatchObject({ code: 'DeadlineExceeded' });
  });

  it('hand on a broken invariant, which ends the process', async () => {
    const caller = callerOf(() => {
      throw new InvariantError('a row is whole');
    });
    await expect(caller.call(read)).rejects.toBeInstanceOf(InvariantError);
  });
});
