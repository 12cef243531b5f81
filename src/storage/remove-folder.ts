/** Removes folders with files of any size, and holds nothing up. */
import { rm } from 'node:fs/promises';

/**
 * Removes a folder, if it is there, with all that is in it, on a thread of the pool.
 *
 * The last name of a file takes its pages out of memory with it: for one of gigabytes, the thread
 * that removes it is busy for a good part of a second.
 */
export function removeFolder(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true });
}
