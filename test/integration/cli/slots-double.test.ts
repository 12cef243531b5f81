/** `skyshard slots double` on processes that serve and write meanwhile. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { systemClock } from '../../../src/base/clock.ts';
import { adminRequest } from '../../../src/cli/admin-request.ts';
import { callService, listOf } from '../../../src/cli/service-call.ts';
import { Operator } from '../../support/operator.ts';
import {
  clusterFolder,
  type RunningCluster,
  removeFolder,
  sourceProgram,
  startCluster,
} from '../../support/running-cluster.ts';
import { until } from '../../support/until.ts';

const testMsMax = 240_000;
const waitMsMax = 60_000;

let folder: string;
let cluster: RunningCluster;
let operator: Operator;
let dids: string[];

const demo = ['--demo', '--demo-actors=30', '--demo-records=900', '--demo-rate=40'];

beforeAll(async () => {
  folder = clusterFolder(2);
  cluster = await startCluster(folder, demo);
  operator = new Operator(cluster);
  const path = '/xrpc/com.atproto.sync.listRepos';
  const listed = await adminRequest({ url: cluster.run.demo!.url, path, token: null, timeoutMs: waitMsMax });
  dids = listOf(listed as Record<string, unknown>, 'repos').map((repo) => String(repo['did']));
}, 120_000);

afterAll(async () => {
  await cluster?.stop();
  removeFolder(folder);
}, 60_000);

/** Starts a doubling, and ends the command as soon as it has begun. */
async function killedOnTheWay(): Promise<void> {
  const [program, ...first] = sourceProgram;
  const words = ['slots', 'double', '--lease-holder=ana', `--data-dir=${cluster.dataDir}`];
  const child: ChildProcess = spawn(program!, [...first, ...words], { stdio: ['ignore', 'pipe', 'ignore'] });
  let out = '';
  child.stdout!.on('data', (text: Buffer) => {
    out += text.toString();
  });
  await until(() => out.includes('slots split one by one'), waitMsMax);
  child.kill('SIGKILL');
  await once(child, 'close');
}

/** Reads accounts on and on. `end` returns how many reads there were, and what failed. */
function readOn(): { end(): Promise<{ reads: number; failures: string[] }> } {
  const router = { url: cluster.run.router.url, timeoutMs: 10_000 };
  const result = { reads: 0, failures: [] as string[] };
  let isOver = false;
  const reading = (async () => {
    for (; !isOver; await systemClock.sleep(5)) {
      await callService(router, 'GetActors', { dids }).then(
        (answer) => {
          const lacking = listOf(answer, 'actors').filter((actor) => actor['exists'] !== true).length;
          if (lacking > 0) result.failures.push(`${lacking} actors are missing`);
          else result.reads++;
        },
        (thrown: Error) => result.failures.push(thrown.message),
      );
    }
  })();
  return {
    end: async () => {
      isOver = true;
      await reading;
      return result;
    },
  };
}

/** Returns the process of each node. */
function processes(): string[] {
  return ['n0', 'n1'].map((name) => readFileSync(join(cluster.dataDir, `node-${name}.pid`), 'utf8'));
}

it(
  'says what it would do, and changes nothing',
  async () => {
    const dry = await operator.done('slots', 'double', '--dry-run');
    expect(dry).toMatch(/node +slots +bytes +room needed +free\nn0 +0-1 .*\nn1 +2-3 /);
    expect(dry).toContain('4 slots become 8: slot i stays i, and gives half of its accounts to slot i + 4');
    expect(dry).toContain('epoch 2 can be pushed; nothing is changed');
    expect(JSON.parse(await operator.done('slots', 'double', '--dry-run', '--json'))).toMatchObject({
      slots: 4,
      becomes: 8,
      isDryRun: true,
      nodes: [{ node: 'n0', slots: [0, 1] }, { node: 'n1' }],
    });
    expect(await operator.done('slots', 'status')).toMatch(
      /^4 slots, as epoch \d+ of the map says; none is being split\n$/,
    );
  },
  testMsMax,
);

it(
  'doubles while all is read and written; a killed command goes on; nobody starts again',
  async () => {
    await until(async () => {
      const { code, out } = await operator.run('settle', '--timeout-ms=50000');
      return code === 0 && out.length > 0;
    }, waitMsMax);
    const [reading, before] = [readOn(), processes()];
    await killedOnTheWay();
    await operator.refused(['slots', 'double', '--lease-holder=bob'], 'ana holds the lease on the map until');
    const out = await operator.done('slots', 'double', '--lease-holder=ana');
    expect(out).toMatch(/4 of 4 slots are done\nepoch \d+: there are 8 slots/);
    expect(await operator.done('slots', 'status')).toContain('8 slots, as epoch');
    const { reads, failures } = await reading.end();
    expect(failures).toEqual([]);
    expect(reads).toBeGreaterThan(10);
    expect(processes()).toEqual(before);
    const log = await operator.done('map', 'log');
    expect(log).toMatch(/ana +double 4 slots to 8\n[\s\S]*ana +end the doubling: 8 slots/);
    const settled = await operator.run('settle', '--timeout-ms=50000');
    expect(settled.code, settled.err).toBe(0);
    const { nodes } = JSON.parse(await operator.done('status', '--json')) as {
      nodes: { slots: { slot: number; slots: number; knownSlots: number }[] }[];
    };
    const slots = nodes.flatMap((node) => node.slots).map((each) => [each.slot, each.slots, each.knownSlots]);
    expect(slots.sort(([one], [other]) => one! - other!)).toEqual(
      Array.from({ length: 8 }, (_unused, slot) => [slot, 8, 8]),
    );
  },
  testMsMax,
);

it(
  'is what everybody starts with again',
  async () => {
    expect(await cluster.stop()).toBe(0);
    cluster = await startCluster(folder, demo);
    expect(await operator.done('slots', 'status')).toContain('8 slots, as epoch');
    const router = { url: cluster.run.router.url, timeoutMs: 10_000 };
    const answer = await callService(router, 'GetActors', { dids });
    expect(listOf(answer, 'actors').filter((actor) => actor['exists'] === true)).toHaveLength(dids.length);
  },
  testMsMax,
);
