/**
 * The official data plane on PostgreSQL over a prepared network, for comparison.
 *
 * Its packages are those of the conformance tests, and its PostgreSQL is Debian's.
 */
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { cachedFolder } from './bench-cache.ts';
import { type BenchChild, startChild } from './child-process.ts';
import { OfficialRows } from './official-rows.ts';
import { type BenchPostgres, initPostgres, postgresPrograms, startPostgres } from './postgres.ts';
import { cpuUsOfProcess } from './report.ts';
import { networkKey, type ServingNetworkOptions, servingEntries } from './serving-network.ts';

export const officialSchema = 'bsky';

const conformanceDir = join(import.meta.dirname, '..', 'test', 'conformance');
const serverScript = join(import.meta.dirname, 'official-server.ts');

export function officialPackage(): string {
  return join(conformanceDir, 'node_modules', '@atproto', 'bsky', 'dist', 'index.js');
}

export type OfficialPlane = {
  readonly port: number;
  /** CPU time of its server and of PostgreSQL so far. Units: microseconds. */
  cpuUs(): { readonly server: number; readonly postgres: number };
  [Symbol.asyncDispose](): Promise<void>;
};

/** Returns what must be installed before this bench can run, or an empty list. */
export function missingForOfficial(): string[] {
  const missing: string[] = [];
  if (!existsSync(officialPackage())) missing.push('node test/conformance/prepare.ts');
  if (postgresPrograms() === null) missing.push('apt-get install -y postgresql');
  return missing;
}

async function migrate(url: string): Promise<void> {
  const child = await startChild(serverScript, [url, 'migrate'], { readyMsMax: 120_000 });
  if (child.process.exitCode === null) await once(child.process, 'exit');
}

/** Starts the official plane, filling its tables first unless an earlier run did. */
export async function startOfficial(
  network: ServingNetworkOptions,
  print: (line: string) => void,
): Promise<OfficialPlane> {
  const programs = postgresPrograms();
  if (programs === null) throw new Error('PostgreSQL is not installed');
  const folder = await cachedFolder(`official-${networkKey(network)}`, async (partial) => {
    print(`loading ${network.records} records into PostgreSQL`);
    await prepare(programs, partial, network);
  });
  const postgres = await startPostgres(programs, join(folder, 'data'));
  try {
    const server = await startChild(serverScript, [postgres.url], { readyMsMax: 60_000 });
    return officialPlane(postgres, server);
  } catch (error) {
    await postgres[Symbol.asyncDispose]();
    throw error;
  }
}

function officialPlane(postgres: BenchPostgres, server: BenchChild): OfficialPlane {
  return {
    port: Number(server.ready['port']),
    cpuUs: () => ({ server: cpuUsOfProcess(server.pid), postgres: postgres.cpuUs() }),
    async [Symbol.asyncDispose]() {
      await server[Symbol.asyncDispose]();
      await postgres[Symbol.asyncDispose]();
    },
  };
}

async function prepare(programs: string, folder: string, network: ServingNetworkOptions): Promise<void> {
  const dataDir = join(folder, 'data');
  initPostgres(programs, dataDir);
  const postgres = await startPostgres(programs, dataDir);
  try {
    await migrate(postgres.url);
    const rows = new OfficialRows();
    for (const entry of servingEntries(network, () => {})) rows.add(entry);
    const sqlPath = join(folder, 'load.sql');
    rows.write(sqlPath, officialSchema);
    postgres.runFile(sqlPath);
  } finally {
    await postgres[Symbol.asyncDispose]();
  }
}
