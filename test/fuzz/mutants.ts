/**
 * `npm run fuzz:mutants -- [--only text]`: removes bounds one at a time; each must be noticed.
 *
 * Works in a copy of the sources, so that nothing here changes. A mutant is caught when its tests,
 * or its fuzz target, fail. One that is not caught, or whose text is gone, fails the run.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { projectRoot } from '../support/source-scan.ts';
import { type Mutant, mutants } from './mutant-table.ts';

const copied = ['src', 'test', 'bench', 'ops', 'package.json', 'tsconfig.json', 'vitest.config.ts', 'shard-map.json'];
const minutesMax = 10;

/** Runs what must catch a mutant. Returns true when it fails. */
function isCaught(folder: string, { caughtBy }: Mutant): boolean {
  const words =
    'tests' in caughtBy
      ? [join('node_modules', 'vitest', 'vitest.mjs'), 'run', '--bail=1', ...caughtBy.tests]
      : [
          join('test', 'fuzz', 'run.ts'),
          '--seed',
          `${caughtBy.seed}`,
          '--seconds',
          `${caughtBy.seconds}`,
          '--target',
          caughtBy.target,
        ];
  const { status } = spawnSync(process.execPath, words, { cwd: folder, stdio: 'ignore', timeout: minutesMax * 60_000 });
  return status !== 0;
}

function outcomeOf(folder: string, mutant: Mutant): 'caught' | 'MISSED' | 'TEXT GONE' {
  const path = join(folder, mutant.file);
  const before = readFileSync(path, 'utf8');
  if (before.split(mutant.text).length !== 2) return 'TEXT GONE';
  writeFileSync(
    path,
    before.replace(mutant.text, () => mutant.replacement),
  );
  try {
    return isCaught(folder, mutant) ? 'caught' : 'MISSED';
  } finally {
    writeFileSync(path, before);
  }
}

const { values } = parseArgs({ options: { only: { type: 'string', default: '' } } });
const chosen = mutants.filter(({ bound }) => bound.includes(values.only));
if (chosen.length === 0) {
  console.error(`no bound has ${JSON.stringify(values.only)} in its name; test/fuzz/mutant-table.ts has them all`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), 'skyshard-mutants-'));
let failures = 0;
try {
  for (const name of copied) cpSync(join(projectRoot, name), join(folder, name), { recursive: true });
  symlinkSync(join(projectRoot, 'node_modules'), join(folder, 'node_modules'));
  for (const mutant of chosen) {
    const startedMs = performance.now();
    const outcome = outcomeOf(folder, mutant);
    if (outcome !== 'caught') failures++;
    const { caughtBy } = mutant;
    const by =
      'tests' in caughtBy ? caughtBy.tests.join(', ') : `fuzz target ${caughtBy.target}, seed ${caughtBy.seed}`;
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(0).padStart(4);
    console.log(`${outcome.padEnd(9)} ${mutant.bound.padEnd(44)} ${seconds} s  ${by}`);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
console.log(failures === 0 ? 'every mutant is caught' : `${failures} mutants are not caught`);
process.exit(failures === 0 ? 0 : 1);
