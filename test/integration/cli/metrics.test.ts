/** The metrics of real processes pass Prometheus' linter, and are those of the table. */
import { spawnSync } from 'node:child_process';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { metricTable } from '../../../src/metrics/metric-table.ts';
import { clusterFolder, type RunningCluster, removeFolder, startCluster } from '../../support/running-cluster.ts';

const processes = ['node', 'router', 'ingest'] as const;

let folder: string;
let cluster: RunningCluster;

beforeAll(async () => {
  folder = clusterFolder();
  const demo = ['--demo', '--demo-actors=20', '--demo-records=300', '--demo-rate=0'];
  cluster = await startCluster(folder, [...demo, '--search-threads=1']);
  await fetch(`${cluster.run.router.url}/v1/settle`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
}, 120_000);

afterAll(async () => {
  await cluster.stop();
  removeFolder(folder);
}, 60_000);

async function metricsOf(process: (typeof processes)[number]): Promise<string> {
  const { nodes, router, ingest } = cluster.run;
  const { url } = { node: nodes['n0']!, router, ingest }[process];
  const response = await fetch(`${url}/metrics`);
  expect(response.status).toBe(200);
  return response.text();
}

describe.each(processes)('the metrics of %s', (process) => {
  it('pass `promtool check metrics` without a remark', async () => {
    const { status, stdout, stderr, error } = spawnSync('promtool', ['check', 'metrics'], {
      input: await metricsOf(process),
      encoding: 'utf8',
    });
    expect({ status, stdout, stderr, error }).toEqual({ status: 0, stdout: '', stderr: '', error: undefined });
  });

  it('are those of the table, and the default ones of Node', async () => {
    const names = (await metricsOf(process)).match(/(?<=^# TYPE )\S+/gm)!;
    const ours = Object.entries(metricTable).flatMap(([name, { of }]) => (of.includes(process) ? [name] : []));
    expect(names.filter((name) => name.startsWith('skyshard_')).sort()).toEqual(ours.sort());
    for (const name of ['process_cpu_seconds_total', 'nodejs_eventloop_lag_p99_seconds', 'nodejs_gc_duration_seconds'])
      expect(names).toContain(name);
  });

  it('have values with the labels of the table', async () => {
    const text = await metricsOf(process);
    const counted = { node: 'skyshard_entries_applied_total', router: '', ingest: 'skyshard_events_received_total' };
    for (const [name, { labels, type }] of Object.entries(metricTable)) {
      const series = text.match(new RegExp(`^${name}\\{.*\\}`, 'gm')) ?? [];
      for (const one of series) {
        const found = [...one.matchAll(/([a-z]+)="/g)].map(([, label]) => label);
        expect(found, one).toEqual(type === 'summary' ? [...labels, 'quantile'] : labels);
      }
    }
    if (counted[process] !== '') expect(text).toMatch(new RegExp(`^${counted[process]}\\S* [1-9]`, 'm'));
  });
});
