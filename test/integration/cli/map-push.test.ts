/** A changed shard map is put in force in running processes, while requests run. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { PushReport } from '../../../src/mapchange/map-push.ts';
import { encodeMessage } from '../../../src/proto/codec.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { NodeClient } from '../../../src/wire/node-client.ts';
import { type MapContent, pushMap, shownMap, threeNodeFolder, threeNodes } from '../../support/map-cluster.ts';
import { type RunningCluster, removeFolder, runCommand, startCluster } from '../../support/running-cluster.ts';
import { until } from '../../support/until.ts';

const demo = ['--demo', '--demo-actors=20', '--demo-records=300', '--demo-rate=0'];

let folder: string;
let cluster: RunningCluster;
let dids: string[];

beforeAll(async () => {
  folder = threeNodeFolder();
  cluster = await startCluster(folder, demo);
  expect(await runCommand(['settle', `--data-dir=${cluster.dataDir}`])).toMatchObject({ code: 0 });
  await until(() => cluster.printed.out.includes('Ctrl-C stops everything'), 60_000);
  dids = [...new Set(cluster.printed.out.match(/did:plc:[a-z2-7]{24}/g))];
  expect(dids.length).toBeGreaterThan(0);
}, 180_000);

afterAll(async () => {
  await cluster.stop();
  removeFolder(folder);
}, 60_000);

const retryable = new Set(['unavailable', 'aborted']);

/** Asks as the official client does: again, up to three times, for what it retries. */
async function askActors(): Promise<string> {
  for (let attempt = 0; ; attempt++) {
    const response = await fetch(`${cluster.run.router.url}/bsky.Service/GetActors`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ dids: [...dids, 'did:web:a.example', 'did:web:b.example', 'did:web:c.example'] }),
    });
    const text = await response.text();
    if (response.ok) return text;
    const { code } = JSON.parse(text) as { code: string };
    if (attempt === 3 || !retryable.has(code)) return text;
  }
}

/** Asks without pause until `work` is done. Returns the answers that differ, and how many came. */
async function whileAsking<Result>(work: () => Promise<Result>): Promise<{ result: Result; count: number }> {
  const expected = await askActors();
  expect(expected).toContain('"actors"');
  let isOver = false;
  let count = 0;
  const asking = Array.from({ length: 4 }, async () => {
    while (!isOver) {
      expect(await askActors()).toBe(expected);
      count++;
    }
  });
  const result = await work().finally(() => {
    isOver = true;
  });
  await Promise.all(asking);
  return { result, count };
}

async function nextMap(change: (map: MapContent) => void = () => {}): Promise<MapContent> {
  const { map } = await shownMap(cluster);
  map.epoch++;
  change(map);
  return map;
}

function zoned(zone: string): (map: MapContent) => void {
  return (map) => {
    for (const node of Object.values(map.nodes)) node.zone = zone;
  };
}

