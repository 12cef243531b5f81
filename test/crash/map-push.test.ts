/** A push of the shard map whose processes die on the way is finished by the next one. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { MapJson } from '../../src/shardmap/map-follower.ts';
import { mapAnswer, mapRequest } from '../../src/wire/map-messages.ts';
import { nodeCalls } from '../../src/wire/node-calls.ts';
import { CrashCluster } from '../support/crash-cluster.ts';
import { pushFrom } from '../support/map-pusher.ts';
import { until } from '../support/until.ts';

const script = join(import.meta.dirname, '..', 'support', 'map-pusher.ts');

let cluster: CrashCluster;
let next: MapJson;

beforeEach(async () => {
  cluster = await CrashCluster.make();
  await Promise.all(['a', 'b'].map((node) => cluster.start(node)));
  next = { ...cluster.mapJson, epoch: 2, lease: { holder: 'ana', until: '2000-01-01T00:00:00Z' } };
}, 240_000);

afterEach(async () => {
  await cluster[Symbol.asyncDispose]();
});

/** Returns the epochs in force and promised, of both nodes. */
async function epochs(): Promise<(number | null)[][]> {
  const payload = mapRequest.encode({ caller: null, withProcesses: false });
  const one = async (node: string): Promise<(number | null)[]> => {
    const answer = await cluster.client.call({ node, method: nodeCalls.map, payload, timeoutMs: 10_000 });
    const { committed, prepared } = mapAnswer.decode(answer);
    return [committed.epoch, prepared?.epoch ?? null];
  };
  return await Promise.all(['a', 'b'].map(one));
}

/** Pushes from a process that dies before anyone is told to put the map in force. */
async function pushAndDie(): Promise<void> {
  const child = spawn(process.execPath, [script, JSON.stringify({ from: cluster.mapJson, next })], {
    stdio: 'inherit',
  });
  expect(await once(child, 'exit')).toEqual([null, 'SIGKILL']);
}

it('who pushes dies between promise and commit: the old map serves, and the same push finishes it', async () => {
  await pushAndDie();
  expect(await epochs()).toEqual([
    [1, 2],
    [1, 2],
  ]);
  const other = { ...next, lease: null };
  await expect(pushFrom(cluster.mapJson, other)).rejects.toThrow('is prepared and may be in force elsewhere');
  expect((await pushFrom(cluster.mapJson, next)).nodes.map(({ state }) => state)).toEqual(['has it', 'has it']);
  expect(await epochs()).toEqual([
    [2, null],
    [2, null],
  ]);
}, 240_000);

it('a node that dies too keeps its promise, and comes back with the map that was pushed', async () => {
  await pushAndDie();
  await cluster.stop('b', 'SIGKILL');
  await cluster.start('b');
  await until(async () => (await epochsIfReached()) === '1,2,1,2', 60_000);
  await pushFrom(cluster.mapJson, next);
  for (const node of ['a', 'b']) {
    await cluster.stop(node, 'SIGKILL');
    await cluster.start(node);
  }
  await until(async () => (await epochsIfReached()) === '2,,2,', 60_000);
}, 400_000);

/** Returns '' while a node cannot be reached. */
async function epochsIfReached(): Promise<string> {
  return await epochs().then(String, () => '');
}
