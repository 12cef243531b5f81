/** The layout of a node's data folder. */
import { join, resolve } from 'node:path';
import { requireDeadSocket } from '../http/unix-socket.ts';

/** Returns the folder of a slot's environment. */
export function slotPath(dataDir: string, slot: number): string {
  return join(dataDir, 'slots', String(slot).padStart(5, '0'));
}

/** Returns the absolute path of the Unix socket of a serving thread; the main one is 0. */
export function wireSocketPath(dataDir: string, thread: number): string {
  return resolve(dataDir, 'wire', `${thread}.sock`);
}

/**
 * Refuses a folder that a node serves in another container, where process ids tell nothing.
 *
 * Errors: DataPlaneError `DataInUse`.
 */
export async function requireUnserved(dataDir: string): Promise<void> {
  // The main thread serves, or workers from 1.
  for (const thread of [0, 1]) await requireDeadSocket(wireSocketPath(dataDir, thread));
}
