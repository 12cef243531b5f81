/** Folders of prepared data that benches keep between runs, in the system's temporary folder. */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export function benchCacheFolder(): string {
  return join(tmpdir(), 'skyshard-bench');
}

/** Returns the folder of a key, or null when it has not been prepared. */
export function preparedFolder(key: string): string | null {
  const folder = join(benchCacheFolder(), key);
  return existsSync(folder) ? folder : null;
}

/** Returns the folder of a key. `prepare` fills a new one, which is named once it is whole. */
export async function cachedFolder(key: string, prepare: (folder: string) => Promise<void>): Promise<string> {
  const ready = preparedFolder(key);
  if (ready !== null) return ready;
  mkdirSync(benchCacheFolder(), { recursive: true });
  const partial = mkdtempSync(join(benchCacheFolder(), 'partial-'));
  try {
    await prepare(partial);
    renameSync(partial, join(benchCacheFolder(), key));
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw error;
  }
  return join(benchCacheFolder(), key);
}
