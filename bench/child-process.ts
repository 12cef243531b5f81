/** Child processes of benches: started from a script, ready when they print one JSON line. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { systemClock } from '../src/base/clock.ts';

/** `ready` is the JSON object of the child's first line. */
export type BenchChild = {
  readonly pid: number;
  readonly ready: Readonly<Record<string, unknown>>;
  readonly process: ChildProcess;
  [Symbol.asyncDispose](): Promise<void>;
};

const signalByChild = new Map<ChildProcess, NodeJS.Signals>();
process.once('exit', () => {
  for (const [child, signal] of signalByChild) child.kill(signal);
});

/** Ends the child when this process ends first, unless that is by SIGKILL. */
export function endWithUs(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): void {
  signalByChild.set(child, signal);
  child.once('exit', () => signalByChild.delete(child));
}

/**
 * Starts `node <script> <args>` and waits for its first line of JSON.
 *
 * Shape: with `cores`, the child runs only on those processors (taskset).
 * Errors: Error with the child's stderr, when it exits or prints nothing for `readyMsMax`.
 */
export async function startChild(
  script: string,
  args: readonly string[],
  options: {
    readonly cores?: string;
    readonly readyMsMax?: number;
    readonly nodeFlags?: readonly string[];
    /** A program and its arguments, which gets the child's command line appended. */
    readonly prefix?: readonly string[];
    /** Added to our environment. */
    readonly env?: Readonly<Record<string, string>>;
  } = {},
): Promise<BenchChild> {
  const command = [process.execPath, ...(options.nodeFlags ?? []), script, ...args];
  if (options.cores !== undefined) command.unshift('taskset', '-c', options.cores);
  command.unshift(...(options.prefix ?? []));
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
  });
  endWithUs(child);
  let errorText = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errorText = (errorText + chunk.toString()).slice(-4000);
  });
  const lines = createInterface({ input: child.stdout });
  const timer = new AbortController();
  const firstLine = await Promise.race([
    once(lines, 'line').then((values) => String(values[0])),
    once(child, 'exit').then(() => null),
    systemClock.sleep(options.readyMsMax ?? 30_000, timer.signal).then(() => null),
  ]);
  timer.abort();
  if (firstLine === null) {
    child.kill('SIGKILL');
    throw new Error(`${script} did not get ready: ${errorText}`);
  }
  const stop = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await ended;
    clearTimeout(force);
  };
  return { pid: child.pid!, ready: JSON.parse(firstLine), process: child, [Symbol.asyncDispose]: stop };
}
