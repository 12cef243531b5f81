/** Unix sockets of nodes: who uses them, who stays on TCP, and what is left at their paths. */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startNode } from '../../src/node/node-process.ts';
import { type NodeServerOptions, type RunningNodeServer, startNodeServer } from '../../src/node/node-server.ts';
import type { Transport } from '../../src/wire/link-environment.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { NodeClient, type NodeClientOptions } from '../../src/wire/node-client.ts';
import { unixOfferOf, unixPathBytesMax } from '../../src/wire/unix-offer.ts';
import { freePort } from '../support/crash-cluster.ts';
import { until } from '../support/until.ts';
import { mapOfPorts, startWireNode } from '../support/wire-node.ts';

const disposals: (() => void | Promise<void>)[] = [];
let folder: string;
let path: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard unix %41-ü-'));
  path = join(folder, 'wire', '0.sock');
});

afterEach(async () => {
  for (const dispose of disposals.splice(0).reverse()) await dispose();
  rmSync(folder, { recursive: true, force: true });
});

function transportOf(client: NodeClient): Transport | null {
  return client.snapshot()['n0']?.transport ?? null;
}

async function start(options: Partial<NodeServerOptions> = {}): Promise<RunningNodeServer> {
  const serving = await startNodeServer({
    host: '127.0.0.1',
    port: 0,
    unixPath: path,
    tls: null,
    clusterToken: null,
    adminToken: null,
    handlers: new Map([['echo', (payload) => Buffer.copyBytesFrom(payload)]]),
    epoch: () => 1,
    isReady: () => true,
    status: async () => ({}),
    registry: new Registry(),
    onFault: (error) => {
      throw error;
    },
    ...options,
  });
  disposals.push(() => serving.close(100));
  return serving;
}

function openClient(port: number, options: Partial<NodeClientOptions> = {}): NodeClient {
  const client = new NodeClient({ map: mapOfPorts([port]), ...options });
  disposals.push(() => client[Symbol.asyncDispose]());
  return client;
}

async function echo(client: NodeClient): Promise<string> {
  const payload = Buffer.from('hello');
  return Buffer.from(await client.call({ node: 'n0', method: 'echo', payload, timeoutMs: 5000 })).toString();
}

const permissions = (of: string): number => statSync(of).mode & 0o777;

describe('a node with a Unix socket', () => {
  it('is called over it, with the token of the cluster, and keeps no connection over TCP', async () => {
    const serving = await start({ clusterToken: 'right' });
    const client = openClient(serving.port, { clusterToken: 'right' });
    expect(await echo(client)).toBe('hello');
    expect(client.snapshot()['n0']).toMatchObject({ transport: 'unix', connectCount: 1 });
    await until(() => serving.wire().connections === 1);
    const stranger = openClient(serving.port, { clusterToken: 'wrong' });
    await expect(echo(stranger)).rejects.toMatchObject({ code: 'Unavailable', message: /cluster token/ });
    expect(transportOf(stranger)).toBe(null);
  });

  it('lets only its own user in', async () => {
    await start();
    expect(permissions(path)).toBe(0o600);
    expect(permissions(join(folder, 'wire'))).toBe(0o700);
  });

  it('is called over it again once it is back', async () => {
    const port = await freePort();
    const first = await start({ port });
    const client = openClient(port);
    await echo(client);
    await first.close(100);
    expect(existsSync(path)).toBe(false);
    await start({ port });
    await until(async () => (await echo(client).catch(() => null)) === 'hello');
    expect(client.snapshot()['n0']).toMatchObject({ transport: 'unix' });
  });

  it('is called over TCP where the path leads nowhere', async () => {
    const serving = await start();
    rmSync(path);
    const client = openClient(serving.port);
    expect(await echo(client)).toBe('hello');
    expect(client.snapshot()['n0']).toMatchObject({ transport: 'tcp', connectCount: 1 });
  });

  it('is called over TCP where the path leads to another node', async () => {
    const other = await start();
    const offer = unixOfferOf(path);
    const node = await startWireNode({ unixOffer: offer });
    disposals.push(() => node.close());
    const client = openClient(node.port);
    expect(await echo(client)).toBe('hello');
    expect(transportOf(client)).toBe('tcp');
    expect(node.server.snapshot.callCount).toBe(1);
    await until(() => other.wire().connections === 0);
  });

  it('is called over TCP where nothing answers at the path in time', async () => {
    const silent = createServer();
    await new Promise<void>((resolve) => silent.listen(join(folder, 'silent.sock'), resolve));
    disposals.push(() => void silent.close());
    const node = await startWireNode({ unixOffer: unixOfferOf(join(folder, 'silent.sock')) });
    disposals.push(() => node.close());
    const client = openClient(node.port, { limits: { connectMsMax: 50 } });
    expect(await echo(client)).toBe('hello');
    expect(transportOf(client)).toBe('tcp');
  });

  const others: [string, (wire: string, stranger: string) => void][] = [
    ['in a folder that others may enter', (wire) => chmodSync(wire, 0o755)],
    ['behind a link', (wire, stranger) => symlinkSync(wire, stranger)],
  ];
  const othersOfRoot: typeof others = [
    ['of another user', (wire) => chownSync(join(wire, 'x.sock'), 1, 1)],
    ['in the folder of another user', (wire) => chownSync(wire, 1, 1)],
  ];
  it.each(process.getuid?.() === 0 ? [...others, ...othersOfRoot] : others)(
    'is called over TCP, and its token shown to nobody, where the path leads to a socket %s',
    async (_which, give) => {
      const wire = join(folder, 'wire');
      const stranger = join(folder, 'stranger');
      mkdirSync(wire, { mode: 0o700 });
      let connectionCount = 0;
      const server = createServer((socket) => {
        connectionCount++;
        socket.destroy();
      });
      await new Promise<void>((resolve) => server.listen(join(wire, 'x.sock'), resolve));
      disposals.push(() => void server.close());
      give(wire, stranger);
      const offered = join(existsSync(stranger) ? stranger : wire, 'x.sock');
      const node = await startWireNode({ unixOffer: unixOfferOf(offered), clusterToken: 'secret' });
      disposals.push(() => node.close());
      const client = openClient(node.port, { clusterToken: 'secret' });
      expect(await echo(client)).toBe('hello');
      expect(transportOf(client)).toBe('tcp');
      expect(connectionCount).toBe(0);
    },
  );

  it('replaces the socket of a dead process, and refuses that of a living one', async () => {
    const code = 'require("net").createServer().listen(process.argv[1], () => process.kill(process.pid, "SIGKILL"))';
    path = join(folder, '0.sock');
    spawnSync(process.execPath, ['-e', code, path]);
    expect(existsSync(path)).toBe(true);
    const serving = await start();
    await expect(start()).rejects.toMatchObject({ code: 'DataInUse', message: expect.stringContaining(path) });
    const client = openClient(serving.port);
    await echo(client);
    expect(transportOf(client)).toBe('unix');
  });

  it('leaves no socket behind when its port is taken', async () => {
    const { port } = await start();
    const other = join(folder, 'wire', '1.sock');
    await expect(start({ port, unixPath: other })).rejects.toMatchObject({ code: 'ConfigInvalid' });
    expect(existsSync(other)).toBe(false);
  });
});

