/** The serving thread's handles on the slots that apply threads write. */
import { reposToResync } from '../slot/apply/repo-apply.ts';
import { SlotState, slotTableNames } from '../slot/table/slot-state.ts';
import { Environment } from '../storage/environment.ts';
import { resyncReposMax } from '../wire/repos-to-resync.ts';
import { slotPath } from './data-folder.ts';

export type SlotReader = { readonly environment: Environment; readonly state: SlotState };

/** Opens read handles on slots, whose environments must exist. */
export function openReaders(slots: readonly number[], dataDir: string, mapBytes: number): Map<number, SlotReader> {
  return new Map(
    slots.map((slot) => {
      const path = slotPath(dataDir, slot);
      const environment = Environment.open({ path, mapBytes, tables: slotTableNames });
      return [slot, { environment, state: new SlotState(slot, environment) }];
    }),
  );
}

/** Returns up to `resyncReposMax` DIDs whose repos need a resync. */
export function reposOf(readers: ReadonlyMap<number, SlotReader>): string[] {
  const dids: string[] = [];
  for (const { state } of readers.values()) {
    if (dids.length >= resyncReposMax) break;
    dids.push(...reposToResync(state, resyncReposMax - dids.length));
  }
  return dids;
}
