/**
 * A processor for the load generator alone, and the others for the servers.
 *
 * Where both share processors, what is sent beyond the capacity costs the servers time, whatever
 * they do with it: then a bench of overload measures its own load generator.
 */
import { execFileSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** Moves all threads of processes to some processors, by their numbers as `taskset` reads them. */
function move(pids: Iterable<number>, cores: string): void {
  for (const pid of pids) execFileSync('taskset', ['--all-tasks', '--cpu-list', '--pid', cores, String(pid)]);
}

/** Runs something while this process has the last processor alone. Needs two, and `taskset`. */
export async function onOwnProcessor<Result>(
  serverPids: readonly number[],
  run: () => Promise<Result>,
): Promise<Result> {
  const last = availableParallelism() - 1;
  if (last === 0) throw new Error('the load generator needs a processor of its own');
  move(serverPids, `0-${last - 1}`);
  move([process.pid], `${last}`);
  try {
    return await run();
  } finally {
    move([...serverPids, process.pid], `0-${last}`);
  }
}
