/**
 * Ends this process even when its worker threads do not end.
 *
 * Node waits for its worker threads at exit, and one that ends with LMDB environments open can wait
 * forever for a lock that nobody releases. A process that stops on a failure would then hang, with
 * its port and its lock held, and never be restarted.
 */
import { exitCode } from '../exit-code.ts';

function hasThreads(): boolean {
  // Both fields are missing in the types. Without the first, a report resolves host names.
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  report.excludeNetwork = true;
  const { workers = [] } = report.getReport() as { readonly workers?: readonly unknown[] };
  return workers.length > 0;
}

/** Exits with the code, or by SIGKILL after a failure with threads alive; the error is printed. */
export function endProcess(code: number): void {
  if (code !== exitCode.done && hasThreads()) process.kill(process.pid, 'SIGKILL');
  process.exit(code);
}
