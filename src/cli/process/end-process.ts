/**
 * Ends this process whatever its threads do.
 *
 * Node waits for its worker threads when it exits, and a thread that ends with LMDB environments open can wait for ever for a lock
 * that nobody gives back. A process that must stop because something is broken would then hang, hold its port and its
 * lock, and never be started again.
 */
import { exitCode } from '../exit-code.ts';

function hasThreads(): boolean {
  // The type declarations lack both fields. Without the first, a report looks up the names of every open connection.
  const report = process.report as typeof process.report & { excludeNetwork: boolean };
  report.excludeNetwork = true;
  const { workers = [] } = report.getReport() as { readonly workers?: readonly unknown[] };
  return workers.length > 0;
}

/** Exits with the code; after a failure with threads still alive, by SIGKILL, since what went wrong has been printed. */
export function endProcess(code: number): void {
  if (code !== exitCode.done && hasThreads()) process.kill(process.pid, 'SIGKILL');
  process.exit(code);
}
