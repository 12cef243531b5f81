/**
 * Imports an official plane's PostgreSQL into one node, as `skyshard import postgres` does.
 *
 * The importer runs in this process, whose children are its `psql`; the database and the node are
 * processes of their own. Closed loop: it reads as fast as the node takes. Arguments:
 * `--records=N --slots=N --parallel=N`.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { systemClock } from '../src/base/clock.ts';
import { withRealPorts } from '../src/cli/map-file.ts';
import { processEnvironment } from '../src/config/settings.ts';
import { RemoteLog } from '../src/log/remote-log.ts';
import { PostgresImport } from '../src/migrate/postgres-import.ts';
import { postgresSource } from '../src/migrate/postgres-source.ts';
import { settle } from '../src/router/settle.ts';
import { parseShardMap, type ShardMap } from '../src/shardmap/shard-map.ts';
import { NodeClient } from '../src/wire/node-client.ts';
import { officialTablesSql } from '../test/support/official-tables.ts';
import { cachedFolder } from './bench-cache.ts';
import { type BenchChild, startChild } from './child-process.ts';
import { OfficialRows } from './official-rows.ts';
import { type BenchPostgres, initPostgres, postgresPrograms, startPostgres } from './postgres.ts';
import { type BenchOptions, type BenchResult, cpuUsOfProcess } from './report.ts';
import { networkKey, type ServingNetworkOptions, servingEntries } from './serving-network.ts';
import { diskBytes } from './slot-space.ts';

export const question = 'How many records a second does an import from PostgreSQL bring, and what do they cost?';

const schema = 'bsky';
const readTables: ReadonlySet<string> = new Set(['record', 'actor', 'actor_sync', 'profile_agg', 'post_agg', 'label']);
const mainScript = join(import.meta.dirname, '..', 'src', 'cli', 'main.ts');
const settleMsMax = 600_000;
const tickUs = 10_000;

async function fill(programs: string, folder: string, network: ServingNetworkOptions): Promise<void> {
  const dataDir = join(folder, 'data');
  initPostgres(programs, dataDir);
  const postgres = await startPostgres(programs, dataDir);
  try {
    const sqlPath = join(folder, 'load.sql');
    writeFileSync(sqlPath, officialTablesSql);
    postgres.runFile(sqlPath);
    const rows = new OfficialRows();
    for (const entry of servingEntries(network, () => {})) rows.add(entry);
    rows.write(sqlPath, schema, readTables);
    postgres.runFile(sqlPath);
    rmSync(sqlPath);
  } finally {
    await postgres[Symbol.asyncDispose]();
  }
}

/** Returns the CPU time of our children that have ended. Units: microseconds. */
function cpuUsOfEndedChildren(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[13]) + Number(fields[14])) * tickUs;
}

type Cluster = { readonly map: ShardMap; readonly node: BenchChild; readonly statusUrl: string };

async function startNode(folder: string, slots: number): Promise<Cluster> {
  const wanted = {
    epoch: 1,
    slots,
    nodes: { n0: { host: '127.0.0.1', port: 0 } },
    shards: [{ name: 's0', primary: 'n0', slots: [`0-${slots - 1}`] }],
  };
  const { raw, map } = await withRealPorts({ raw: wanted, map: parseShardMap(wanted) });
  mkdirSync(folder, { recursive: true });
  const mapPath = join(folder, 'shard-map.json');
  writeFileSync(mapPath, JSON.stringify(raw));
  const words = ['node', 'n0', `--map=${mapPath}`, `--data-dir=${folder}`, '--log-level=error'];
  const node = await startChild(mainScript, words);
  node.process.stdout?.resume();
  const { ports } = node.ready as { ports: { port: number } };
  return { map, node, statusUrl: `http://127.0.0.1:${ports.port}/v1/status` };
}

async function waitUntilApplied({ statusUrl }: Cluster): Promise<void> {
  const round = async () => {
    const response = await fetch(statusUrl, { signal: AbortSignal.timeout(settleMsMax) });
    const { slots } = (await response.json()) as { slots: [] };
    return [{ name: 'n0', slots }];
  };
  await settle(round, settleMsMax, systemClock);
}

