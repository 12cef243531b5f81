/** The serving thread's handles on the slots that apply threads write. */
import { DataPlaneError } from '../base/data-plane-error.ts';
import { InvariantError } from '../base/invariant.ts';
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

/** Longer than any read of a slot takes. Units: ms. */
export const lastReadMsMax = 60_000;

/** One thread's readers, of slots that come and go while others are read. */
export class SlotReaders implements AsyncDisposable {
  readonly #dataDir: string;
  readonly #mapBytes: number;
  readonly #bySlot = new Map<number, SlotReader>();
  /** Of slots that are not read any more, but perhaps by what has begun before. */
  readonly #left = new Map<Environment, NodeJS.Timeout>();

  constructor(dataDir: string, mapBytes: number) {
    this.#dataDir = dataDir;
    this.#mapBytes = mapBytes;
  }

  /** Those that are open; always the same map. */
  get bySlot(): ReadonlyMap<number, SlotReader> {
    return this.#bySlot;
  }

  /** Opens read handles on slots, whose environments must exist. */
  open(slots: readonly number[]): void {
    const opened = openReaders(slots, this.#dataDir, this.#mapBytes);
    for (const [slot, reader] of opened) this.#bySlot.set(slot, reader);
  }

  /** Forgets slots, whose files may then be removed: they stay mapped for what reads them still. */
  leave(slots: readonly number[]): void {
    for (const slot of slots) {
      const environment = this.#bySlot.get(slot)?.environment;
      this.#bySlot.delete(slot);
      if (environment === undefined) continue;
      const close = (): void => {
        this.#left.delete(environment);
        void environment.close();
      };
      this.#left.set(environment, setTimeout(close, lastReadMsMax).unref());
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const timer of this.#left.values()) clearTimeout(timer);
    for (const environment of this.#left.keys()) await environment.close();
    for (const { environment } of this.#bySlot.values()) await environment.close();
  }
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
  // Of a slot that was given up, changes may come late.
  const reader = readers.get(slot);
  if (reader !== undefined) openInPlace(reader);
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
