/**
 * `npm run build:lmdb`: compiles the storage engine with full optimisation, for this machine.
 *
 * The addon that npm brings is a debug build, whose C code is not optimised. It is correct; this
 * one takes a fifth less CPU for a look-up. Needs a C++ compiler, make and Python, and about a
 * minute; the headers come with the Node of this package. `npm ci` brings the other one back.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '..');
const nodeFolder = dirname(dirname(process.execPath));
const addon = join(root, 'node_modules', 'lmdb', 'build', 'Release', 'lmdb.node');

function main(): number {
  if (!existsSync(join(nodeFolder, 'include', 'node', 'node_api.h'))) {
    console.error(`${nodeFolder} has no headers of Node: run this by npm, which uses the Node of this package`);
    return 1;
  }
  const { status } = spawnSync('npm', ['rebuild', 'lmdb', '--ignore-scripts=false', '--foreground-scripts'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: {
      ...process.env,
      npm_config_nodedir: nodeFolder,
      npm_config_build_from_source: 'true',
      ENABLE_FAST_API_CALLS: 'true',
    },
  });
  if (status !== 0 || !existsSync(addon)) {
    console.error('lmdb was not compiled; on Debian: apt-get install -y build-essential python3');
    return 1;
  }
  console.log('lmdb is compiled; processes that start now use it');
  return 0;
}

process.exit(main());
