/** Folders of tests whose files need not survive. */
import { mkdtempSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Makes a temporary folder, in memory where possible, for tests that need no real disk. */
export function makeMemoryFolder(prefix: string): string {
  const isShared = statSync('/dev/shm', { throwIfNoEntry: false })?.isDirectory() === true;
  return mkdtempSync(join(isShared ? '/dev/shm' : tmpdir(), prefix));
}
