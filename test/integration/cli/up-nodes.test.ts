/** `skyshard up --nodes N --log …`: many nodes on one machine, and the layouts that it refuses. */
import { expect, it } from 'vitest';
import { adminRequest } from '../../../src/cli/admin-request.ts';
import { NatsServer } from '../../support/nats-server.ts';
import {
  ownMapFolder,
  removeFolder,
  runCommand,
  sourceProgram,
  startCluster,
  upFlags,
} from '../../support/running-cluster.ts';
import { stopAfterEach } from '../../support/stop-after-each.ts';

const testMsMax = 240_000;
const waitMsMax = 60_000;

const resources = stopAfterEach();

it(
  'deals the slots out, serves them behind a router, and refuses the data of another layout',
  async () => {
    const server = await NatsServer.start();
    resources.defer(() => server[Symbol.asyncDispose]());
    const folder = ownMapFolder();
    resources.defer(() => removeFolder(folder));
    const log = [`--log=${server.url}`, `--log-bytes-max=${2 ** 28}`];
    const demo = ['--demo', '--demo-actors=10', '--demo-records=200', '--demo-rate=0'];
    const cluster = await startCluster(folder, ['--nodes=3', ...log, ...demo]);
    resources.defer(() => cluster.stop());
    expect(Object.keys(cluster.run.nodes)).toEqual(['n0', 'n1', 'n2']);
    const { url } = cluster.run.router;
    const ask = (path: string, body?: object) =>
      adminRequest({ url, path, token: null, timeoutMs: waitMsMax, ...(body === undefined ? {} : { body }) });
    expect(await ask('/v1/settle', {})).toMatchObject({ settled: true, slots: 16 });
    const { nodes } = (await ask('/v1/status')) as { nodes: { slots: { slot: number }[]; log: object }[] };
    expect(nodes.map(({ slots }) => slots.length)).toEqual([5, 5, 6]);
    expect(nodes.map((node) => node.log)).toEqual(Array(3).fill(expect.objectContaining({ problem: null })));
    expect(await cluster.stop()).toBe(0);

    for (const other of [['--nodes=2'], []]) {
      const refused = await runCommand(['up', ...upFlags(folder), ...log, ...other], {}, sourceProgram, folder);
      expect(refused.code).toBe(2);
      expect(refused.err).toContain('lacks slots that are in');
      expect(refused.err).toContain(`skyshard up --data-dir ${cluster.dataDir} --map ${cluster.run.map}`);
    }
    const given = await runCommand(['up', ...upFlags(folder), '--nodes=3', `--map=${cluster.run.map}`]);
    expect(given.code).toBe(2);
    expect(given.err).toContain('--nodes: not with --map');
  },
  testMsMax,
);
