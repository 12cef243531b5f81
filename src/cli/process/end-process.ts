/**
 * Ends this process even when its worker threads do not end.
 *
 * Node waits for its worker threads at exit, and one that ends with LMDB environments open can wait
 * forever for a lock that nobody releases. A process that stops on a failure would then hang, with
 * its port and its lock held, and never be restarted.
 */
import type { Worker } from 'node:worker_threads';
import { exitCode } from '../exit-code.ts';

/** Counted here: a report of Node would wait for a thread that is stuck. */
const runningThreads = new Set<Worker>();
process.on('worker', (thread) => {
  runningThreads.add(thread);
  thread.once('exit', () => runningThreads.delete(thread));
});

/** Exits with the code, or by SIGKILL after a failure with threads alive; the error is printed. */
export function endProcess(code: number): void {
  if (code !== exitCode.done && runningThreads.size > 0) process.kill(process.pid, 'SIGKILL');
  process.exit(code);
}
