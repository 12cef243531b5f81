/**
 * A PostgreSQL server for the official plane, on a data folder that benches keep.
 *
 * It refuses to run as root, so then it runs as the user `postgres` (or `nobody`), who owns the
 * folder. It never flushes, which only makes it faster; its shared buffers hold all of the data.
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { systemClock } from '../src/base/clock.ts';
import { endWithUs } from './child-process.ts';

const debianRoot = '/usr/lib/postgresql';
const startMsMax = 30_000;

/** `cpuUs` is the CPU time of all processes so far, including those that have ended. */
export type BenchPostgres = {
  readonly url: string;
  cpuUs(): number;
  runFile(path: string): void;
  [Symbol.asyncDispose](): Promise<void>;
};

type SystemUser = { readonly uid: number; readonly gid: number };

/** Returns the folder of PostgreSQL's programs, or null when it is not installed. */
export function postgresPrograms(): string | null {
  if (!existsSync(debianRoot)) return null;
  const versions = readdirSync(debianRoot).sort((a, b) => Number(b) - Number(a));
  const folders = versions.map((version) => join(debianRoot, version, 'bin'));
  return folders.find((folder) => existsSync(join(folder, 'postgres')) && existsSync(join(folder, 'psql'))) ?? null;
}

function ownUser(): SystemUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid, gid] = line.split(':');
    if (name === 'postgres' || name === 'nobody') return { uid: Number(uid), gid: Number(gid) };
  }
  throw new Error('PostgreSQL refuses to run as root and there is no user postgres or nobody');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('no free port');
  return address.port;
}

const tickUs = 10_000;

/** Returns the CPU time of a process, optionally with that of its ended children. */
function statCpuUs(pid: number, withEnded: boolean): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    const fields = stat
      .slice(stat.lastIndexOf(')') + 2)
      .split(' ')
      .slice(11, 15)
      .map(Number);
    return (fields[0]! + fields[1]! + (withEnded ? fields[2]! + fields[3]! : 0)) * tickUs;
  } catch {
    return 0;
  }
}

function childrenOf(pid: number): number[] {
  return readFileSync(`/proc/${pid}/task/${pid}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number);
}

export function initPostgres(programs: string, dataDir: string): void {
  const user = ownUser();
  mkdirSync(dataDir, { recursive: true });
  if (user !== undefined) {
    chmodSync(join(dataDir, '..'), 0o755);
    chownSync(dataDir, user.uid, user.gid);
  }
  const args = ['-D', dataDir, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C'];
  execFileSync(join(programs, 'initdb'), args, { stdio: 'pipe', cwd: dataDir, ...user });
}

/** Starts a server on a data folder. Errors: Error with its output when it is not up in time. */
export async function startPostgres(programs: string, dataDir: string): Promise<BenchPostgres> {
  const port = await freePort();
  const settings = {
    listen_addresses: '127.0.0.1',
    port,
    unix_socket_directories: dataDir,
    max_connections: 100,
    shared_buffers: '1GB',
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    max_wal_size: '4GB',
    autovacuum: 'off',
  };
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = spawn(join(programs, 'postgres'), ['-D', dataDir, ...flags], {
    stdio: ['ignore', 'ignore', 'pipe'],
    cwd: dataDir,
    ...ownUser(),
  });
  endWithUs(server, 'SIGINT');
  let output = '';
  server.stderr.on('data', (chunk: Buffer) => {
    output = (output + chunk.toString()).slice(-4000);
  });
  const ended = once(server, 'exit');
  const url = `postgresql://postgres@127.0.0.1:${port}/postgres`;
  const stop = async (): Promise<void> => {
    if (server.exitCode === null && server.signalCode === null) server.kill('SIGINT');
    await ended;
  };
  const giveUpMs = systemClock.monotonicMs() + startMsMax;
  while (!accepts(programs, url)) {
    if (server.exitCode === null && systemClock.monotonicMs() < giveUpMs) {
      await systemClock.sleep(100);
      continue;
    }
    await stop();
    throw new Error(`PostgreSQL did not start: ${output}`);
  }
  const pid = server.pid!;
  return {
    url,
    cpuUs: () => childrenOf(pid).reduce((total, child) => total + statCpuUs(child, true), statCpuUs(pid, true)),
    runFile: (path) => {
      execFileSync(join(programs, 'psql'), ['-q', '-v', 'ON_ERROR_STOP=1', '-f', path, url], { stdio: 'pipe' });
    },
    [Symbol.asyncDispose]: stop,
  };
}

function accepts(programs: string, url: string): boolean {
  try {
    execFileSync(join(programs, 'pg_isready'), ['-q', '-d', url], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
