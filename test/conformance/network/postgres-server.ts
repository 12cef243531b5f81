/**
 * One PostgreSQL server in its own folder, for the official data plane and bsync.
 *
 * It refuses to run as root, so root starts it as the user `postgres` or `nobody`. It listens on
 * loopback only, and is never flushed: its data lasts as long as a test run.
 */
import { execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import pg from 'pg';
import { endProcess, keepOutput } from './child-process.ts';
import { freePort } from './free-port.ts';
import { Hopeless, waitUntil } from './wait-until.ts';

const startDeadlineMs = 60_000;
const stopGraceMs = 20_000;
const debianRoot = '/usr/lib/postgresql';

/** A running server and the URL of its one database. */
export interface PostgresServer extends AsyncDisposable {
  readonly url: string;
}

interface SystemUser {
  readonly uid: number;
  readonly gid: number;
}

/**
 * Starts an empty PostgreSQL server.
 *
 * Errors: rejects without `postgres` and `initdb`, or when the server does not start in time.
 */
export async function startPostgres(): Promise<PostgresServer> {
  const binDir = findBinDir();
  const user = systemUser();
  const folder = mkdtempSync(join(tmpdir(), 'skyshard-postgres-'));
  if (user !== undefined) chownSync(folder, user.uid, user.gid);
  const dataDir = join(folder, 'data');
  execFileSync(join(binDir, 'initdb'), ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C'], {
    stdio: 'pipe',
    cwd: folder,
    ...user,
  });
  const port = await freePort();
  const child = spawn(join(binDir, 'postgres'), serverArguments(dataDir, folder, port), {
    stdio: ['ignore', 'pipe', 'pipe'],
    cwd: folder,
    ...user,
  });
  const output = keepOutput(child);
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  const stop = async (): Promise<void> => {
    await endProcess(child, 'SIGINT', stopGraceMs);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    await waitUntil('PostgreSQL to accept connections', startDeadlineMs, () => {
      if (child.exitCode !== null) throw new Hopeless(output());
      return answers(url);
    });
  } catch (error) {
    await stop();
    throw new Error(`PostgreSQL did not start\n${output()}`, { cause: error });
  }
  return { url, [Symbol.asyncDispose]: stop };
}

function serverArguments(dataDir: string, socketDir: string, port: number): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    port: String(port),
    unix_socket_directories: socketDir,
    max_connections: '200',
    fsync: 'off',
    full_page_writes: 'off',
    synchronous_commit: 'off',
  };
  return ['-D', dataDir, ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])];
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2000 });
  try {
    await client.connect();
    await client.query('select 1');
    return true;
  } finally {
    await client.end();
  }
}

function findBinDir(): string {
  const versions = existsSync(debianRoot) ? readdirSync(debianRoot).sort((a, b) => Number(b) - Number(a)) : [];
  const candidates = [
    ...versions.map((version) => join(debianRoot, version, 'bin')),
    ...(process.env['PATH'] ?? '').split(delimiter),
  ];
  const found = candidates.find((dir) => existsSync(join(dir, 'postgres')) && existsSync(join(dir, 'initdb')));
  if (found === undefined) throw new Error('PostgreSQL is not installed; on Debian: apt-get install postgresql');
  return found;
}

function systemUser(): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    try {
      const id = (flag: string): number => Number(execFileSync('id', [flag, name], { stdio: 'pipe' }).toString());
      return { uid: id('-u'), gid: id('-g') };
    } catch {
      // No such user: the next name is tried, and the throw below reports that none is left.
    }
  }
  throw new Error('PostgreSQL refuses to run as root and there is no user postgres or nobody');
}
