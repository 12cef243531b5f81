/** `skyshard up`: a whole cluster starts, serves, survives killed processes, stops and resumes. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { adminRequest } from '../../../src/cli/admin-request.ts';
import { readMapFile } from '../../../src/cli/map-file.ts';
import { readRunFile } from '../../../src/cli/process/run-file.ts';
import { nodeCalls } from '../../../src/wire/node-calls.ts';
import { NodeClient } from '../../../src/wire/node-client.ts';
import { nodeStatusMessage } from '../../../src/wire/node-status.ts';
import {
  clusterFolder,
  exampleFolder,
  type RunningCluster,
  removeFolder,
  runCommand,
  startCluster,
} from '../../support/running-cluster.ts';
import { until } from '../../support/until.ts';

const demo = ['--demo', '--demo-actors=20', '--demo-records=300', '--demo-rate=0'];
const timeoutMs = 30_000;

let folder: string;
let cluster: RunningCluster;

beforeAll(async () => {
  folder = exampleFolder();
  cluster = await startCluster(folder, demo);
}, 120_000);

afterAll(async () => {
  await cluster.stop();
  removeFolder(folder);
}, 60_000);

type Status = { nodes: { name: string; state: string; pid: number; slots: { cursor: number; waiting: number }[] }[] };

async function statusOf(running: RunningCluster): Promise<Status> {
  return (await adminRequest({ url: running.run.router.url, path: '/v1/status', token: null, timeoutMs })) as Status;
}

function settle(running: RunningCluster): Promise<unknown> {
  return adminRequest({ url: running.run.router.url, path: '/v1/settle', body: {}, token: null, timeoutMs });
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

function appliedOf(status: Status): number {
  return status.nodes.flatMap(({ slots }) => slots).reduce((sum, { cursor }) => sum + cursor, 0);
}

describe('skyshard up', () => {
  it('reports in run.json and on the screen where everything listens', () => {
    const { run, printed } = cluster;
    const ports = [run.router.port, run.router.http2Port, run.ingest.port, run.demo!.port];
    for (const { port } of Object.values(run.nodes)) ports.push(port);
    expect(new Set(ports).size).toBe(6);
    for (const port of ports) expect(printed.out).toContain(`http://127.0.0.1:${port}`);
    const map = JSON.parse(readFileSync(run.map, 'utf8')) as { nodes: Record<string, { port: number }> };
    expect(map.nodes['n0']!.port).toBe(run.nodes['n0']!.port);
  });

  it('makes a private cluster token, without which no node opens a wire', async () => {
    const path = join(cluster.dataDir, 'cluster-token');
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const { map } = readMapFile(cluster.run.map);
    const statusOfNode = async (clusterToken: string | null): Promise<string> => {
      await using client = new NodeClient({ map, clusterToken });
      const call = { node: 'n0', method: nodeCalls.status, payload: Buffer.alloc(0), timeoutMs };
      return nodeStatusMessage.decode(await client.call(call)).name;
    };
    await expect(statusOfNode(null)).rejects.toThrow('401 the cluster token is needed');
    expect(await statusOfNode(readFileSync(path, 'utf8').trim())).toBe('n0');
  });

  it('applies what the simulated network sends, and prints three curl lines that answer', async () => {
    await settle(cluster);
    expect(appliedOf(await statusOf(cluster))).toBeGreaterThan(100);
    await until(() => cluster.printed.out.includes('Ctrl-C stops everything'), 60_000);
    const lines = cluster.printed.out.match(/^ {2}curl .*$/gm) ?? [];
    expect(lines).toHaveLength(3);
    for (const line of lines) {
      const [, url, body] = /^ {2}curl -s (\S+) -H 'content-type: application\/json' -d '(.*)'$/.exec(line)!;
      const response = await fetch(url!, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: body!,
      });
      expect(response.status).toBe(200);
      expect((await response.text()).length).toBeGreaterThan(50);
    }
  });

  it('is found by the other commands through the data folder', async () => {
    const status = await runCommand(['status', `--data-dir=${cluster.dataDir}`, '--json']);
    expect(status.code, status.err).toBe(0);
    expect((JSON.parse(status.out) as Status).nodes.map(({ name, state }) => [name, state])).toEqual([
      ['n0', 'up'],
      ['n1', 'up'],
    ]);
    expect(await runCommand(['settle', `--data-dir=${cluster.dataDir}`])).toMatchObject({ code: 0 });
    const missing = await runCommand(['get', 'did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', `--data-dir=${cluster.dataDir}`]);
    expect(missing).toMatchObject({ code: 1, err: expect.stringContaining('NotFound') });
    const malformed = await runCommand(['get', 'nonsense', `--data-dir=${cluster.dataDir}`]);
    expect(malformed).toMatchObject({ code: 2, err: expect.stringContaining('InvalidArgument') });
  });

  it('refuses a data folder in use, and names the process that uses it', async () => {
    const second = await runCommand(['up', `--data-dir=${cluster.dataDir}`]);
    expect(second).toMatchObject({ code: 1, err: expect.stringContaining(`process ${cluster.run.pid} uses it`) });
  });

  it('restarts a killed node on its port, and nothing is lost', async () => {
    await settle(cluster);
    const before = appliedOf(await statusOf(cluster));
    const { pid, port } = cluster.run.nodes['n1']!;
    process.kill(pid, 'SIGKILL');
    await until(() => (readRunFile(cluster.dataDir)?.nodes['n1']?.pid ?? pid) !== pid, 60_000);
    expect(readRunFile(cluster.dataDir)!.nodes['n1']!.port).toBe(port);
    await until(async () => (await statusOf(cluster)).nodes.every(({ state }) => state === 'up'), 30_000);
    await settle(cluster);
    expect(appliedOf(await statusOf(cluster))).toBeGreaterThanOrEqual(before);
    expect(cluster.printed.err).toContain('n1 ended; it is started again how="signal SIGKILL"');
  });

  it.each(['router', 'ingest'] as const)(
    'restarts a killed %s at once on its port, which the kernel chose',
    async (name) => {
      const { pid, url } = cluster.run[name];
      // The killed side of a connection keeps the port in use for a minute.
      await fetch(`${url}/health`).then((response) => response.arrayBuffer());
      process.kill(pid, 'SIGKILL');
      await until(() => (readRunFile(cluster.dataDir)?.[name].pid ?? pid) !== pid, 30_000);
      expect(readRunFile(cluster.dataDir)![name].url).toBe(url);
      const restarts = cluster.printed.err.split(`${name} ended; it is started again`).length - 1;
      expect(restarts).toBe(1);
    },
  );

  it('stops cleanly, and goes on from its cursor after a restart', async () => {
    await settle(cluster);
    const before = appliedOf(await statusOf(cluster));
    expect(await cluster.stop()).toBe(0);
    expect(cluster.printed.out).toContain('skyshard has stopped');
    expect(existsSync(join(cluster.dataDir, 'run.json'))).toBe(false);
    expect(existsSync(join(cluster.dataDir, 'up.pid'))).toBe(false);
    cluster = await startCluster(folder, demo);
    await settle(cluster);
    expect(appliedOf(await statusOf(cluster))).toBeGreaterThanOrEqual(before);
    expect(cluster.printed.err).toMatch(/source connected .*cursor=[1-9]/);
  });
});

describe('skyshard up of one node', () => {
  it('has no router process: the node answers as one, also after it was killed', async () => {
    const ownFolder = clusterFolder(1);
    const lone = await startCluster(ownFolder, demo);
    try {
      const { router, nodes } = lone.run;
      expect(router.pid).toBe(nodes['n0']!.pid);
      expect(router.port).not.toBe(nodes['n0']!.port);
      await until(async () => appliedOf(await statusOf(lone)) > 100, 30_000);
      await settle(lone);
      const before = appliedOf(await statusOf(lone));
      process.kill(router.pid, 'SIGKILL');
      await until(() => (readRunFile(lone.dataDir)?.router.pid ?? router.pid) !== router.pid, 60_000);
      expect(readRunFile(lone.dataDir)!.router.url).toBe(router.url);
      await until(async () => (await statusOf(lone)).nodes.every(({ state }) => state === 'up'), 30_000);
      await settle(lone);
      expect(appliedOf(await statusOf(lone))).toBeGreaterThanOrEqual(before);
      expect(await runCommand(['settle', `--data-dir=${lone.dataDir}`])).toMatchObject({ code: 0 });
    } finally {
      expect(await lone.stop()).toBe(0);
      removeFolder(ownFolder);
    }
  }, 180_000);
});

describe('skyshard up on data of another map', () => {
  it('refuses it and keeps its map, with which it goes on', async () => {
    const [ownFolder, otherFolder] = [clusterFolder(2), clusterFolder(1)];
    try {
      expect(await (await startCluster(ownFolder, [])).stop()).toBe(0);
      const dataDir = join(ownFolder, 'data');
      const flags = [`--data-dir=${dataDir}`, '--router-port=0', '--http2-port=0', '--ingest-port=0'];
      const refused = await runCommand(['up', `--map=${join(otherFolder, 'map.json')}`, ...flags]);
      const kept = join(dataDir, 'shard-map.json');
      expect(refused).toMatchObject({ code: 2, err: expect.stringContaining('lacks slots that are in') });
      expect(refused.err).toContain(`skyshard up --data-dir ${dataDir} --map ${kept}`);
      expect([...readMapFile(kept).map.nodes.keys()]).toEqual(['n0', 'n1']);
      const alone = await runCommand(['node', 'n0', `--map=${join(otherFolder, 'map.json')}`, `--data-dir=${dataDir}`]);
      expect(alone).toMatchObject({ code: 2, err: expect.stringContaining('2,3') });
    } finally {
      removeFolder(ownFolder);
      removeFolder(otherFolder);
    }
  }, 120_000);
});

describe('skyshard up, at a second Ctrl-C,', () => {
  it('kills everything and exits with 130, however soon it comes', async () => {
    const ownFolder = clusterFolder();
    const running = await startCluster(ownFolder, []);
    const { pid } = running.run;
    process.kill(pid, 'SIGINT');
    await until(() => running.printed.err.includes('again to force'));
    process.kill(pid, 'SIGINT');
    expect(await running.ended).toBe(130);
    removeFolder(ownFolder);
  }, 120_000);
});

describe('skyshard up, killed,', () => {
  it('leaves no running process, and can be restarted at once', async () => {
    const ownFolder = clusterFolder();
    const first = await startCluster(ownFolder, demo);
    const { run } = first;
    const pids = [run.router.pid, run.ingest.pid, run.demo!.pid, ...Object.values(run.nodes).map(({ pid }) => pid)];
    process.kill(run.pid, 'SIGKILL');
    const second = await startCluster(ownFolder, demo);
    try {
      await until(() => pids.every((pid) => !isRunning(pid)), 60_000);
      await settle(second);
      expect(appliedOf(await statusOf(second))).toBeGreaterThan(100);
    } finally {
      expect(await second.stop()).toBe(0);
      removeFolder(ownFolder);
    }
  }, 180_000);
});

describe('skyshard, misused,', () => {
  it.each([
    [['up', '--demo', '--relay=wss://example.com'], {}, '--demo'],
    [['status'], { SKYSHARD_ROUTER_PROT: '1' }, 'did you mean SKYSHARD_ROUTER_PORT?'],
    [['node', 'n9', '--map=shard-map.json'], {}, 'has no node "n9"'],
    [['up', '--map=/nowhere/map.json', '--data-dir=/tmp/skyshard-never'], {}, '/nowhere/map.json'],
  ])('%j exits with 2 and names what is wrong', async (words, environment, expected) => {
    expect(await runCommand(words, environment)).toMatchObject({ code: 2, err: expect.stringContaining(expected) });
  });
});
