/** `skyshard import postgres`: brings the database of an official data plane into the cluster. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import { readTokenFile } from '../../config/secret-file.ts';
import { RemoteLog } from '../../log/remote-log.ts';
import { type Checked, checkImport } from '../../migrate/import-check.ts';
import { type ImportProgress, PostgresImport } from '../../migrate/postgres-import.ts';
import { postgresSource } from '../../migrate/postgres-source.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { readMapFile } from '../map-file.ts';
import { askRouter } from '../process/ask-process.ts';
import { clusterClient } from '../process/cluster-client.ts';
import { urlOf } from '../process/run-file.ts';
import { durationText } from '../progress-printer.ts';
import { callService } from '../service-call.ts';
import { textTable } from '../text-table.ts';

const requestTimeoutMs = 60_000;
const settleTimeoutMs = 600_000;
const stateFile = 'import-postgres.json';

const number = (value: number): string => value.toLocaleString('en-US');

function progressText({ rangesDone, ranges, actors, records, recordsPerS, etaMs }: ImportProgress): string {
  const share = ((100 * rangesDone) / ranges).toFixed(1);
  const eta = etaMs === null ? '' : `, ETA ${durationText(etaMs)}`;
  return `${share}% ${number(records)} records, ${number(actors)} actors, ${number(recordsPerS)} records/s${eta}\n`;
}

/** A cluster that `up` runs has its map, with the ports that were chosen, in the data folder. */
function mapPathOf({ settings }: CommandContext): string {
  const running = join(settings.dataDir, 'shard-map.json');
  return existsSync(running) ? running : settings.map;
}

async function importAll(context: CommandContext, url: string): Promise<Readonly<Record<string, number>>> {
  const { settings, clock, environment, print, log } = context;
  const { map } = readMapFile(mapPathOf(context));
  // `up` makes a token where none is configured.
  const made = join(settings.dataDir, 'cluster-token');
  const clusterTokenFile = settings.clusterTokenFile ?? map.clusterTokenFile ?? (existsSync(made) ? made : null);
  const { maps, caller } = clusterClient(context, map, readTokenFile(clusterTokenFile, 'cluster token file'));
  const appender = new RemoteLog({
    caller,
    map: () => maps.map,
    clock,
    onRetry: (node, error, failures) => {
      if (failures === 1) log('warn', `node ${node} does not take entries: ${error.message}`);
    },
  });
  const job = new PostgresImport({
    source: postgresSource(url, environment),
    appender,
    clock,
    statePath: join(settings.dataDir, stateFile),
    parallel: settings.parallel!,
    onProgress: (progress) => print(settings.json ? `${JSON.stringify({ progress })}\n` : progressText(progress)),
  });
  try {
    await job.run();
  } finally {
    await appender[Symbol.asyncDispose]();
    await caller[Symbol.asyncDispose]();
  }
  return job.counts;
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
  if (url === null) {
    const hint = '`skyshard import postgres --help` shows what it takes.';
    throw new DataPlaneError('ConfigInvalid', 'give the database by --url', { hint });
  }
  const router = { url: urlOf('router', settings.routerUrl, settings.dataDir), timeoutMs: requestTimeoutMs };
  const counts = await importAll(context, url);
  await askRouter(context, '/v1/settle', { timeoutMs: settleTimeoutMs }, settleTimeoutMs + requestTimeoutMs);
  const ask = (method: string, request: object) => callService(router, method, request);
  const checked = await checkImport(postgresSource(url, environment), ask);
  show(context, counts, checked);
  // The official plane's own counts drift, so they are shown and not judged.
  const isSame = checked.every(({ what, different }) => what.startsWith('counts') || different === 0);
  return isSame ? exitCode.done : exitCode.failed;
};
