/** How many serving threads a node has unless it is told. */
import { availableParallelism } from 'node:os';
import type { Settings } from '../../config/settings.ts';

/** Returns the setting, else the cores of the machine less the nodes' apply threads, at least 1. */
export function serveThreadCount(
  { serveThreads, applyThreads }: Pick<Settings, 'serveThreads' | 'applyThreads'>,
  nodesOfMachine = 1,
  cores = availableParallelism(),
): number {
  return serveThreads ?? Math.max(1, Math.floor(cores / nodesOfMachine) - applyThreads);
}
