/** The layout of a node's data folder. */
import { join } from 'node:path';

/** Returns the folder of a slot's environment. */
export function slotPath(dataDir: string, slot: number): string {
  return join(dataDir, 'slots', String(slot).padStart(5, '0'));
}