describe('skyshard map push', () => {
  it('gives every process the map while requests run, none of which fails or answers otherwise', async () => {
    const pids = Object.values(cluster.run.nodes).map(({ pid }) => pid);
    const map = await nextMap(zoned('west'));
    const { result, count } = await whileAsking(() => pushMap(cluster, map));
    expect(result, result.err).toMatchObject({ code: 0 });
    const report = JSON.parse(result.out) as PushReport;
    expect(report.nodes).toEqual(threeNodes.map((name) => ({ name, state: 'has it', problem: null })));
    expect(report.others).toMatchObject([{ role: 'ingest', hasIt: true }]);
    expect(report.changes.map(({ what, after }) => [what, after])).toEqual(threeNodes.map(() => ['zone', 'west']));
    expect(count).toBeGreaterThan(4);
    const shown = await shownMap(cluster);
    expect(shown.nodes.map(({ epoch }) => epoch)).toEqual([map.epoch, map.epoch, map.epoch]);
    for (const pid of pids) expect(process.kill(pid, 0)).toBe(true);
  }, 120_000);

  it('may be repeated, and says so', async () => {
    const { map } = await shownMap(cluster);
    const again = await pushMap(cluster, map);
    expect(JSON.parse(again.out), again.err).toMatchObject({ isRepeated: true, changes: [] });
  }, 60_000);

  it('changes nothing when the map is refused, or for a dry run', async () => {
    const before = await shownMap(cluster);
    const stateOf = (): string[] => threeNodes.map((name) => readFileSync(statePath(name), 'utf8'));
    const files = stateOf();
    const good = await nextMap(zoned('east'));
    const refused: [object, string][] = [
      [{ ...good, epoch: 1 }, 'epoch 1 is below'],
      [{ ...good, epoch: before.epoch }, 'is in force with other contents'],
      [{ ...good, colour: 'red' }, 'unknown key "colour"'],
      [{ ...good, shards: good.shards.slice(1) }, 'slot 0 is in no shard'],
      [{ ...good, shards: [...good.shards, { ...good.shards[0]!, name: 's9' }] }, 'slot 0 is in'],
      [
        { ...good, slots: 8, shards: [...good.shards, { name: 's3', primary: 'n0', slots: ['4-7'] }] },
        '8 slots, while',
      ],
      [moved(good, 'n1'), 'it would be given slots 0, of which it has no data'],
      [moved({ ...good, nodes: { ...good.nodes, n3: { host: '127.0.0.1', port: 9 } } }, 'n3'), 'not in the map yet'],
    ];
    for (const [map, problem] of refused) {
      const { code, err } = await pushMap(cluster, map);
      expect([code, err]).toEqual([2, expect.stringContaining(problem)]);
    }
    const dry = await pushMap(cluster, good, ['--dry-run']);
    expect(JSON.parse(dry.out), dry.err).toMatchObject({ isDryRun: true, epoch: good.epoch });
    expect(await shownMap(cluster)).toMatchObject({ epoch: before.epoch, digest: before.digest });
    expect(stateOf()).toEqual(files);
  }, 180_000);

  it('goes on without a node that stands still, which answers nothing old and then catches up', async () => {
    const { pid } = cluster.run.nodes['n2']!;
    const map = await nextMap(zoned('north'));
    // A caller that knows of no change: its call lies at the node while that stands still.
    const before = parseShardMap((await shownMap(cluster)).map);
    let answeredEpoch = before.epoch;
    await using caller = new NodeClient({
      map: before,
      clusterToken: readFileSync(join(cluster.dataDir, 'cluster-token'), 'utf8').trim(),
      onOtherEpoch: (_node, epoch) => {
        answeredEpoch = epoch;
      },
      limits: { silenceMsMax: 60_000 },
    });
    const payload = encodeMessage('GetActorsRequest', { dids: [] });
    const ask = (): Promise<Uint8Array> =>
      caller.call({ node: 'n2', method: 'bsky.GetActors', payload, timeoutMs: 60_000 });
    await ask();
    expect(answeredEpoch).toBe(before.epoch);
    process.kill(pid, 'SIGSTOP');
    const late = ask();
    let report: PushReport;
    try {
      const pushed = await pushMap(cluster, map);
      expect(pushed, pushed.err).toMatchObject({ code: 0 });
      report = JSON.parse(pushed.out) as PushReport;
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await late;
    expect(answeredEpoch).toBe(map.epoch);
    expect(report.nodes.map(({ name, state }) => [name, state])).toEqual([
      ['n0', 'has it'],
      ['n1', 'has it'],
      ['n2', 'missed it'],
    ]);
    await until(async () => (await shownMap(cluster)).nodes.every(({ epoch }) => epoch === map.epoch), 60_000);
    expect(readFileSync(statePath('n2'), 'utf8')).toContain('"north"');
    expect(process.kill(pid, 0)).toBe(true);
    await whileAsking(async () => {});
  }, 120_000);

  it('needs more than half of the nodes', async () => {
    const before = await shownMap(cluster);
    const map = await nextMap(zoned('south'));
    const pids = ['n1', 'n2'].map((name) => cluster.run.nodes[name]!.pid);
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    try {
      const { code, err } = await pushMap(cluster, map);
      expect([code, err]).toEqual([1, expect.stringContaining('1 of 3 nodes can take the map')]);
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT');
    }
    expect(readFileSync(statePath('n0'), 'utf8')).not.toContain('south');
    await until(async () => (await shownMap(cluster)).nodes.every(({ epoch }) => epoch === before.epoch), 60_000);
  }, 120_000);

  it('outlives a restart of everything, whatever the file says', async () => {
    const { digest } = await shownMap(cluster);
    expect(await cluster.stop()).toBe(0);
    cluster = await startCluster(folder, demo);
    expect((await shownMap(cluster)).digest).toBe(digest);
    await whileAsking(async () => {});
  }, 180_000);
});

function statePath(node: string): string {
  const folder = join(cluster.dataDir, `node-${node}`);
  expect(existsSync(join(folder, 'map-state.json')), readdirSync(folder).join()).toBe(true);
  return join(folder, 'map-state.json');
}

/** The map with slot 0 on another node. */
function moved(map: MapContent, primary: string): MapContent {
  return { ...map, shards: map.shards.map((shard) => (shard.name === 's0' ? { ...shard, primary } : shard)) };
}
