/** A node's socket: endpoints and the wire on one port, tokens, TLS, and closing. */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { DataPlaneError } from '../../src/base/data-plane-error.ts';
import type { ApplyStatus } from '../../src/node/apply-messages.ts';
import { type NodeServerOptions, type RunningNodeServer, startNodeServer } from '../../src/node/node-server.ts';
import { registerSlotMetrics } from '../../src/node/slot-statuses.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import { NodeClient, type NodeClientOptions } from '../../src/wire/node-client.ts';
import type { SlotStatus } from '../../src/wire/node-status.ts';
import { selfSignedCertificate } from '../support/self-signed-certificate.ts';
import { stopAfterEach } from '../support/stop-after-each.ts';
import { until } from '../support/until.ts';
import { mapOfPorts } from '../support/wire-node.ts';

const resources = stopAfterEach();

async function start(options: Partial<NodeServerOptions> = {}): Promise<RunningNodeServer> {
  const serving = await startNodeServer({
    host: '127.0.0.1',
    port: 0,
    tls: null,
    clusterToken: null,
    adminToken: null,
    handlers: new Map([['echo', (payload) => Buffer.copyBytesFrom(payload)]]),
    epoch: () => 3,
    isReady: () => true,
    status: async () => ({ slots: [] }),
    registry: new Registry(),
    onFault: (error) => {
      throw error;
    },
    ...options,
  });
  resources.defer(() => serving.close(100));
  return serving;
}

function openClient(port: number, options: Partial<NodeClientOptions> = {}): NodeClient {
  const client = new NodeClient({ map: mapOfPorts([port], 3), ...options });
  resources.defer(() => client[Symbol.asyncDispose]());
  return client;
}

function echo(client: NodeClient): Promise<string> {
  const payload = Buffer.from('hello');
  return client
    .call({ node: 'n0', method: 'echo', payload, timeoutMs: 5000 })
    .then((answer) => Buffer.from(answer).toString());
}

async function ask(port: number, path: string, init: RequestInit = {}): Promise<{ status: number; text: string }> {
  const response = await fetch(`http://127.0.0.1:${port}${path}`, init);
  return { status: response.status, text: await response.text() };
}

const bearer = (token: string): RequestInit => ({ headers: { authorization: `Bearer ${token}` } });

describe('the socket of a node', () => {
  it('answers health, readiness, status, metrics and the wire on one port', async () => {
    let isReady = false;
    const serving = await start({ isReady: () => isReady });
    expect(await ask(serving.port, '/healthz')).toEqual({ status: 200, text: 'ok\n' });
    expect(await ask(serving.port, '/readyz')).toEqual({ status: 503, text: 'not ready\n' });
    isReady = true;
    expect(await ask(serving.port, '/readyz')).toEqual({ status: 200, text: 'ok\n' });
    expect(JSON.parse((await ask(serving.port, '/v1/status')).text)).toEqual({ slots: [] });
    expect(await echo(openClient(serving.port))).toBe('hello');
    const { text } = await ask(serving.port, '/metrics');
    expect(text).toContain('skyshard_calls_total 1\n');
    expect(text).toContain('skyshard_call_duration_seconds_count{method="echo"} 1\n');
  });

  it('answers errors as JSON with their code, message and hint', async () => {
    const serving = await start({
      status: async () => {
        throw new DataPlaneError('StorageFull', 'slot 3 is full');
      },
    });
    const status = await ask(serving.port, '/v1/status');
    expect(status.status).toBe(429);
    expect(JSON.parse(status.text)).toMatchObject({ error: 'StorageFull', message: 'slot 3 is full' });
    expect((await ask(serving.port, '/v1/nothing')).status).toBe(404);
  });

  it('sums the current status of the apply threads in its metrics', async () => {
    let asks = 0;
    const link = (slot: number) => ({
      status: async (): Promise<ApplyStatus> => {
        asks++;
        const counts = { deliveredMark: 0, lastMark: 0, sentEffects: 0, receivedEffects: 0, isContinuing: false };
        const slots: SlotStatus[] = [
          {
            slot,
            state: 'applying',
            condition: 'complete',
            log: null,
            role: 'primary',
            acts: true,
            behindMs: 0,
            owners: 1,
            cursor: 10 * asks,
            head: 99,
            waiting: 1,
            outbox: 0,
            lagMs: asks,
            bytes: 4,
            quarantined: 0,
            suspendedDids: 0,
            generation: 1,
            ...counts,
          },
        ];
        return { slots, log: null };
      },
    });
    const registry = new Registry();
    const address = { host: '127.0.0.1', port: 1 };
    const move = { from: 'n1', to: 'n0', step: 'copying' };
    const map = parseShardMap({
      epoch: 1,
      slots: 4,
      nodes: { n0: address, n1: address },
      shards: [
        { name: 's0', primary: 'n0', slots: ['0-1'] },
        { name: 's1', primary: 'n1', replicas: ['n0'], slots: ['2-3'], move },
      ],
    });
    const fetch = { from: 'n1', bytes: 100, bytesDone: 40, problem: '', slowedMs: null };
    const progress = [
      { ...fetch, slot: 2 },
      { ...fetch, slot: 3, bytes: 0, bytesDone: 0, problem: 'no other node has the slot' },
    ];
    const rebuilds = { progress, receivedBytes: 70 };
    registerSlotMetrics(registry, [link(0), link(1)], { name: 'n0', map: () => map, rebuilds });
    const serving = await start({ registry });
    const { text } = await ask(serving.port, '/metrics');
    expect(asks).toBe(2);
    expect(text).toContain('skyshard_entries_applied_total 30\n');
    expect(text).toContain('skyshard_entries_waiting 2\n');
    expect(text).toContain('skyshard_apply_lag_seconds 0.002\n');
    expect(text).toContain('skyshard_slots_moving{from="n1",to="n0",state="copying"} 2\n');
    expect(text).toContain('skyshard_slots_moving{from="n1",to="n0",state="kept"} 0\n');
    expect(text).toContain('skyshard_slot_fetches{state="arriving"} 1\n');
    expect(text).toContain('skyshard_slot_fetches{state="failing"} 1\n');
    expect(text).toContain('skyshard_slot_fetch_left_bytes 60\n');
    expect(text).toContain('skyshard_slot_fetched_bytes_total 70\n');
    expect((await ask(serving.port, '/metrics')).text).toContain('skyshard_entries_applied_total 70\n');
  });

  it('survives a client that disconnects before its answer', async () => {
    let release = (): void => {};
    const held = new Promise<void>((resolve) => {
      release = resolve;
    });
    let askedCount = 0;
    const serving = await start({
      status: async () => {
        askedCount++;
        await held;
        return {};
      },
    });
    const waiting = connectTcp(serving.port, '127.0.0.1');
    waiting.write('GET /v1/status HTTP/1.1\r\nhost: localhost\r\n\r\n');
    await until(() => askedCount === 1);
    const gone = once(waiting, 'close');
    waiting.destroy();
    await gone;
    expect((await ask(serving.port, '/healthz')).status).toBe(200);
    release();
    expect((await ask(serving.port, '/v1/status')).status).toBe(200);
  });

  it('refuses a port that is taken', async () => {
    const serving = await start();
    await expect(start({ port: serving.port })).rejects.toMatchObject({ code: 'ConfigInvalid', message: /taken/ });
  });

  it('closes after running calls have been answered', async () => {
    let release = (): void => {};
    const held = new Promise<Uint8Array>((resolve) => {
      release = () => resolve(Buffer.from('done'));
    });
    const serving = await start({ handlers: new Map([['echo', () => held]]) });
    const answer = echo(openClient(serving.port));
    await until(() => serving.wire().callsRunning === 1);
    const closing = serving.close(10_000);
    await expect(ask(serving.port, '/healthz')).rejects.toThrow();
    release();
    expect(await answer).toBe('done');
    await closing;
    await serving.close();
  });

  it('closes in time although a call never ends', async () => {
    const serving = await start({ handlers: new Map([['echo', () => new Promise(() => {})]]) });
    const answer = echo(openClient(serving.port)).catch((error: DataPlaneError) => error.code);
    await until(() => serving.wire().callsRunning === 1);
    await serving.close(50);
    expect(await answer).toBe('Unavailable');
  });
});

