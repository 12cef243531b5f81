/** `skyshard status` of a router that a test plays: what it prints of the nodes. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type Ended, runCommand } from '../../support/running-cluster.ts';

let folder: string;
let server: Server;
let status: object;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-status-'));
  server = createServer((_request, response) => response.end(JSON.stringify(status)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

function run(...words: string[]): Promise<Ended> {
  const { port } = server.address() as AddressInfo;
  return runCommand(['status', ...words, `--router-url=http://127.0.0.1:${port}`, `--data-dir=${folder}`]);
}

function nodeOf(name: string, epoch: number): object {
  return { name, state: 'up', role: 'node', epoch, pid: 1, slots: [] };
}

it('names the processes whose shard map is older than that of another', async () => {
  status = { role: 'router', epoch: 4, nodes: [nodeOf('n0', 4), nodeOf('n1', 5)] };
  const { code, out } = await run();
  expect(code).toBe(0);
  expect(out).toContain('the router has the shard map of epoch 4, not 5, which it asks for\nn0 has the shard map');
  status = { role: 'router', epoch: 5, nodes: [nodeOf('n0', 5), nodeOf('n1', 5)] };
  expect((await run()).out).not.toContain('asks for');
});

it('shows nodes without slots, and counts none of them as missing', async () => {
  const down = { name: 'n2', state: 'down', code: 'Unavailable', error: 'it is not reached' };
  status = { role: 'router', epoch: 4, nodes: [nodeOf('n0', 4)], idleNodes: [nodeOf('n1', 4), down] };
  const { code, out } = await run();
  expect(code).toBe(0);
  expect(out).toContain('epoch 4, 1 nodes, 0 of them down, 2 more without slots\n');
  expect(out).toContain('n1 has no slots\nn2 has no slots, and is down: Unavailable: it is not reached\n');
  const json = JSON.parse((await run('--json')).out) as { nodes: { name: string }[] };
  expect(json.nodes.map(({ name }) => name)).toEqual(['n0', 'n1', 'n2']);
});
