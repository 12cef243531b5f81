/** Child processes of benches: started from a script beside the bench, ready when they print one JSON line. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { systemClock } from '../src/base/clock.ts';

/** A started child: its pid, the JSON object of its first line, its output, and its end. */
export type BenchChild = {
  readonly pid: number;
  readonly ready: Readonly<Record<string, unknown>>;
  readonly process: ChildProcess;
  [Symbol.asyncDispose](): Promise<void>;
};

/** Ends a child when this process ends before the child does, however that comes about short of a SIGKILL. */
export function endWithUs(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): void {
  const end = (): void => void child.kill(signal);
  process.once('exit', end);
  child.once('exit', () => process.removeListener('exit', end));
}

/**
 * Starts `node <script> <args>` and waits for its first line of JSON.
 *
 * Shape: with `cores`, the child runs on those processors only (taskset).
 * Errors: a child that ends or stays silent for `readyMsMax` throws, with what it wrote to stderr.
 */
export async function startChild(
  script: string,
  args: readonly string[],
  options: {
    readonly cores?: string;
    readonly readyMsMax?: number;
    readonly nodeFlags?: readonly string[];
    /** A program, and its words, that is given the child's command line. */
    readonly prefix?: readonly string[];
    /** Added to our own environment. */
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