type Used = { readonly importer: number; readonly psql: number; readonly postgres: number; readonly node: number };

function usedUs(postgres: BenchPostgres, node: BenchChild): Used {
  const own = process.cpuUsage();
  const [database, psql] = [postgres.cpuUs(), cpuUsOfEndedChildren()];
  return { importer: own.user + own.system, psql, postgres: database, node: cpuUsOfProcess(node.pid) };
}

async function measure(
  postgres: BenchPostgres,
  folder: string,
  { slots, parallel }: { readonly slots: number; readonly parallel: number },
): Promise<BenchResult> {
  const cluster = await startNode(folder, slots);
  const caller = new NodeClient({ map: cluster.map, clusterToken: null, clock: systemClock });
  const appender = new RemoteLog({ caller, map: () => cluster.map });
  const { host, pathname } = new URL(postgres.url);
  const job = new PostgresImport({
    source: postgresSource(`postgresql://${host}${pathname}?user=postgres&schema=${schema}`, processEnvironment()),
    appender,
    clock: systemClock,
    statePath: join(folder, 'import.json'),
    slots,
    parallel,
    refusedRepos: new Set(),
    erasures: new Map(),
    onProgress: () => {},
  });
  try {
    const before = usedUs(postgres, cluster.node);
    const startMs = systemClock.monotonicMs();
    await job.run();
    const readMs = systemClock.monotonicMs() - startMs;
    const heapMiB = process.memoryUsage().heapUsed / 2 ** 20;
    await waitUntilApplied(cluster);
    const elapsedMs = systemClock.monotonicMs() - startMs;
    const after = usedUs(postgres, cluster.node);
    const records = job.counts['records'] ?? 0;
    const names = ['importer', 'psql', 'postgres', 'node'] as const;
    const each = Object.fromEntries(names.map((name) => [name, (after[name] - before[name]) / records]));
    const without = each['importer']! + each['psql']! + each['node']!;
    await cluster.node[Symbol.asyncDispose]();
    const refused = Object.entries(job.counts).filter(([name]) => name.startsWith('refused'));
    if (refused.length > 0) throw new Error(`the import refused rows: ${JSON.stringify(refused)}`);
    return {
      dataSize: `${records} records of ${job.counts['actors']} actors, ${job.counts['label'] ?? 0} labels, ${slots} slots`,
      figures: {
        records_per_s: (1000 * records) / elapsedMs,
        read_records_per_s: (1000 * records) / readMs,
        cpu_us_per_record: { ...each, 'importer, psql and node': without, all: without + each['postgres']! },
        'records_per_s_of_2_cores (all processes)': 2e6 / (without + each['postgres']!),
        bytes_per_record: diskBytes(join(folder, 'node-n0')) / records,
        importer_heap_mib: heapMiB,
      },
    };
  } finally {
    await appender[Symbol.asyncDispose]();
    await caller[Symbol.asyncDispose]();
    await cluster.node[Symbol.asyncDispose]();
  }
}

export async function run(options: BenchOptions): Promise<BenchResult> {
  const { values } = parseArgs({
    args: [...options.args],
    options: {
      records: { type: 'string', default: options.quick ? '20000' : '150000' },
      slots: { type: 'string', default: '16' },
      parallel: { type: 'string', default: '4' },
    },
  });
  const programs = postgresPrograms();
  if (programs === null) throw new Error('PostgreSQL is not installed: apt-get install -y postgresql');
  const network = { seed: options.seed, records: Number(values.records), kind: 'graph' } as const;
  const filled = await cachedFolder(`import-${networkKey(network)}`, async (folder) => {
    options.print(`loading ${network.records} records into PostgreSQL`);
    await fill(programs, folder, network);
  });
  const postgres = await startPostgres(programs, join(filled, 'data'));
  const folder = mkdtempSync(join(tmpdir(), 'skyshard-import-'));
  try {
    return await measure(postgres, folder, { slots: Number(values.slots), parallel: Number(values.parallel) });
  } finally {
    await postgres[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  }
}
