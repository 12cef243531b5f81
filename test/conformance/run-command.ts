/** Commands that prepare the conformance lane and check its types, each awaited to its end. */
import { spawn } from 'node:child_process';

export interface CommandOptions {
  readonly cwd?: string;
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Hides the output unless the command fails. */
  readonly quiet?: boolean;
  readonly deadlineMs: number;
}

/**
 * Runs one command. Returns: its standard output.
 *
 * Errors: rejects with the output when the command exits non-zero or exceeds its deadline.
 */
export async function runCommand(command: string, args: readonly string[], options: CommandOptions): Promise<string> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.deadlineMs,
  });
  const output: string[] = [];
  const everything: string[] = [];
  child.stdout.on('data', (chunk: Buffer) => {
    output.push(chunk.toString('utf8'));
    everything.push(chunk.toString('utf8'));
    if (options.quiet !== true) process.stdout.write(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    everything.push(chunk.toString('utf8'));
    if (options.quiet !== true) process.stderr.write(chunk);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) {
    throw new Error(
      `${command} ${args.join(' ')} ended with ${code ?? 'a signal'}\n${everything.join('').slice(-4000)}`,
    );
  }
  return output.join('');
}
