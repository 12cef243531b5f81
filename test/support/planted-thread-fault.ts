/**
 * Preloaded into the processes of a test: the first serving thread of a node dies or hangs on
 * request, which is a file in the node's folder.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMainThread, workerData } from 'node:worker_threads';

export type ThreadFault = 'throw' | 'exit' | 'hang';

const checkMs = 20;

function pathIn(nodeDir: string): string {
  return join(nodeDir, 'planted-fault');
}

/** There once the thread hangs. */
function hangsPathIn(nodeDir: string): string {
  return join(nodeDir, 'thread-hangs');
}

/** Has the thread do this. It hangs until `endHang`. */
export function plantFault(nodeDir: string, fault: ThreadFault): void {
  writeFileSync(pathIn(nodeDir), fault);
}

export function isHanging(nodeDir: string): boolean {
  return existsSync(hangsPathIn(nodeDir));
}

export function endHang(nodeDir: string): void {
  rmSync(pathIn(nodeDir));
}

function commit(nodeDir: string): void {
  const path = pathIn(nodeDir);
  const fault = existsSync(path) ? readFileSync(path, 'utf8') : '';
  if (fault === 'hang') {
    writeFileSync(hangsPathIn(nodeDir), '');
    const never = new Int32Array(new SharedArrayBuffer(4));
    while (existsSync(path)) Atomics.wait(never, 0, 0, checkMs);
  }
  if (fault !== 'throw' && fault !== 'exit') return;
  // Once: the process that starts afterwards is to serve.
  rmSync(path);
  if (fault === 'throw') throw new Error('a planted fault');
  process.exit(3);
}

if (!isMainThread && workerData?.thread === 1) {
  setInterval(() => commit(workerData.settings.dataDir), checkMs).unref();
}
