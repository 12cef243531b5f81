/** The life of a server command: lock its folder, start, tell that it serves, wait to be told to stop, close. */
import { join } from 'node:path';
import type { Listening, ReadyMessage } from './child-process.ts';
import type { CommandContext } from './command.ts';
import { exitCode } from './exit-code.ts';
import { lockFolder, lockWaitMsMax } from './process-lock.ts';

/** A server that runs, as its folder's start function returns it. */
export type RunningServer = { readonly listening: Listening; close(): Promise<void> };

/** Resolves when this process is told to stop: by a signal, or because the `up` that started it is gone. */
export function stopAsked(): Promise<string> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve('SIGINT'));
    process.once('SIGTERM', () => resolve('SIGTERM'));
    if (process.channel !== undefined) process.once('disconnect', () => resolve('the supervising process ended'));
  });
}

/** Runs a server to its end. `name` is the name of its folder below the data folder, which it alone uses. */
export async function serve(
  context: CommandContext,
  name: string,
  start: (folder: string) => Promise<RunningServer>,
): Promise<number> {
  const { settings, clock, log, print } = context;
  const asked = stopAsked();
  const lock = await lockFolder(settings.dataDir, name, clock, lockWaitMsMax);
  try {
    const server = await start(join(settings.dataDir, name));
    const ready: ReadyMessage = { type: 'ready', listening: server.listening };
    process.send?.(ready);
    print(`${JSON.stringify({ event: 'ready', name, pid: process.pid, ...server.listening })}\n`);
    log('info', `${name} stops`, { because: await asked });
    await server.close();
  } finally {
    lock.release();
  }
  return exitCode.done;
}
