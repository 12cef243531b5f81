/** `skyshard backup` and `restore` in real processes: a drill, kills in the middle, refusals. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { callService, listOf } from '../../../src/cli/service-call.ts';
import { DemoCluster } from '../../support/demo-cluster.ts';
import {
  clusterFolder,
  type Ended,
  type RunningCluster,
  removeFolder,
  runCommand,
  sourceProgram,
  startCluster,
} from '../../support/running-cluster.ts';

let demo: DemoCluster;
let backups: string;

beforeAll(async () => {
  demo = await DemoCluster.start(300);
  backups = join(demo.folder, 'backups');
}, 120_000);

afterAll(() => demo.stop(), 60_000);

/** Runs a command, and kills it once it has printed `lines` lines. */
async function runUntil(lines: number, ...words: string[]): Promise<number> {
  const child = spawn(sourceProgram[0]!, [...sourceProgram.slice(1), ...words], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let out = '';
  child.stdout.on('data', (text: Buffer) => {
    out += text.toString();
    if (out.split('\n').length > lines) child.kill('SIGKILL');
  });
  await once(child, 'close');
  return out.split('\n').length - 1;
}

async function feeds(cluster: RunningCluster, dids: readonly string[]): Promise<unknown[]> {
  const router = { url: cluster.run.router.url, timeoutMs: 30_000 };
  const one = async (actorDid: string): Promise<unknown[]> => [
    listOf(await callService(router, 'GetAuthorFeed', { actorDid }), 'items'),
    listOf(await callService(router, 'GetFollowers', { actorDid, limit: 100 }), 'followers'),
  ];
  return Promise.all(dids.map(one));
}

/** Restores from the folder of backups into another one, by the map of a folder. */
function restore(folder: string, ...words: string[]): Promise<Ended> {
  const flags = [`--data-dir=${join(folder, 'data')}`, `--map=${join(folder, 'map.json')}`];
  return runCommand(['restore', backups, ...flags, ...words]);
}

it('backs up while it serves; killed in the middle it goes on, and unchanged slots are not copied again', async () => {
  const dry = await demo.run('backup', backups, '--dry-run');
  expect(dry).toMatchObject({
    code: 0,
    err: '',
    out: expect.stringMatching(/slot +from +bytes\n +0 +n0 .*would be copied/),
  });
  expect(existsSync(backups)).toBe(false);
  const killed = ['backup', backups, `--data-dir=${demo.cluster.dataDir}`, '--throttle=200000', '--json'];
  expect(await runUntil(2, ...killed)).toBeGreaterThanOrEqual(2);
  expect((await runCommand(['backup', 'list', backups])).out).toMatch(/unfinished, \d to come\n$/);
  expect(await demo.run('restore', backups)).toMatchObject({
    code: 1,
    err: expect.stringContaining('no whole backup yet'),
  });
  const first = await demo.run('backup', backups, '--json');
  const whole = JSON.parse(first.out.trim().split('\n').at(-1)!) as { slots: number; slotsCopied: number };
  expect([first.code, whole.slots]).toEqual([0, 4]);
  expect(whole.slotsCopied).toBeLessThan(4);
  const second = await demo.run('backup', 'create', backups, '--keep=1');
  expect(second.out).toMatch(
    /4 slots, .*; 0 copied now, 4 there already\nbackup .* is removed\n`skyshard restore .*` restores it\n$/,
  );
  expect((await runCommand(['backup', 'list', backups])).out).toMatch(
    /^backup +epoch.*\n\S+ +1 +4 of 4 .*yes +whole\n$/,
  );
  expect(await runCommand(['backup', 'verify', backups])).toMatchObject({
    code: 0,
    out: expect.stringMatching(/(?:slot-0000\d-.*: whole .*\n){4}ingest-.*: whole \(5 of 5\)\n$/),
  });
}, 120_000);

it('restores a lost cluster of two nodes to one; killed in the middle it goes on', async () => {
  const dids = await demo.dids();
  const before = await feeds(demo.cluster, dids);
  const folder = clusterFolder(1);
  const map = JSON.parse(readFileSync(join(folder, 'map.json'), 'utf8')) as object;
  try {
    expect((await restore(folder, '--dry-run')).out).toMatch(
      /(?: +\d +n0 .*would be restored\n){4}[\s\S]*as the whole cluster\n$/,
    );
    const flags = [`--data-dir=${join(folder, 'data')}`, `--map=${join(folder, 'map.json')}`];
    expect(await runUntil(2, 'restore', backups, ...flags)).toBeGreaterThanOrEqual(2);
    // No process takes a part for the whole.
    const early = await runCommand(['node', 'n0', ...flags]);
    expect(early).toMatchObject({ code: 2, err: expect.stringContaining('in the middle of a restore') });
    const done = await restore(folder);
    expect(done).toMatchObject({ code: 0, err: '' });
    expect(done.out).toMatch(/ingest: restored to .*\n\nnext:\n {2}1\. for a log on NATS servers/);
    expect(await restore(folder)).toMatchObject({ code: 2, err: expect.stringContaining('holds slots already: 0-3') });
    writeFileSync(join(folder, 'map.json'), JSON.stringify(map));
    const restored = await startCluster(folder, []);
    try {
      expect((await runCommand(['settle', `--data-dir=${restored.dataDir}`])).code).toBe(0);
      expect(await feeds(restored, dids)).toEqual(before);
      const status = await runCommand(['status', '--json', `--data-dir=${restored.dataDir}`]);
      expect(status.out).not.toMatch(/"condition": ?"(?:incomplete|new)"/);
    } finally {
      await restored.stop();
    }
  } finally {
    removeFolder(folder);
  }
}, 180_000);

it('refuses what it cannot do, and changes nothing', async () => {
  const folder = clusterFolder(1);
  const refused = async (ended: Promise<Ended>, problem: string): Promise<void> => {
    const { code, err } = await ended;
    expect(err).toContain(problem);
    expect(code).not.toBe(0);
    // What to do is below the problem.
    expect(err.trim().split('\n').length).toBeGreaterThan(1);
  };
  try {
    const path = join(folder, 'map.json');
    const map = JSON.parse(readFileSync(path, 'utf8')) as object;
    await refused(demo.run('backup', demo.folder), 'holds something else');
    await refused(demo.run('backup', backups, '--throttle=0'), '--throttle: must be a whole number from 1024');
    await refused(demo.run('backup', backups, '--slots=9'), '"9" names no slots');
    await refused(demo.run('backup', backups, '--node=n7'), 'the map has no node "n7"');
    await refused(
      runCommand(['backup', backups, `--map=${join(demo.cluster.dataDir, 'shard-map.json')}`, `--data-dir=${folder}`]),
      'holds no state of ingest',
    );
    await refused(demo.run('restore', backups, `--map=${path}`), 'holds slots already');
    await refused(restore(folder, '--backup=20200101t000000z'), 'has no backup 20200101t000000z');
    await refused(restore(folder, '--node=n7'), 'the map has no node "n7"');
    await refused(restore(folder, '--slots=9'), '"9" names no slots');
    writeFileSync(path, JSON.stringify({ ...map, cluster: 'other' }));
    await refused(restore(folder), 'the map of "other"');
    writeFileSync(path, JSON.stringify({ ...map, slots: 2, shards: [{ name: 's0', primary: 'n0', slots: ['0-1'] }] }));
    await refused(restore(folder), 'is of 4 slots, and the map has 2');
    writeFileSync(path, JSON.stringify(map));
    const copies = join(backups, 'copies');
    const [first] = readdirSync(copies).filter((name) => name.startsWith('slot-00000'));
    const file = join(copies, first!, 'data.mdb');
    renameSync(file, `${file}.kept`);
    const bytes = readFileSync(`${file}.kept`);
    writeFileSync(file, Buffer.concat([bytes.subarray(0, -1), Buffer.of(bytes.at(-1)! ^ 1)]));
    const verified = await runCommand(['backup', 'verify', backups]);
    expect(verified).toMatchObject({ code: 1, out: expect.stringContaining('cannot restore slots 0\n') });
    await refused(restore(folder), `the copy ${first} is refused`);
    expect(existsSync(join(folder, 'data', 'node-n0', 'slots'))).toBe(false);
    appendFileSync(file, 'x');
    expect((await runCommand(['backup', 'verify', backups])).out).toContain('not there in its full length');
    rmSync(file);
    renameSync(`${file}.kept`, file);
    expect((await runCommand(['backup', 'verify', backups])).code).toBe(0);
  } finally {
    removeFolder(folder);
  }
}, 120_000);

it('puts one slot back into a cluster that went on, and says what repairs it', async () => {
  const folder = clusterFolder(1);
  try {
    const one = await restore(folder, '--slots=2');
    expect(one).toMatchObject({ code: 0 });
    expect(one.out).toMatch(
      /^slot 2 of n0: restored at seq \d+, .* \(1 of 1\)\n\nnext:\n {2}1\. start n0; then `skyshard repair slot <n>` for each of 2/,
    );
    expect(readdirSync(join(folder, 'data', 'node-n0', 'slots'))).toEqual(['00002']);
    const ingest = await restore(folder, '--node=ingest', '--json');
    expect(ingest.code).toBe(0);
    expect(existsSync(join(folder, 'data', 'ingest', 'data.mdb'))).toBe(true);
  } finally {
    removeFolder(folder);
  }
}, 60_000);

it('asks the nodes for the map in force, of which the file may know little', async () => {
  type MapJson = { readonly epoch: number; readonly nodes: object };
  const { map } = JSON.parse((await demo.run('map', 'show', '--json')).out) as { map: MapJson };
  const [next, stale] = [join(demo.folder, 'next.json'), join(demo.folder, 'stale.json')];
  writeFileSync(next, JSON.stringify({ ...map, epoch: map.epoch + 1 }));
  expect(await demo.run('map', 'push', next)).toMatchObject({ code: 0 });
  const nodes = { ...map.nodes, gone: { host: '127.0.0.1', port: 1 } };
  writeFileSync(stale, JSON.stringify({ ...map, nodes, shards: [{ name: 's0', primary: 'gone', slots: ['0-3'] }] }));
  const made = await demo.run('backup', join(demo.folder, 'later'), `--map=${stale}`);
  expect(made, made.err).toMatchObject({ code: 0, out: expect.stringContaining('4 slots') });
  expect((await runCommand(['backup', 'list', join(demo.folder, 'later')])).out).toMatch(/\n\S+ +2 +4 of 4 .*whole\n$/);
}, 120_000);
