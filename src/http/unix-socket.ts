/**
 * The place of a Unix socket beside a port. uWebSockets replaces whatever is there, so a socket
 * that a living process listens on must be found first.
 */
import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { DataPlaneError } from '../base/data-plane-error.ts';

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const done = (answered: boolean): void => {
      socket.destroy();
      resolve(answered);
    };
    socket.once('connect', () => done(true));
    socket.once('error', () => done(false));
  });
}

/**
 * Makes the folder of a socket, which only this user may enter, and removes what a dead process
 * left at the path.
 *
 * Errors: DataPlaneError `DataInUse` if a process listens there.
 */
export async function clearSocketPath(path: string): Promise<void> {
  if (await isAnswered(path)) throw new DataPlaneError('DataInUse', `a process listens on ${path}`);
  const folder = dirname(path);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  // It may be older than this process.
  chmodSync(folder, 0o700);
  rmSync(path, { force: true });
}
