/** The Debian packages that tests need beside npm's: PostgreSQL and Redis to compare with, a compiler for better-sqlite3. */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

type Required = { readonly debianPackage: string; readonly isThere: () => boolean };

function isOnPath(program: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Debian keeps PostgreSQL's programs out of PATH, in a folder a version. */
function hasPostgres(): boolean {
  const versions = '/usr/lib/postgresql';
  if (isOnPath('initdb') && isOnPath('postgres')) return true;
  return (
    existsSync(versions) &&
    readdirSync(versions).some((version) => existsSync(join(versions, version, 'bin', 'initdb')))
  );
}

const required: readonly Required[] = [
  { debianPackage: 'postgresql', isThere: hasPostgres },
  { debianPackage: 'redis-server', isThere: () => isOnPath('redis-server') && isOnPath('redis-benchmark') },
  { debianPackage: 'build-essential', isThere: () => isOnPath('make') && isOnPath('g++') },
  { debianPackage: 'python3', isThere: () => isOnPath('python3') },
  { debianPackage: 'git', isThere: () => isOnPath('git') },
];

const installMinutesMax = 20;

/**
 * Makes sure that the servers are there: installs what is missing when this is root on Debian.
 *
 * Returns: null when all is there, else the one command that the reader must run first.
 */
export function installRequiredServers(): string | null {
  const missing = required.filter(({ isThere }) => !isThere()).map(({ debianPackage }) => debianPackage);
  if (missing.length === 0) return null;
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...missing];
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || !existsSync('/etc/debian_version')) {
    const sudo = isRoot ? '' : 'sudo ';
    return `${sudo}apt-get update && ${sudo}${install.join(' ')}`;
  }
  console.log(`installing ${missing.join(', ')}`);
  for (const words of [['apt-get', 'update'], install]) {
    execFileSync(words[0]!, words.slice(1), {
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: installMinutesMax * 60_000,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  }
  return null;
}
