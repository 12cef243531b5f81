/** The layout of a node's data folder. */
import { join, resolve } from 'node:path';
import { lockWithSocket } from '../http/socket-lock.ts';
import { unixPathBytesMax } from '../wire/unix-offer.ts';

/** Returns the folder of a slot's environment. */
export function slotPath(dataDir: string, slot: number): string {
  return join(dataDir, 'slots', String(slot).padStart(5, '0'));
}

/** Returns the absolute path of the Unix socket of a serving thread; the main one is 0. */
export function wireSocketPath(dataDir: string, thread: number): string {
  return resolve(dataDir, 'wire', `${thread}.sock`);
}

/**
 * Keeps nodes of other containers off the folder. Hold it while any environment is open.
 *
 * Returns: null, with a note, where there can be no socket. Errors: DataPlaneError `DataInUse`.
 */
export async function lockDataFolder(
  dataDir: string,
  note: (message: string, fields: Record<string, unknown>) => void,
): Promise<AsyncDisposable | null> {
  const path = resolve(dataDir, 'wire', 'lock.sock');
  const lock = Buffer.byteLength(path) > unixPathBytesMax ? null : await lockWithSocket(path);
  if (lock === null) note(`the Unix socket ${path} cannot be made: no other container may use the folder`, {});
  return lock;
}
