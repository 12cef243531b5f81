/** `skyshard move`, `drain` and `rebalance` on processes that serve and write meanwhile. */
import { type ChildProcess, spawn } from 'node:child_process';
import { on, once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { systemClock } from '../../../src/base/clock.ts';
import { adminRequest } from '../../../src/cli/admin-request.ts';
import { callService, listOf } from '../../../src/cli/service-call.ts';
import type { MovePlan } from '../../../src/shardmap/move-plan.ts';
import { NatsServer } from '../../support/nats-server.ts';
import { Operator } from '../../support/operator.ts';
import { type RunningCluster, sourceProgram, startCluster } from '../../support/running-cluster.ts';
import { until } from '../../support/until.ts';

const testMsMax = 240_000;
const waitMsMax = 60_000;

let server: NatsServer;
let folder: string;
let cluster: RunningCluster;
let operator: Operator;
let dids: string[];

beforeAll(async () => {
  server = await NatsServer.start();
  folder = mkdtempSync(join(tmpdir(), 'skyshard-move-'));
  const nodes = Object.fromEntries(['n0', 'n1', 'n2'].map((name) => [name, { host: '127.0.0.1', port: 0 }]));
  const shards = [
    { name: 's0', primary: 'n0', replicas: [], slots: ['0-1'] },
    { name: 's1', primary: 'n1', replicas: [], slots: ['2'] },
    { name: 's2', primary: 'n2', replicas: [], slots: ['3'] },
  ];
  writeFileSync(join(folder, 'map.json'), JSON.stringify({ epoch: 1, slots: 4, nodes, shards }));
  const demo = ['--demo', '--demo-actors=20', '--demo-records=400', '--demo-rate=40'];
  cluster = await startCluster(folder, [...demo, `--log=${server.url}`, `--log-bytes-max=${2 ** 28}`]);
  operator = new Operator(cluster);
  const path = '/xrpc/com.atproto.sync.listRepos';
  const listed = await adminRequest({ url: cluster.run.demo!.url, path, token: null, timeoutMs: waitMsMax });
  dids = listOf(listed as Record<string, unknown>, 'repos').map((repo) => String(repo['did']));
}, 120_000);

afterAll(async () => {
  await cluster?.stop();
  await server[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
}, 60_000);

/** Reads accounts on and on. `end` returns how many reads there were, and what failed. */
function readOn(): { end(): Promise<{ reads: number; failures: string[] }> } {
  const router = { url: cluster.run.router.url, timeoutMs: 10_000 };
  const result = { reads: 0, failures: [] as string[] };
  let isOver = false;
  const reading = (async () => {
    for (let index = 0; !isOver; index++) {
      const actorDid = dids[index % dids.length]!;
      await callService(router, 'GetFollowers', { actorDid, limit: 50 }).then(
        () => result.reads++,
        (thrown: Error) => result.failures.push(thrown.message),
      );
      await systemClock.sleep(10);
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

async function begun(words: readonly string[]): Promise<ChildProcess> {
  const [program, ...first] = sourceProgram;
  const child = spawn(program!, [...first, ...words, `--data-dir=${cluster.dataDir}`], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let out = '';
  child.stdout.on('data', (text: Buffer) => {
    out += text.toString();
  });
  await until(() => out.includes('are copied; Ctrl-C'), waitMsMax);
  return child;
}

/** Returns what the page of the router is told of moves. */
async function movesOfPage(): Promise<unknown> {
  const socket = new WebSocket(`ws://127.0.0.1:${cluster.run.router.port}/v1/live`);
  try {
    for await (const [data] of on(socket, 'message', { signal: AbortSignal.timeout(waitMsMax) })) {
      const message = JSON.parse(String(data)) as { type: string; cluster?: { moves: { groups: unknown } } };
      if (message.cluster !== undefined) return message.cluster.moves.groups;
    }
    return null;
  } finally {
    socket.terminate();
  }
}

/** Returns the process of each node. */
function processes(): string[] {
  return ['n0', 'n1', 'n2'].map((name) => readFileSync(join(cluster.dataDir, `node-${name}.pid`), 'utf8'));
}

async function primaries(): Promise<string[]> {
  const { map } = JSON.parse(await operator.done('map', 'show', '--json')) as {
    map: { shards: { primary: string; slots: string[] }[] };
  };
  return map.shards.map(({ primary, slots }) => `${slots.join()}:${primary}`).sort();
}

it(
  'refuses what it cannot do, and changes nothing',
  async () => {
    const before = await primaries();
    await operator.refused(['move'], 'no slot is moving: say what is to move by --slots or --shard');
    await operator.refused(['move', '--slots=0'], 'say what is to move by --slots or --shard');
    await operator.refused(['move', '--slots=0', '--to=n7'], 'the map has no node "n7"');
    await operator.refused(['move', '--slots=9', '--to=n2'], '"9" names no slots');
    await operator.refused(['move', '--slots=0', '--to=n0'], 'node n0 is the primary of slot 0 already');
    await operator.refused(['move', '--slots=0', '--from=n1', '--to=n2'], 'node n1 has no copy of slot 0');
    await operator.refused(
      ['move', '--slots=0', '--to=n2', '--throttle=0'],
      '--throttle: must be a whole number from 1024',
    );
    await operator.refused(
      ['move', '--slots=0', '--to=n2', '--throttle-p99-ms=0'],
      '--throttle-p99-ms: must be a whole number',
    );
    for (const step of ['pause', 'resume', 'cancel', 'reverse', 'drop'])
      await operator.refused(['move', step], 'no slot is moving');
    await operator.refused(['drain', 'n7'], 'the map has no node "n7"');
    const plan = join(folder, 'plan.json');
    writeFileSync(plan, '{"epoch":1}');
    await operator.refused(['move', `--plan=${plan}`], 'plan.json: cluster');
    const other = { cluster: '', epoch: 7, moves: [{ slot: 0, from: 'n0', to: 'n2', bytes: 1 }] };
    writeFileSync(plan, JSON.stringify(other));
    await operator.refused(['move', `--plan=${plan}`], 'the plan is for epoch 7');
    expect(await operator.done('move', 'status')).toBe('no slot is moving\n');
    expect(await operator.done('move', 'explain', '0')).toMatch(
      /n0 +primary .*\nn1 +- +can take it.*\nn2 +- +can take it/,
    );
    const dry = await operator.done('move', '--slots=0-1', '--to=n2', '--dry-run');
    expect(dry).toMatch(
      /slot +from +to +bytes +entries behind +ETA\n +0 +n0 +n2 .*\n +1 +n0 +n2 .*\n2 slots, .*\nnode +room needed +free\nn0 .*\nn2 .*\n[\s\S]*nothing is changed/,
    );
    expect(await primaries()).toEqual(before);
  },
  testMsMax,
);

it(
  'is paused, ended for another operator, cancelled, and leaves nothing behind',
  async () => {
    const child = await begun(['move', '--slots=0', '--to=n2', '--throttle=2048', '--lease-holder=ana']);
    child.kill('SIGKILL');
    await once(child, 'close');
    await operator.refused(
      ['move', '--slots=1', '--to=n2', '--lease-holder=bob'],
      'ana holds the lease on the map until',
    );
    await operator.refused(
      ['move', '--slots=0', '--to=n1', '--lease-holder=ana'],
      'slot 0 is moving already, from n0 to n2',
    );
    await operator.refused(['slots', 'double', '--lease-holder=ana'], 'slots 0 are moving from n0 to n2');
    expect(await operator.done('move', 'pause', '--lease-holder=ana')).toContain('slots 0 are paused');
    await until(async () => (await operator.run('move', 'status')).out.includes(' paused'), waitMsMax);
    const paused = { from: 'n0', to: 'n2', slots: 1, countByPhase: { paused: 1 } };
    expect(await movesOfPage()).toMatchObject([paused]);
    expect(await operator.done('move', 'resume')).toContain('slots 0 go on');
    await operator.refused(['move', 'drop'], 'not handed over yet, so there is nothing to drop');
    expect(await operator.done('move', 'cancel')).toContain('slots 0 stay where they are');
    const slotsOf = join(cluster.dataDir, 'node-n2', 'slots');
    await until(async () => (await operator.done('move', 'status')) === 'no slot is moving\n', waitMsMax);
    const namesIn = (path: string): string[] => (existsSync(path) ? readdirSync(path) : []);
    const fetching = join(cluster.dataDir, 'node-n2', 'fetching');
    await until(() => namesIn(slotsOf).join() === '00003' && namesIn(fetching).length === 0, waitMsMax);
    expect(await operator.done('map', 'log')).toMatch(
      /epoch 2 .* ana +move slot 0 from n0 to n2\n[\s\S]*cancel the move of slots 0/,
    );
  },
  testMsMax,
);

it(
  'moves slots while they are read and written; a killed command goes on; and it goes back',
  async () => {
    const [reading, before] = [readOn(), processes()];
    const child = await begun(['move', '--slots=0-1', '--to=n2']);
    child.kill('SIGKILL');
    await once(child, 'close');
    const out = await operator.done('move');
    expect(out).toMatch(/slot 0: n0, n2 are equal at seq \d+\n(?:.*\n)*slot 1: n0, n2 are equal at seq \d+\n/);
    expect(out).toMatch(/slots 0-1 are handed over; the old copies are kept in step\n/);
    expect(await primaries()).toEqual(['0-1:n2', '2:n1', '3:n2']);
    expect(await operator.done('move', 'status')).toMatch(/(?: +\d +n0 +n2 +kept .*\n){2}/);
    expect(await movesOfPage()).toMatchObject([{ from: 'n0', to: 'n2', slots: 2, countByPhase: { kept: 2 } }]);
    const metrics = await fetch(`${cluster.run.nodes['n2']!.url}/metrics`);
    expect(await metrics.text()).toContain('skyshard_slots_moving{from="n0",to="n2",state="kept"} 2\n');
    // The command that was killed after its last step says the same as one that was not.
    expect(await operator.done('move')).toBe(out.slice(out.lastIndexOf('epoch ')));
    expect(await operator.done('move', 'reverse', '--slots=1')).toContain('slots 1 are back at their source');
    expect(await primaries()).toEqual(['0:n2', '1:n0', '2:n1', '3:n2']);
    expect(await operator.done('move')).toContain('slots 1 are handed over');
    expect(await operator.done('move', 'verify')).toMatch(
      /slot 0: n2, n0 are equal at seq \d+, [1-9]\d* rows compared one by one\nslot 1: .* are equal at seq/,
    );
    expect(await operator.done('move', 'drop')).toContain('slots 0-1 are moved');
    const { reads, failures } = await reading.end();
    expect(reads).toBeGreaterThan(100);
    expect(failures).toEqual([]);
    expect(processes()).toEqual(before);
    const left = join(cluster.dataDir, 'node-n0', 'slots');
    await until(() => readdirSync(left).length === 0, waitMsMax);
    expect(await operator.done('settle')).toContain('settled');
  },
  testMsMax,
);

it(
  'rebalances by a plan that is saved, and drains',
  async () => {
    const saved = await operator.done('rebalance', '--dry-run', '--json');
    const { epoch, moves } = JSON.parse(saved) as MovePlan;
    // Node n0 is empty by now.
    expect(moves.map(({ to }) => to)).toContain('n0');
    const plan = join(folder, 'plan.json');
    writeFileSync(plan, saved);
    expect(await operator.done('move', `--plan=${plan}`, '--dry-run')).toContain(`epoch ${epoch + 1} can be pushed`);
    expect(await operator.done('move', `--plan=${plan}`)).toContain('are handed over');
    await operator.refused(['rebalance'], 'are moving');
    expect(await operator.done('move', 'drop')).toContain('are moved');
    await operator.refused(['move', `--plan=${plan}`], `the plan is for epoch ${epoch}`);
    expect(await operator.done('drain', 'n1')).toContain('are handed over');
    expect(await operator.done('move', 'drop')).toContain('are moved');
    expect((await primaries()).join()).not.toContain('n1');
    expect(await operator.done('settle')).toContain('settled');
  },
  testMsMax,
);
