/** A real Prometheus scrapes a running cluster, by the configuration and the rules of `ops/`. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { metricTable } from '../../../src/metrics/metric-table.ts';
import { namedMetrics, rulesFolder } from '../../support/prometheus-files.ts';
import { clusterFolder, type RunningCluster, removeFolder, startCluster } from '../../support/running-cluster.ts';
import { until } from '../../support/until.ts';

let folder: string;
let cluster: RunningCluster;
let prometheus: ChildProcess;
let url: string;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

beforeAll(async () => {
  folder = clusterFolder();
  cluster = await startCluster(folder, ['--demo', '--demo-actors=20', '--demo-records=300', '--demo-rate=5']);
  const { router, ingest, nodes } = cluster.run;
  const targets = [router, ingest, ...Object.values(nodes)].map(({ port }) => `127.0.0.1:${port}`);
  const given = readFileSync(join(rulesFolder, 'scrape.yml'), 'utf8');
  const config = given
    .replaceAll('15s', '1s')
    .replace(/ {6}- targets:\n[\s\S]*$/, `      - targets: ${JSON.stringify(targets)}\n`);
  mkdirSync(join(folder, 'prometheus'));
  writeFileSync(join(folder, 'prometheus', 'scrape.yml'), config);
  copyFileSync(join(rulesFolder, 'rules.yml'), join(folder, 'prometheus', 'rules.yml'));
  const port = await freePort();
  url = `http://127.0.0.1:${port}`;
  prometheus = spawn(
    'prometheus',
    [
      `--config.file=${join(folder, 'prometheus', 'scrape.yml')}`,
      `--storage.tsdb.path=${join(folder, 'prometheus', 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { stdio: 'ignore' },
  );
}, 120_000);

afterAll(async () => {
  prometheus.kill('SIGTERM');
  if (prometheus.exitCode === null) await once(prometheus, 'exit');
  await cluster.stop();
  removeFolder(folder);
}, 60_000);

type Sample = { readonly metric: Readonly<Record<string, string>>; readonly value: [number, string] };

async function query(expression: string): Promise<Sample[]> {
  const response = await fetch(`${url}/api/v1/query?query=${encodeURIComponent(expression)}`).catch(() => null);
  if (response === null || !response.ok) return [];
  return ((await response.json()) as { data: { result: Sample[] } }).data.result;
}

it('has all processes up, and every metric that rules and dashboards name', async () => {
  await until(async () => (await query('up == 1')).length === 4, 60_000);
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
  for (let turn = 0; turn < 50; turn++) await fetch(`${cluster.run.router.url}/bsky.Service/Ping`, init);
  const texts = await Promise.all(
    [cluster.run.router, cluster.run.ingest, ...Object.values(cluster.run.nodes)].map(async (process) =>
      (await fetch(`${process.url}/metrics`)).text(),
    ),
  );
  const exported = new Set(texts.flatMap((text) => text.match(/(?<=^# TYPE )\S+/gm)!));
  expect([...namedMetrics()].filter((name) => !exported.has(name))).toEqual([]);
  expect([...exported].filter((name) => name.startsWith('skyshard_') && !(name in metricTable))).toEqual([]);
}, 90_000);

it('computes percentiles from buckets as the process counted them', async () => {
  const count = 'sum(skyshard_request_duration_seconds_count{method="Ping",outcome="ok"})';
  await until(async () => Number((await query(count))[0]?.value[1] ?? 0) >= 50, 30_000);
  const quantile = 'histogram_quantile(1, sum by (le) (skyshard_request_duration_seconds_bucket{method="Ping"}))';
  const [sample] = await query(quantile);
  expect(Number(sample!.value[1])).toBeGreaterThan(0);
  expect(Number(sample!.value[1])).toBeLessThan(60);
}, 60_000);

it('evaluates the rules, of which no alert fires', async () => {
  await until(async () => (await query('skyshard:requests:rate5m{method="Ping"}')).length === 1, 30_000);
  const response = await fetch(`${url}/api/v1/rules`);
  const { data } = (await response.json()) as {
    data: { groups: { rules: { health: string; state?: string; name: string }[] }[] };
  };
  const rules = data.groups.flatMap((group) => group.rules);
  expect(rules.length).toBe(21);
  expect(rules.filter(({ health }) => health === 'err')).toEqual([]);
  expect(rules.filter(({ state }) => state === 'firing').map(({ name }) => name)).toEqual([]);
}, 60_000);
