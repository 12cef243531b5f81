/** `skyshard slots double` where slots have replicas, and their logs are on a server. */
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeMemoryFolder } from '../../support/memory-folder.ts';
import { NatsServer } from '../../support/nats-server.ts';
import { Operator } from '../../support/operator.ts';
import { type RunningCluster, startCluster } from '../../support/running-cluster.ts';
import { until } from '../../support/until.ts';

const testMsMax = 240_000;
const waitMsMax = 60_000;

let server: NatsServer;
let folder: string;
let cluster: RunningCluster;
let operator: Operator;

beforeAll(async () => {
  server = await NatsServer.start();
  folder = makeMemoryFolder('skyshard-double-');
  const nodes = Object.fromEntries(['n0', 'n1'].map((name) => [name, { host: '127.0.0.1', port: 0 }]));
  const shards = [
    { name: 's0', primary: 'n0', replicas: ['n1'], slots: ['0-1'] },
    { name: 's1', primary: 'n1', replicas: ['n0'], slots: ['2-3'] },
  ];
  writeFileSync(join(folder, 'map.json'), JSON.stringify({ epoch: 1, slots: 4, nodes, shards }));
  const demo = ['--demo', '--demo-actors=20', '--demo-records=400', '--demo-rate=40'];
  cluster = await startCluster(folder, [...demo, `--log=${server.url}`, `--log-bytes-max=${2 ** 28}`]);
  operator = new Operator(cluster);
}, 120_000);

afterAll(async () => {
  await cluster?.stop();
  await server?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

it(
  'splits all copies while records come in, which are the same afterwards',
  async () => {
    await until(async () => (await operator.run('settle', '--timeout-ms=50000')).code === 0, waitMsMax);
    const dry = await operator.done('slots', 'double', '--dry-run');
    expect(dry).toMatch(/node +slots +bytes +room needed +free\nn0 +0-3 .*\nn1 +0-3 /);
    const out = await operator.done('slots', 'double');
    expect(out).toMatch(/4 of 4 slots are done\nepoch \d+: there are 8 slots/);
    const settled = await operator.run('settle', '--timeout-ms=50000');
    expect(settled.code, settled.err).toBe(0);
    const { nodes } = JSON.parse(await operator.done('status', '--json')) as {
      nodes: { slots: { slot: number; slots: number; knownSlots: number }[] }[];
    };
    for (const { slots } of nodes) {
      const said = slots.map((each) => [each.slot, each.slots, each.knownSlots]);
      expect(said.sort(([one], [other]) => one! - other!)).toEqual(
        Array.from({ length: 8 }, (_unused, slot) => [slot, 8, 8]),
      );
    }
    const verified = await operator.run('replica', 'verify');
    expect(verified.out).toMatch(/\nequal: 8 slots; different: 0; not compared: 0; copies left out: 0\n$/);
  },
  testMsMax,
);