describe('the threads of a node', () => {
  async function open(dataDir: string, notes: string[]): Promise<number> {
    const shards = [{ name: 's0', primary: 'n0', slots: ['0'] }];
    const node = await startNode({
      name: 'n0',
      mapJson: { epoch: 1, slots: 1, nodes: { n0: { host: '127.0.0.1', port: 0 } }, shards },
      dataDir,
      host: '127.0.0.1',
      port: 0,
      slotMapBytes: 2 ** 26,
      lingerMs: 1,
      applyThreads: 1,
      serveThreads: 2,
      prefetchReads: false,
      recordCacheMib: 1,
      adminToken: null,
      clusterToken: null,
      registry: new Registry(),
      note: (message) => void notes.push(message),
    });
    disposals.push(() => node.close());
    return node.port;
  }

  const statusOf = (client: NodeClient): Promise<Uint8Array> =>
    client.call({ node: 'n0', method: nodeCalls.status, payload: Buffer.alloc(0), timeoutMs: 5000 });

  it('listen on a socket each', async () => {
    const notes: string[] = [];
    const port = await open(folder, notes);
    expect(readdirSync(join(folder, 'wire'))).toEqual(['1.sock', '2.sock', 'lock.sock']);
    const client = openClient(port);
    await statusOf(client);
    expect(transportOf(client)).toBe('unix');
    expect(notes).toEqual([]);
  });

  it('are seen in their folder until it is closed, and not after', async () => {
    await open(folder, []);
    const closing = disposals.pop()!();
    while (existsSync(join(folder, 'wire', '1.sock')) || existsSync(join(folder, 'wire', '2.sock'))) await nextTurn();
    await expect(open(folder, [])).rejects.toMatchObject({ code: 'DataInUse', message: /lock\.sock/ });
    await closing;
    expect(readdirSync(join(folder, 'wire'))).toEqual([]);
    await open(folder, []);
  });

  it('say so where the path is too long, and are called over TCP', async () => {
    const notes: string[] = [];
    const port = await open(join(folder, 'x'.repeat(unixPathBytesMax)), notes);
    const client = openClient(port);
    await statusOf(client);
    expect(transportOf(client)).toBe('tcp');
    expect(notes).toEqual(['no other container', 'use TCP', 'use TCP'].map((part) => expect.stringContaining(part)));
  });
});
