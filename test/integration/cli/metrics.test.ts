/** The metrics of real processes pass Prometheus' linter, and are those of the table. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LiveFigures } from '../../../src/cli/live-figures.ts';
import { metricTable } from '../../../src/metrics/metric-table.ts';
import {
  clusterFolder,
  type RunningCluster,
  removeFolder,
  runCommand,
  startCluster,
} from '../../support/running-cluster.ts';
import { until } from '../../support/until.ts';

const processes = ['node', 'router', 'ingest'] as const;

let folder: string;
let cluster: RunningCluster;

beforeAll(async () => {
  folder = clusterFolder();
  const demo = ['--demo', '--demo-actors=20', '--demo-records=300', '--demo-rate=0'];
  cluster = await startCluster(folder, [...demo, '--search-threads=1', '--slow-ms=1', '--log-format=json']);
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
    for (const [name, { labels: given, type }] of Object.entries(metricTable)) {
      const suffix = type === 'histogram' ? '_bucket' : '';
      const labels = type === 'histogram' ? ['le', ...given] : given;
      const series = text.match(new RegExp(`^${name}${suffix}\\{.*\\}`, 'gm')) ?? [];
      for (const one of series) {
        const found = [...one.matchAll(/([a-z]+)="/g)].map(([, label]) => label);
        expect(found, one).toEqual(labels);
      }
    }
    if (counted[process] !== '') expect(text).toMatch(new RegExp(`^${counted[process]}\\S* [1-9]`, 'm'));
  });
});

describe('a trace of a caller', () => {
  it('is printed by the router and, passed on, by nodes, of slow requests, and nothing that was asked', async () => {
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
    const parent = '00f067aa0ba902b7';
    const dids = Array.from({ length: 5_000 }, (_unused, index) => `did:web:asked${index}.example`);
    const headers = {
      'content-type': 'application/json',
      'x-atlantis-caller': 'tracing',
      traceparent: `00-${traceId}-${parent}-01`,
      authorization: 'Bearer a-token-of-the-caller',
    };
    type Line = Readonly<Record<string, string | number>>;
    const linesOf = (process: RegExp): Line[] =>
      cluster.printed.out
        .concat(cluster.printed.err)
        .split('\n')
        .filter((line) => line.startsWith('{') && line.includes(traceId))
        .map((line) => JSON.parse(line) as Line)
        .filter((line) => process.test(String(line['process'])));
    await until(async () => {
      const body = JSON.stringify({ dids });
      await (await fetch(`${cluster.run.router.url}/bsky.Service/GetActors`, { method: 'POST', headers, body })).text();
      return linesOf(/^router/).length > 0 && linesOf(/n0/).length > 0 && linesOf(/n1/).length > 0;
    });
    expect(linesOf(/^router/)[0]).toMatchObject({
      message: expect.stringMatching(/^GetActors took \d+ ms$/),
      trace: traceId,
      caller: 'tracing',
      plan: 'GetActors',
      items: 5_000,
      request: expect.stringMatching(/^[\w-]{8}\.[a-z\d]+$/),
      steps: expect.stringMatching(/n\d bsky\.GetActors at [\d.]+ took [\d.]+/),
    });
    expect(linesOf(/n0/)[0]).toMatchObject({
      message: expect.stringMatching(/^the call bsky\.GetActors took \d+ ms$/),
      trace: traceId,
      parent,
    });
    const printed = cluster.printed.out + cluster.printed.err;
    expect(printed).not.toMatch(/asked\d+\.example|a-token-of-the-caller/);
  }, 60_000);
});

describe('the histograms of a cluster', () => {
  type Report = {
    readonly process: string;
    readonly memory: { readonly bytes: number; readonly bytesMax: number };
    readonly series: readonly {
      readonly name: string;
      readonly labels: Readonly<Record<string, string>>;
      readonly count: number;
      readonly histogram: string;
    }[];
    readonly slotReads: readonly { readonly slot: number; readonly count: number }[];
  };
  const reports = async (query: string): Promise<Report[]> => {
    const response = await fetch(`${cluster.run.router.url}/v1/histograms?${query}`);
    return ((await response.json()) as { processes: Report[] }).processes;
  };
  const countOf = ({ series }: Report, name: string, labels: object): number =>
    series
      .filter((one) => one.name === name && Object.entries(labels).every(([label, text]) => one.labels[label] === text))
      .reduce((total, { count }) => total + count, 0);

  it('have each request at the router and each call at the nodes, and Prometheus counts the same', async () => {
    const before = await reports('nodes=all');
    const ping = { method: 'POST', headers: { 'content-type': 'application/json', 'x-atlantis-caller': 'tester' } };
    for (let turn = 0; turn < 7; turn++) {
      await fetch(`${cluster.run.router.url}/bsky.Service/Ping`, { ...ping, body: '{}' });
      const body = JSON.stringify({ dids: ['did:plc:aaaaaaaaaaaaaaaaaaaaaaaa', 'did:web:one.example'] });
      await fetch(`${cluster.run.router.url}/bsky.Service/GetActors`, { ...ping, body });
    }
    const after = await reports('nodes=all');
    expect(after.map(({ process }) => process)).toEqual(['router', 'n0', 'n1']);
    const grown = (name: string, labels: object, of: (process: string) => boolean): number =>
      after
        .map((report, index) =>
          of(report.process) ? countOf(report, name, labels) - countOf(before[index]!, name, labels) : 0,
        )
        .reduce((a, b) => a + b, 0);
    const isRouter = (process: string): boolean => process === 'router';
    expect(grown('skyshard_request_duration_seconds', { method: 'GetActors', outcome: 'ok' }, isRouter)).toBe(7);
    expect(grown('skyshard_caller_request_duration_seconds', { caller: 'tester', method: 'Ping' }, isRouter)).toBe(7);
    expect(grown('skyshard_request_items', { method: 'GetActors' }, isRouter)).toBe(7);
    const calls = grown(
      'skyshard_call_duration_seconds',
      { method: 'bsky.GetActors' },
      (process) => !isRouter(process),
    );
    expect(calls).toBeGreaterThanOrEqual(7);
    const count = /^skyshard_request_duration_seconds_count\{method="GetActors",outcome="ok"\} (\d+)$/m;
    expect(Number(count.exec(await metricsOf('router'))![1])).toBe(
      countOf(after[0]!, 'skyshard_request_duration_seconds', { method: 'GetActors', outcome: 'ok' }),
    );
    expect(after[0]!.series.every(({ histogram }) => histogram.startsWith('HISTFAAA'))).toBe(true);
    for (const { memory } of after) expect(memory.bytes).toBeLessThan(memory.bytesMax);
    expect(after.slice(1).flatMap(({ slotReads }) => slotReads).length).toBeGreaterThan(0);
  });

  it('have what slots applied, and how long commits took', async () => {
    const [, ...nodes] = await reports('nodes=all');
    for (const name of ['apply_delay', 'log_append', 'transaction', 'commit']) {
      const count = nodes.reduce((total, report) => total + countOf(report, `skyshard_${name}_seconds`, {}), 0);
      expect(count, name).toBeGreaterThan(0);
    }
  });

  it('of another name or time are refused or left out', async () => {
    expect(await reports('name=skyshard_request_items')).toMatchObject([{ process: 'router' }]);
    const { status } = await fetch(`${cluster.run.router.url}/v1/histograms?last=1000`);
    expect(status).toBe(400);
  });

  it('show what they take in the status', async () => {
    const status = (await (await fetch(`${cluster.run.router.url}/v1/status`)).json()) as {
      histograms: { bytesMax: number };
      nodes: { histograms: { bytes: number } }[];
    };
    expect(status.histograms.bytesMax).toBe(80 * 1024 * 1024);
    for (const { histograms } of status.nodes) expect(histograms.bytes).toBeGreaterThan(0);
  });

  it('are shown by top, with the nodes', async () => {
    const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
    for (let turn = 0; turn < 20; turn++) await fetch(`${cluster.run.router.url}/bsky.Service/Ping`, init);
    const words = ['top', '--once', `--data-dir=${cluster.dataDir}`];
    const { code, out } = await runCommand([...words, '--json']);
    expect(code).toBe(0);
    const { nodes, methods, windowS } = JSON.parse(out) as LiveFigures;
    expect(nodes).toMatchObject([
      { name: 'n0', state: 'up', slots: 2 },
      { name: 'n1', state: 'up', slots: 2 },
    ]);
    const ping = methods.find(({ process, method }) => process === 'router' && method === 'Ping')!;
    expect(ping.perSecond * windowS).toBeGreaterThanOrEqual(20);
    expect(ping.errorsPerSecond).toBe(0);
    expect(ping.p99Ms).toBeGreaterThanOrEqual(ping.p50Ms);
    const text = (await runCommand(words)).out;
    expect(text).toMatch(/^router +Ping /m);
    expect(text).toMatch(/^n1 +up +2 /m);
  });

  it('are recorded, shown, merged and compared by commands', async () => {
    const words = [`--data-dir=${cluster.dataDir}`];
    const paths = ['a', 'b', 'merged'].map((name) => join(folder, `${name}.hlog`)) as [string, string, string];
    let isOver = false;
    const asking = (async () => {
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' };
      while (!isOver) await fetch(`${cluster.run.router.url}/bsky.Service/Ping`, init);
    })();
    for (const path of paths.slice(0, 2)) {
      const ended = await runCommand(['hist', 'record', '--seconds=2', `--out=${path}`, ...words]);
      expect(ended).toMatchObject({ code: 0, err: '' });
    }
    isOver = true;
    await asking;
    expect(await runCommand(['hist', 'merge', ...paths.slice(0, 2), `--out=${paths[2]}`])).toMatchObject({ code: 0 });
    const series = '--series=request_duration/Ping/ok';
    const countIn = async (files: readonly string[]): Promise<number> => {
      const { out } = await runCommand(['hist', 'show', ...files, series, '--json']);
      return (JSON.parse(out) as { series: { count: number }[] }).series.reduce((sum, { count }) => sum + count, 0);
    };
    const counts = [await countIn([paths[0]]), await countIn([paths[1]])];
    expect(Math.min(...counts)).toBeGreaterThan(0);
    expect(await countIn([paths[2]])).toBe(counts[0]! + counts[1]!);
    const shown = await runCommand(['hist', 'show', series, ...words]);
    expect(shown.out).toMatch(/^router\/request_duration\/Ping\/ok +\d+ /m);
    expect(shown.out).toContain('(ms by percentile)');
    const compared = await runCommand(['hist', 'diff', paths[0], paths[1], series]);
    expect(compared.out).toMatch(/router\/request_duration\/Ping\/ok .* > .*x/);
  }, 120_000);
});
