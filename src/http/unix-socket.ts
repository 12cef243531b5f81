/**
 * The place of a Unix socket beside a port. uWebSockets replaces whatever is there, so a socket
 * that a living process listens on must be found first.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { DataPlaneError } from '../base/data-plane-error.ts';

function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (alive: boolean): void => {
      socket.destroy();
      resolve(alive);
    };
    socket.once('connect', () => done(true));
    // The queue of a stuck process is full.
    socket.once('error', ({ code }: NodeJS.ErrnoException) => done(code === 'EAGAIN'));
  });
}

/** Errors: DataPlaneError `DataInUse` if a process listens on the Unix socket. */
export async function requireDeadSocket(path: string): Promise<void> {
  if (await isAlive(path)) throw new DataPlaneError('DataInUse', `a process listens on ${path}`);
}

/** Makes the folder of a socket, which only this user may enter. */
export function makeSocketFolder(path: string): void {
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // It may be older than this process.
  chmodSync(folder, 0o700);
}

/** Makes the folder, and removes what a dead process left. Errors: see `requireDeadSocket`. */
export async function clearSocketPath(path: string): Promise<void> {
  await requireDeadSocket(path);
  makeSocketFolder(path);
  rmSync(path, { force: true });
}
