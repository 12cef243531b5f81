/**
 * Puts the copy of a slot from a backup into a node's folder.
 *
 * Owns: the check of the copy, which must be what the backup says of it, and what the slot is told.
 * Where all slots of a cluster come from one backup, their copies are of different moments: what
 * one has of another's effects is more or less than what that has sent. So each goes on in a new
 * generation, complete, and sends all others all that it owes them, in brackets by which they let
 * go of the rest. A slot that comes back to a cluster whose others went on is left as it was: they
 * notice that it lacks its tail, and a repair brings that. Refuses: a slot that is there.
 */
import { constants } from 'node:fs';
import { copyFile, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Clock } from '../base/clock.ts';
import { DataPlaneError } from '../base/data-plane-error.ts';
import { seededRandom } from '../base/seeded-random.ts';
import type { LifecycleEntry, SlotCondition } from '../entry/lifecycle-entry.ts';
import { encodeEntryChunk } from '../log/chunk.ts';
import { putLeftPosition, readPosition, removePosition } from '../log/log-position.ts';
import type { SlotCopy } from '../migrate/backup-folder.ts';
import { generationAfter } from '../slot/effect-position.ts';
import { Slot } from '../slot/slot.ts';
import { slotTableNames, slotTables } from '../slot/table/slot-state.ts';
import { requireDiskRoomIn } from '../storage/disk-room.ts';
import { syncFolder } from '../storage/durable-file.ts';
import { Environment, environmentFiles } from '../storage/environment.ts';
import type { CopyThreads } from './copy-task.ts';
import { slotPath } from './data-folder.ts';
import { differencesOf } from './slot-copy.ts';
import { isSlotThere } from './slot-folders.ts';

/** `all`: every slot of the cluster comes from one backup. `some`: the others went on. */
export type RestoredPart = 'all' | 'some';

export type SlotRestoreOptions = {
  /** Of the node. */
  readonly dataDir: string;
  readonly slotMapBytes: number;
  /** Of the map of the restored cluster. */
  readonly cluster: string;
  readonly part: RestoredPart;
  /** Above all that the backup knows; the same for all slots. */
  readonly generation: number;
  readonly copyThreads: CopyThreads;
  readonly clock: Clock;
  readonly signal: AbortSignal;
};

/** Returns the generation in which restored slots go on. */
export function restoredGeneration(copies: readonly SlotCopy[], clock: Clock): number {
  return generationAfter(Math.max(0, ...copies.map(({ generation }) => generation)), clock);
}

/**
 * Restores one slot from the folder of its copy.
 *
 * Returns: its condition; `incomplete` where it was so in the backup. Until then the node's folder
 * has nothing of it. Errors: DataPlaneError `ConfigInvalid` for a slot that is there and for a copy
 * that is not what the backup says, `StorageFull` where there is no room.
 */
export async function restoreSlot(copyFolder: string, copy: SlotCopy, to: SlotRestoreOptions): Promise<SlotCondition> {
  const { dataDir, slotMapBytes: mapBytes, copyThreads, signal, part } = to;
  const { name, ...said } = copy;
  const path = slotPath(dataDir, said.slot);
  if (isSlotThere(dataDir, said.slot))
    throw new DataPlaneError('ConfigInvalid', `${path} holds a slot already`, {
      hint: 'Move it away first: nothing is restored over data that is there.',
    });
  const folder = join(dataDir, 'restoring', String(said.slot).padStart(5, '0'));
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  requireDiskRoomIn(folder, said.bytes);
  try {
    await copyDurably(join(copyFolder, environmentFiles.data), join(folder, environmentFiles.data));
    const { slot, fileDigest } = said;
    const task = { from: null, folder, slot, mapBytes, fileDigest };
    const found = await copyThreads
      .run(task, signal)
      .catch((thrown: unknown) => refuse(name, (thrown as Error).message));
    const differences = differencesOf(found, said);
    if (differences.length > 0) refuse(name, `it differs in ${differences.join(', ')} from what the backup says`);
    const condition = part === 'all' ? await goOn(folder, said, to) : 'complete';
    await rm(join(folder, environmentFiles.lock), { force: true });
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    // A node that never served it may have made its folder.
    await rm(path, { recursive: true, force: true });
    await rename(folder, path);
    syncFolder(dirname(path));
    return condition;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

function refuse(name: string, problem: string): never {
  throw new DataPlaneError('ConfigInvalid', `the copy ${name} is refused: ${problem}`, {
    hint: 'Restore from another backup (`skyshard backup list`); `skyshard backup verify` finds what else is damaged.',
  });
}

/** Copies a file. Returns when it is on disk. */
export async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_FICLONE);
  const file = await open(to, 'r+');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Has a slot go on in a new generation, with a log of its own and all to send again. */
async function goOn(path: string, { slot: index, slots }: Omit<SlotCopy, 'name'>, to: SlotRestoreOptions) {
  const { slotMapBytes: mapBytes, generation, cluster, clock } = to;
  const environment = Environment.open({ path, mapBytes, tables: slotTableNames });
  try {
    const table = environment.table(slotTables.log);
    // What was on the server is not in the backup, and is lost with the rest of the tail.
    if (readPosition(table) !== undefined) environment.transact(() => removePosition(table));
    environment.transact(() => putLeftPosition(table, null));
  } finally {
    await environment.close();
  }
  const session = 1 + seededRandom(clock.nowMs() + index).below(2 ** 32 - 1);
  const opening = { session, generation, condition: 'complete', cluster } as const;
  const slot = Slot.open({ index, slots, path, mapBytes, opening });
  try {
    // A slot that had lost something then cannot say that others have too much.
    const isComplete = slot.condition === 'complete';
    const entries: LifecycleEntry[] = [{ kind: 'tail-lost', lostIn: slot.generation, generation }];
    if (isComplete) entries.push({ kind: 'completed' });
    slot.run([encodeEntryChunk(index, entries)], clock.nowMs());
    return slot.condition;
  } finally {
    await slot[Symbol.asyncDispose]();
  }
}
