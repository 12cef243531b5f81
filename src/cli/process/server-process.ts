/** The life of a server command: lock its folder, start, report ready, wait for a stop, close. */
import { join } from 'node:path';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import type { ChildMessage, Listening } from './child-process.ts';
import { lockFolder, lockWaitMsMax } from './process-lock.ts';

/**
 * `failed` rejects when the server cannot go on, with `WrongEpoch` when it must start again to take
 * a newer map; it may stay pending, or resolve at the end.
 */
export type RunningServer = {
  readonly listening: Listening;
  readonly failed?: Promise<void>;
  close(): Promise<void>;
};

/** Returns a promise for `RunningServer.failed`, and the function that rejects it. */
export function failureSwitch(): { readonly failed: Promise<never>; readonly fail: (error: Error) => void } {
  let fail: (error: Error) => void = () => {};
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject;
  });
  // It may reject before anyone awaits it.
  failed.catch(() => {});
  return { failed, fail: (error) => fail(error) };
}

/** Resolves on a signal to stop, or when the `up` that started this process is gone. */
function stopRequested(): Promise<string> {
  return new Promise((resolve) => {
    process.once('SIGINT', () => resolve('SIGINT'));
    process.once('SIGTERM', () => resolve('SIGTERM'));
    if (process.channel !== undefined) process.once('disconnect', () => resolve('the supervising process ended'));
  });
}

/** How long a server may take to close: less than `up` waits for a node before it kills it. */
const closeMsMax = 45_000;

async function closeInTime(server: RunningServer, name: string, { clock }: CommandContext): Promise<void> {
  const isClosed = new AbortController();
  const late = clock.sleep(closeMsMax, isClosed.signal).then(() => !isClosed.signal.aborted);
  const isLate = await Promise.race([late, server.close().then(() => false)]);
  isClosed.abort();
  if (isLate) throw new DataPlaneError('DeadlineExceeded', `${name} did not close in ${closeMsMax} ms`);
}

/** Runs a server to its end. `name` is its folder below the data folder, which it alone uses. */
export async function serve(
  context: CommandContext,
  name: string,
  start: (folder: string) => Promise<RunningServer>,
): Promise<number> {
  const { settings, clock, log, print } = context;
  const requested = stopRequested();
  const lock = await lockFolder(settings.dataDir, name, clock, lockWaitMsMax);
  try {
    const server = await start(join(settings.dataDir, name));
    const tell = (message: ChildMessage): boolean => process.send?.(message) ?? false;
    if (process.send !== undefined) tell({ type: 'ready', listening: server.listening });
    else print(`${JSON.stringify({ event: 'ready', name, pid: process.pid, ...server.listening })}\n`);
    // Only the rejection matters: a server that ends without failing was closed on purpose.
    const failed = (server.failed ?? requested).then(() => requested);
    const because = await Promise.race([requested, failed]).catch(async (thrown: unknown) => {
      if (!(thrown instanceof DataPlaneError) || thrown.code !== 'WrongEpoch') throw thrown;
      // It is whole, and answers what it was asked.
      tell({ type: 'starts-again' });
      await closeInTime(server, name, context);
      throw thrown;
    });
    log('info', `${name} stops`, { because });
    await closeInTime(server, name, context);
  } finally {
    lock.release();
  }
  return exitCode.done;
}
