/**
 * Keeps other processes off a folder, also those of other containers, whose process ids tell
 * nothing.
 *
 * Owns: a Unix socket in the folder, which listens for as long as the lock is held, and whose end
 * is seen when the process is killed.
 */
import { randomBytes } from 'node:crypto';
import { chmodSync, renameSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { closed, lockServer } from './port-lock.ts';
import { makeSocketFolder, requireDeadSocket } from './unix-socket.ts';

/** Returns the code of what hinders; null once the server listens. */
function problemAt(path: string, server: Server): Promise<string | null> {
  return new Promise((resolve) => {
    server.once('error', ({ code = '' }: NodeJS.ErrnoException) => resolve(code));
    server.listen(path, () => resolve(null));
  });
}

/**
 * Removes what a dead process left. Another one may have put its own there since that was seen:
 * only what is moved away can be looked at and removed in safety.
 */
async function removeDead(path: string): Promise<void> {
  await requireDeadSocket(path);
  const moved = `${path}.${randomBytes(4).toString('hex')}`;
  try {
    renameSync(path, moved);
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw thrown;
  }
  await requireDeadSocket(moved).catch((thrown: unknown) => {
    renameSync(moved, path);
    throw thrown;
  });
  rmSync(moved);
}

/**
 * Takes the lock.
 *
 * Returns: null if the file system has no sockets. Errors: DataPlaneError `DataInUse` if a process
 * holds it.
 */
export async function lockWithSocket(path: string): Promise<AsyncDisposable | null> {
  makeSocketFolder(path);
  for (;;) {
    const server = lockServer();
    const problem = await problemAt(path, server);
    if (problem === null) {
      chmodSync(path, 0o600);
      server.unref();
      // That removes the socket too.
      return { [Symbol.asyncDispose]: () => closed(server) };
    }
    if (problem !== 'EADDRINUSE') return null;
    await removeDead(path);
  }
}
