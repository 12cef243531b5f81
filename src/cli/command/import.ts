/** `skyshard import postgres`: brings the database of an official data plane into the cluster. */
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { ErasedKind } from '../../atproto/private-namespace.ts';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { readTokenFile } from '../../config/secret-file.ts';
import { RemoteLog } from '../../log/remote-log.ts';
import { type Checked, checkImport } from '../../migrate/import-check.ts';
import { planImport } from '../../migrate/import-plan.ts';
import type { ImportProgress } from '../../migrate/import-progress.ts';
import { markImport, PostgresImport, type PostgresImportOptions } from '../../migrate/postgres-import.ts';
import { postgresSource, type RowSource } from '../../migrate/postgres-source.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { readMapFile } from '../map-file.ts';
import { askIngest, askRouter } from '../process/ask-process.ts';
import { clusterClient } from '../process/cluster-client.ts';
import { lockFolder } from '../process/process-lock.ts';
import { urlOf } from '../process/run-file.ts';
import { durationText } from '../progress-printer.ts';
import { callService } from '../service-call.ts';
import { textTable } from '../text-table.ts';

const requestTimeoutMs = 60_000;
const settleTimeoutMs = 600_000;
const stateFile = 'import-postgres.json';

const number = (value: number): string => value.toLocaleString('en-US');

function progressText(progress: ImportProgress): string {
  const { rangesDone, ranges, actors, records, labels, recordsPerS, etaMs } = progress;
  const share = ((100 * rangesDone) / ranges).toFixed(1);
  const read = `${number(records)} records, ${number(actors)} actors, ${number(labels)} labels`;
  const eta = etaMs === null ? '' : `, ETA ${durationText(etaMs)}`;
  return `${share}% ${read}, ${number(recordsPerS)} records/s${eta}\n`;
}

/** A cluster that `up` runs has its map, with the ports that were chosen, in the data folder. */
function mapPathOf({ settings }: CommandContext): string {
  const running = join(settings.dataDir, 'shard-map.json');
  return existsSync(running) ? running : settings.map;
}

function statePathOf({ settings }: CommandContext): string {
  return join(settings.dataDir, stateFile);
}

type LeftOut = Pick<PostgresImportOptions, 'refusedRepos' | 'erasures'>;
type ErasedActors = {
  readonly actors: readonly { readonly did: string; readonly kinds: readonly ErasedKind[] }[];
  readonly after: string | null;
};

async function askLeftOut(context: CommandContext): Promise<LeftOut> {
  const { repos } = (await askIngest(context, '/v1/repos/refused')) as { repos: readonly { did: string }[] };
  const erasures = new Map<string, ReadonlySet<ErasedKind>>();
  for (let after: string | null = ''; after !== null; ) {
    const path = `/v1/private/erasures?after=${encodeURIComponent(after)}`;
    const page = (await askIngest(context, path)) as ErasedActors;
    for (const { did, kinds } of page.actors) erasures.set(did, new Set(kinds));
    ({ after } = page);
  }
  return { refusedRepos: new Set(repos.map(({ did }) => did)), erasures };
}

/** Returns the repos, and the private data, of which nothing is taken: ingest alone knows. */
async function leftOut(context: CommandContext): Promise<LeftOut> {
  if (context.settings.withoutIngest) return { refusedRepos: new Set(), erasures: new Map() };
  try {
    return await askLeftOut(context);
  } catch (cause) {
    const hint =
      'Start ingest, or name it by --ingest-url, so that nothing comes back that was purged or erased; ' +
      'a cluster that never had an ingest takes --without-ingest.';
    const problem = `ingest does not say what was purged and erased: ${(cause as Error).message}`;
    throw new DataPlaneError('Unavailable', problem, { cause, hint });
  }
}

type Cluster = { readonly appender: RemoteLog; readonly slots: number };

async function withCluster(context: CommandContext, use: (cluster: Cluster) => Promise<void>): Promise<void> {
  const { settings, clock, log } = context;
  const { raw, map } = readMapFile(mapPathOf(context));
  // `up` makes a token where none is configured.
  const made = join(settings.dataDir, 'cluster-token');
  const clusterTokenFile = settings.clusterTokenFile ?? map.clusterTokenFile ?? (existsSync(made) ? made : null);
  const start = { json: raw, stored: { committed: null, prepared: null }, note: null };
  const clusterToken = readTokenFile(clusterTokenFile, 'cluster token file');
  const cluster = clusterClient(context, { role: 'import', start, folder: null }, clusterToken);
  const { maps, caller } = cluster;
  const appender = new RemoteLog({
    caller,
    map: () => maps.map,
    clock,
    onRetry: (node, error, failures) => {
      if (failures === 1) log('warn', `node ${node} does not take entries: ${error.message}`);
    },
  });
  try {
    await use({ appender, slots: map.slots });
  } finally {
    await appender[Symbol.asyncDispose]();
    await cluster[Symbol.asyncDispose]();
  }
}

