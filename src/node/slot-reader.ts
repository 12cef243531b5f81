/** The serving thread's handles on the slots that apply threads write. */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { InvariantError, invariant } from '../base/invariant.ts';
import { reposToResync } from '../slot/apply/repo-apply.ts';
import { type SlotChanges, SlotState, slotTableNames } from '../slot/table/slot-state.ts';
import { Environment } from '../storage/environment.ts';
import { type ResyncPosition, resyncReposMax } from '../wire/repos-to-resync.ts';
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

/**
 * Has a reader go on in the files that its slot is in now. What it reads until then is right, but
 * what is written afterwards would be missing.
 *
 * Errors: InvariantError if it cannot, after which it must not be read.
 */
function openInPlace({ environment }: SlotReader): void {
  if (environment.isInPlace) return;
  try {
    environment.reopen();
  } catch (thrown) {
    throw new InvariantError(`the new files in ${environment.path} cannot be opened`, { cause: thrown });
  }
}

/** Has a slot's reader go on in other files, if a change says so. Errors: InvariantError. */
export function reopenReplaced(readers: ReadonlyMap<number, SlotReader>, slot: number, changes: SlotChanges): void {
  if (!changes.areFilesReplaced) return;
  const reader = readers.get(slot);
  invariant(reader !== undefined, 'readers are open before a slot is compacted');
  openInPlace(reader);
}

/**
 * Returns a slot's state as it was last committed, also where this thread has not heard yet of a
 * change of files. Costs a system call.
 *
 * Errors: DataPlaneError `WrongEpoch`; InvariantError.
 */
export function freshState(readers: ReadonlyMap<number, SlotReader>, slot: number): SlotState {
  const reader = readers.get(slot);
  if (reader === undefined) throw new DataPlaneError('WrongEpoch', `slot ${slot} is not served here`);
  openInPlace(reader);
  reader.environment.refreshReads();
  return reader.state;
}

/** Returns one page of the DIDs whose repos need a resync, and where the next page begins. */
export function reposOf(
  readers: ReadonlyMap<number, SlotReader>,
  from: ResyncPosition,
  limit = resyncReposMax,
): { dids: string[]; next: ResyncPosition | null } {
  const dids: string[] = [];
  for (const slot of [...readers.keys()].sort((one, other) => one - other)) {
    if (slot < from.slot) continue;
    dids.push(...reposToResync(readers.get(slot)!.state, slot === from.slot ? from.after : '', limit - dids.length));
    if (dids.length >= limit) return { dids, next: { slot, after: dids.at(-1)! } };
  }
  return { dids, next: null };
}