describe('tokens', () => {
  it('are needed to listen beyond loopback', async () => {
    await expect(start({ host: '0.0.0.0' })).rejects.toMatchObject({ code: 'ConfigInvalid', message: /cluster token/ });
    const serving = await start({ host: '0.0.0.0', clusterToken: 'c' });
    expect(serving.port).toBeGreaterThan(0);
  });

  it('are needed for everything but health, and the wire needs the cluster token', async () => {
    const serving = await start({ clusterToken: 'cluster', adminToken: 'admin' });
    for (const path of ['/v1/status', '/metrics']) {
      expect((await ask(serving.port, path)).status).toBe(401);
      expect((await ask(serving.port, path, bearer('other'))).status).toBe(401);
      expect((await ask(serving.port, path, bearer('admin'))).status).toBe(200);
      expect((await ask(serving.port, path, bearer('cluster'))).status).toBe(200);
    }
    expect((await ask(serving.port, '/healthz')).status).toBe(200);
    await expect(echo(openClient(serving.port))).rejects.toThrow(/401/);
    await expect(echo(openClient(serving.port, { clusterToken: 'admin' }))).rejects.toThrow(/401/);
    expect(await echo(openClient(serving.port, { clusterToken: 'cluster' }))).toBe('hello');
  });
});

describe('TLS', () => {
  function makeCertificate(): { certFile: string; keyFile: string } {
    const folder = mkdtempSync(join(tmpdir(), 'skyshard-tls-'));
    resources.defer(() => rmSync(folder, { recursive: true }));
    const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const { certificate, key } = selfSignedCertificate();
    writeFileSync(certFile, certificate);
    writeFileSync(keyFile, key);
    return { certFile, keyFile };
  }

  it('carries the wire only between holders of the certificate', async () => {
    const tls = makeCertificate();
    const serving = await start({ tls });
    const trusted = openClient(serving.port, { trustedCertificates: readFileSync(tls.certFile) });
    expect(await echo(trusted)).toBe('hello');
    const other = openClient(serving.port, { trustedCertificates: readFileSync(makeCertificate().certFile) });
    await expect(echo(other)).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(echo(openClient(serving.port))).rejects.toMatchObject({ code: 'Unavailable' });
  });

  it('with files that do not load is ConfigInvalid', async () => {
    const tls = makeCertificate();
    writeFileSync(tls.certFile, 'not a certificate');
    await expect(start({ tls })).rejects.toMatchObject({ code: 'ConfigInvalid', message: /cert\.pem/ });
  });
});
