/** Copies an environment that another process of this machine writes to meanwhile. */
import { mkdirSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { join } from 'node:path';
import { open } from 'lmdb';
import { asStorageError } from './disk-room.ts';
import { environmentFiles } from './environment.ts';

/** Address space: a reader sees no more of the file than this. */
const mapBytes = 2 ** 40;
const tablesMax = 64;

/**
 * Copies the environment in the folder `from`, as it is at one moment, into the folder `to`.
 *
 * It opens nothing for writing: of two writers of one environment, one would ruin it.
 * Returns: when the copy is on disk. Errors: DataPlaneError `StorageFull` where it has no room.
 */
export async function copyLiveEnvironment(from: string, to: string): Promise<void> {
  mkdirSync(to, { recursive: true, mode: 0o700 });
  const root = open({ path: from, readOnly: true, noSubdir: false, maxDbs: tablesMax, mapSize: mapBytes });
  try {
    await root.backup(to, true);
  } catch (thrown) {
    throw asStorageError(thrown, to);
  } finally {
    await root.close();
  }
  const file = await openFile(join(to, environmentFiles.data), 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
