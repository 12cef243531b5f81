/**
 * The Debian packages that tests need besides npm's: PostgreSQL and Redis for comparison, NATS for
 * the log, etcd for edges that register, Prometheus for metrics, Chromium for the page, clocks and
 * networks of their own for processes, a compiler for better-sqlite3. None of their services needs
 * to run.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readdirSync } from 'node:fs';
import { delimiter, join } from 'node:path';

type Required = {
  readonly debianPackage: string;
  /** What the package starts under systemd, which is not needed: tests start their own servers. */
  readonly service?: string;
  readonly isThere: () => boolean;
};

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

/** Debian keeps PostgreSQL's programs out of PATH, in one folder per version. */
function hasPostgres(): boolean {
  const versions = '/usr/lib/postgresql';
  if (isOnPath('initdb') && isOnPath('postgres')) return true;
  return (
    existsSync(versions) &&
    readdirSync(versions).some((version) => existsSync(join(versions, version, 'bin', 'initdb')))
  );
}

/** Returns the path of libfaketime for programs with threads, or null. Debian has it by machine. */
export function faketimeLibrary(): string | null {
  const folders = readdirSync('/usr/lib', { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const paths = folders.map(({ name }) => join('/usr/lib', name, 'faketime', 'libfaketimeMT.so.1'));
  return paths.find((path) => existsSync(path)) ?? null;
}

const required: readonly Required[] = [
  { debianPackage: 'postgresql', service: 'postgresql', isThere: hasPostgres },
  {
    debianPackage: 'redis-server',
    service: 'redis-server',
    isThere: () => isOnPath('redis-server') && isOnPath('redis-benchmark'),
  },
  { debianPackage: 'etcd-server', service: 'etcd', isThere: () => isOnPath('etcd') },
  { debianPackage: 'nats-server', service: 'nats-server', isThere: () => isOnPath('nats-server') },
  // A library, which gives a process a clock of its own.
  { debianPackage: 'libfaketime', isThere: () => faketimeLibrary() !== null },
  { debianPackage: 'iproute2', isThere: () => isOnPath('ip') },
  { debianPackage: 'prometheus', service: 'prometheus', isThere: () => isOnPath('promtool') && isOnPath('prometheus') },
  { debianPackage: 'chromium', isThere: () => isOnPath('chromium') },
  { debianPackage: 'build-essential', isThere: () => isOnPath('make') && isOnPath('g++') },
  { debianPackage: 'python3', isThere: () => isOnPath('python3') },
  { debianPackage: 'git', isThere: () => isOnPath('git') },
];

const installMinutesMax = 20;

/**
 * Installs the packages that are missing, when run as root on Debian.
 *
 * Returns: null when nothing is missing any more, else the command that the reader must run first.
 */
export function installRequiredServers(): string | null {
  const missing = required.filter(({ isThere }) => !isThere());
  if (missing.length === 0) return null;
  const packages = missing.map(({ debianPackage }) => debianPackage);
  const install = ['apt-get', 'install', '-y', '--no-install-recommends', ...packages];
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || !existsSync('/etc/debian_version')) {
    const sudo = isRoot ? '' : 'sudo ';
    return `${sudo}apt-get update && ${sudo}${install.join(' ')}`;
  }
  console.log(`installing ${packages.join(', ')}`);
  const steps = [['apt-get', 'update'], install];
  const services = missing.flatMap(({ service }) => service ?? []);
  if (existsSync('/run/systemd/system'))
    for (const service of services) steps.push(['systemctl', 'disable', '--now', service]);
  for (const [program, ...words] of steps) {
    execFileSync(program!, words, {
      stdio: ['ignore', 'ignore', 'inherit'],
      timeout: installMinutesMax * 60_000,
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
  }
  return null;
}
