/** Folders of processes that do not run, while a command works on them. */
import { lockDataFolder } from '../../node/data-folder.ts';
import type { CommandContext } from '../command.ts';
import { lockFolder } from './process-lock.ts';

export type StoppedNode = { readonly node: string; readonly dataDir: string };

/**
 * Keeps all processes of a data folder from starting. Returns what lets them start again.
 *
 * Errors: DataPlaneError `DataInUse`.
 */
export async function lockStopped(
  { settings, clock, log }: CommandContext,
  nodes: readonly StoppedNode[],
): Promise<() => Promise<void>> {
  const releases: (() => unknown)[] = [];
  const releaseAll = async (): Promise<void> => {
    for (const release of releases) await release();
  };
  try {
    for (const name of ['up', 'ingest', ...nodes.map(({ node }) => `node-${node}`)]) {
      const lock = await lockFolder(settings.dataDir, name, clock, 0);
      releases.push(() => lock.release());
    }
    for (const { dataDir } of nodes) {
      const lock = await lockDataFolder(dataDir, (message) => log('warn', message));
      if (lock !== null) releases.push(() => lock[Symbol.asyncDispose]());
    }
    return releaseAll;
  } catch (thrown) {
    await releaseAll();
    throw thrown;
  }
}
