/** The ends and the output of processes that the tests start. */
import type { ChildProcess } from 'node:child_process';

/**
 * Stops a child that we started, by force after a grace period.
 *
 * Returns: once the process is gone.
 */
export async function endProcess(child: ChildProcess, signal: 'SIGINT' | 'SIGTERM', graceMs: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  child.kill(signal);
  const killer = setTimeout(() => child.kill('SIGKILL'), graceMs);
  await gone;
  clearTimeout(killer);
}

/** Keeps the end of a child's output, to show when it fails. */
export function keepOutput(child: ChildProcess, charactersMax = 8000): () => string {
  let kept = '';
  const keep = (chunk: Buffer): void => {
    kept = (kept + chunk.toString('utf8')).slice(-charactersMax);
  };
  child.stdout?.on('data', keep);
  child.stderr?.on('data', keep);
  return () => kept;
}