/** Lets no other import of the data folder run, or be ended, meanwhile. Errors: `DataInUse`. */
async function whileLocked<Result>({ settings, clock }: CommandContext, use: () => Promise<Result>): Promise<Result> {
  const lock = await lockFolder(settings.dataDir, 'import', clock, 0);
  try {
    return await use();
  } finally {
    lock.release();
  }
}

async function importAll(context: CommandContext, source: RowSource): Promise<Readonly<Record<string, number>>> {
  const { settings, clock, print } = context;
  let counts: Readonly<Record<string, number>> = {};
  const asked = await leftOut(context);
  await withCluster(context, async ({ appender, slots }) => {
    const job = new PostgresImport({
      source,
      appender,
      clock,
      slots,
      statePath: statePathOf(context),
      parallel: settings.parallel!,
      ...asked,
      onProgress: (progress) => print(settings.json ? `${JSON.stringify({ progress })}\n` : progressText(progress)),
    });
    await job.run();
    counts = job.counts;
  });
  return counts;
}

/** Ends an import for good: the slots no longer note what it must not bring back. */
async function stop(context: CommandContext): Promise<number> {
  await withCluster(context, ({ appender, slots }) => markImport(appender, slots, false));
  rmSync(statePathOf(context), { force: true });
  context.print(context.settings.json ? `${JSON.stringify({ stopped: true })}\n` : 'ended; what it brought stays\n');
  return exitCode.done;
}

async function showPlan(context: CommandContext, source: RowSource): Promise<number> {
  const plan = await planImport(source, statePathOf(context));
  const { refusedRepos, erasures } = await leftOut(context);
  if (context.settings.json)
    context.print(`${JSON.stringify({ ...plan, refusedRepos: refusedRepos.size, erasures: erasures.size })}\n`);
  else {
    const rows = plan.tables.map(({ table, rows: count }) => [table, count === null ? 'not counted' : number(count)]);
    context.print(textTable([`would read of ${plan.database}`, 'rows, about'], rows));
    const { earlier } = plan;
    if (earlier !== null) context.print(`\n${earlier.rangesDone} of ${earlier.ranges} ranges are imported already\n`);
    const [repos, actors] = [number(refusedRepos.size), number(erasures.size)];
    context.print(`\n${repos} purged repos, and what was erased of ${actors} actors, would be left out\n`);
  }
  return exitCode.done;
}

function show({ settings, print }: CommandContext, counts: Readonly<Record<string, number>>, checked: Checked[]): void {
  if (settings.json) return print(`${JSON.stringify({ counts, checked })}\n`);
  const rows = Object.entries(counts).map(([name, count]) => [name, count]);
  print(textTable(['read', 'rows'], rows));
  const results = checked.map(({ what, compared, different }) => [what, compared, different]);
  print(`\n${textTable(['compared', 'sample', 'different'], results)}`);
  for (const { differences } of checked) for (const difference of differences) print(`${difference}\n`);
}

/** Imports, waits until all is applied, and compares a sample with the database. */
export const runImportPostgres: Command = async (context) => {
  const { settings, environment } = context;
  const { url } = settings;
  if (settings.stop) return whileLocked(context, () => stop(context));
  if (url === null) {
    const hint = '`skyshard import postgres --help` shows what it takes.';
    throw new DataPlaneError('ConfigInvalid', 'give the database by --url', { hint });
  }
  const source = postgresSource(url, environment);
  if (settings.dryRun) return showPlan(context, source);
  const router = { url: urlOf('router', settings.routerUrl, settings.dataDir), timeoutMs: requestTimeoutMs };
  const counts = await whileLocked(context, () => importAll(context, source));
  await askRouter(context, '/v1/settle', { timeoutMs: settleTimeoutMs }, settleTimeoutMs + requestTimeoutMs);
  const ask = (method: string, request: object) => callService(router, method, request);
  const checked = await checkImport(source, ask);
  show(context, counts, checked);
  return checked.every(({ different }) => different === 0) ? exitCode.done : exitCode.failed;
};
