/**
 * Makes the child of a slot that has split, from a copy of the parent as the split left it.
 *
 * Until the child's folder is in its place, as a whole, the parent goes on with nothing: whatever
 * ends the process meanwhile, the next one finds a slot that waits, and makes the child again.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { reachCrashPoint } from '../base/crash-point.ts';
import { invariant } from '../base/invariant.ts';
import { putPosition, readPosition } from '../log/log-position.ts';
import type { Compaction } from '../storage/compaction.ts';
import { asStorageError } from '../storage/disk-room.ts';
import { syncFolder } from '../storage/durable-file.ts';
import { Environment, keyBytesMax, type Table } from '../storage/environment.ts';
import { EffectSources } from './effect-sources.ts';
import type { Slot } from './slot.ts';
import { loadSlotMeta, putSlotMeta, slotIdentity } from './slot-meta.ts';
import { SlotRouting } from './slot-routing.ts';
import { markOfSplit } from './split-applier.ts';
import { clearOutbox, putInheritedMark } from './table/outbox.ts';
import { SlotState, slotTableNames, slotTables } from './table/slot-state.ts';

function clear(table: Table): void {
  const all = { start: Buffer.from([0]), end: Buffer.alloc(keyBytesMax, 255) };
  for (const key of [...table.scanKeys(all)]) table.remove(key);
}

/** Makes a copy of a slot that has split the slot of its child, in one transaction. */
async function becomeChild(path: string, mapBytes: number): Promise<void> {
  const environment = Environment.open({ path, mapBytes, tables: slotTableNames });
  try {
    const identity = slotIdentity(new SlotState(0, environment));
    invariant(identity !== undefined, 'a slot that has split has been written');
    const { index: parent, slots } = identity;
    const state = new SlotState(parent + slots / 2, environment);
    const meta = loadSlotMeta(state, slots);
    invariant(meta.splitSeq > 0 && meta.cursor === meta.splitSeq, 'a child begins where its parent has split');
    const at = {
      generation: meta.generation,
      session: meta.sessions.at(-1)?.id ?? 0,
      lastMark: markOfSplit(meta.splitSeq),
    };
    const log = environment.table(slotTables.log);
    const position = readPosition(log);
    environment.transact(() => {
      for (const table of [log, environment.table(slotTables.search)]) clear(table);
      // Of a log on a server, which begins with what the child's node appends.
      if (position !== undefined) putPosition(log, { ...position, timeMs: 0 });
      clearOutbox(environment.table(slotTables.outbox), state);
      const routing = new SlotRouting(state);
      routing.reload(slots);
      for (const target of routing.others()) putInheritedMark(state, target, at.lastMark);
      const sources = new EffectSources(state);
      sources.remove(state.index);
      sources.inherit(parent, at);
      putSlotMeta(state, { ...meta, sentCount: 0, receivedCount: 0 });
    });
  } finally {
    await environment.close();
  }
}

/** Returns where a child is made that goes below `path`. */
export function unfinishedPath(path: string): string {
  return `${path}-unfinished`;
}

/**
 * Makes the child of a slot that awaits it, below `path`, unless it is there. The parent goes on
 * once it is told so (`childIsMade`), when nobody reads the child's DIDs there any more. `copy` is
 * one of the parent that lacks what was written last; without it, one is made now.
 *
 * Errors: DataPlaneError `StorageFull` where the copy has no room.
 */
export async function makeChild(parent: Slot, path: string, copy: Compaction | null = null): Promise<void> {
  invariant(parent.awaitsChild, 'a child is made where a slot has split');
  if (existsSync(path)) return;
  const unfinished = unfinishedPath(path);
  if (copy !== null) await copy.finish();
  else {
    rmSync(unfinished, { recursive: true, force: true });
    await parent.environment.copyTo(unfinished);
  }
  reachCrashPoint('split-after-copy');
  try {
    await becomeChild(unfinished, parent.environment.mapBytes);
    reachCrashPoint('split-before-rename');
    renameSync(unfinished, path);
    syncFolder(dirname(path));
  } catch (thrown) {
    throw asStorageError(thrown, path);
  }
  reachCrashPoint('split-after-rename');
}
