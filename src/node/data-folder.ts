/** Where a node keeps what. */
import { join } from 'node:path';

/** Returns the folder of one slot's environment. */
export function slotPath(dataDir: string, slot: number): string {
  return join(dataDir, 'slots', String(slot).padStart(5, '0'));
}
