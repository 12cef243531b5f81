/** A process that fails ends, whatever its threads are doing. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { projectRoot } from '../../support/source-scan.ts';

const endProcessPath = join(projectRoot, 'src', 'cli', 'process', 'end-process.ts');

function endOf(begin: string): { readonly status: number | null; readonly signal: string | null } {
  const script = `
    import { Worker } from 'node:worker_threads';
    import { endProcess } from ${JSON.stringify(endProcessPath)};
    ${begin}`;
  const { status, signal } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { timeout: 30_000 });
  return { status, signal };
}

it('by its code without threads, also when they have ended', () => {
  expect(endOf('endProcess(70);')).toEqual({ status: 70, signal: null });
  const ended = `new Worker('', { eval: true, execArgv: [] }).once('exit', () => setImmediate(() => endProcess(70)));`;
  expect(endOf(ended)).toEqual({ status: 70, signal: null });
});

it('by SIGKILL while one is stuck in a call of the system', () => {
  const stuck = `require('node:worker_threads').parentPort.postMessage(''); require('node:child_process').execSync('sleep 60');`;
  const end = `new Worker(${JSON.stringify(stuck)}, { eval: true, execArgv: [] }).once('message', () => setTimeout(endProcess, 100, 70));`;
  expect(endOf(end)).toEqual({ status: null, signal: 'SIGKILL' });
});
