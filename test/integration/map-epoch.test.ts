/** A node that a newer map may have taken slots from answers for none until it has that map. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type RunningNode, startNode } from '../../src/node/node-process.ts';
import { encodeMessage } from '../../src/proto/codec.ts';
import { parseShardMap } from '../../src/shardmap/shard-map.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { NodeClient } from '../../src/wire/node-client.ts';
import { nodeStatusMessage } from '../../src/wire/node-status.ts';
import { until } from '../support/until.ts';

/** A map of two slots, of which n0 has the second one or not. */
function mapJson(epoch: number, hasBoth: boolean, port = 0): object {
  const nodes = { n0: { host: '127.0.0.1', port }, n1: { host: '127.0.0.1', port: 1 } };
  const s1 = { name: 's1', primary: hasBoth ? 'n0' : 'n1', slots: ['1'] };
  return { epoch, slots: 2, nodes, shards: [{ name: 's0', primary: 'n0', slots: ['0'] }, s1] };
}

let folder: string;
let file: object;
let node: RunningNode;
const notes: string[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-epoch-'));
  file = mapJson(1, true);
  node = await startNode({
    name: 'n0',
    mapJson: file,
    readMap: () => file,
    dataDir: folder,
    host: '127.0.0.1',
    port: 0,
    slotMapBytes: 2 ** 28,
    lingerMs: 1,
    applyThreads: 2,
    prefetchReads: false,
    recordCacheMib: 1,
    adminToken: null,
    clusterToken: null,
    registry: new Registry(),
    note: (message) => void notes.push(message),
  });
});

afterEach(async () => {
  await node.close();
  rmSync(folder, { recursive: true, force: true });
});

const actors = encodeMessage('GetActorsRequest', { dids: ['did:web:n1.example'] });

/** Calls as a process that has the map of an epoch. */
async function callAt(epoch: number, method: string, payload: Uint8Array): Promise<Uint8Array> {
  await using client = new NodeClient({ map: parseShardMap(mapJson(epoch, true, node.port)) });
  return await client.call({ node: 'n0', method, payload, timeoutMs: 10_000 });
}

const read = (epoch: number): Promise<Uint8Array> => callAt(epoch, 'bsky.GetActors', actors);

async function epochOfNode(epoch: number): Promise<number> {
  return nodeStatusMessage.decode(await callAt(epoch, nodeCalls.status, Buffer.alloc(0))).epoch;
}

it('answers callers of its own epoch and of older ones', async () => {
  expect((await read(1)).length).toBeGreaterThan(0);
  file = mapJson(3, true);
  expect((await read(2)).length).toBeGreaterThan(0);
  expect(await epochOfNode(1)).toBe(3);
  expect((await read(1)).length).toBeGreaterThan(0);
});

it('refuses everybody while a caller has a newer map than its file, but for its status', async () => {
  await expect(read(2)).rejects.toMatchObject({ code: 'WrongEpoch', message: /epoch 1, and a peer that of 2/ });
  await expect(read(1)).rejects.toMatchObject({ code: 'WrongEpoch' });
  expect(await epochOfNode(1)).toBe(1);
  expect(notes.join()).toContain('give this process the same map file');
  file = mapJson(2, true);
  // The file is read about once a second.
  await until(() =>
    read(2).then(
      () => true,
      () => false,
    ),
  );
  expect(await epochOfNode(2)).toBe(2);
});

it('ends when the newer map gives it other slots, and answers for none until then', async () => {
  file = mapJson(2, false);
  await expect(read(2)).rejects.toMatchObject({ code: 'WrongEpoch' });
  await expect(read(1)).rejects.toMatchObject({ code: 'WrongEpoch' });
  await expect(node.failed).rejects.toMatchObject({ code: 'WrongEpoch', hint: 'Start the node again.' });
});
