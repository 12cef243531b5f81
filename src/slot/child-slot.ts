/**
 * Makes the child of a slot that has split, from a copy of the parent as the split left it.
 *
 * Until the child's folder is in its place, as a whole, the parent goes on with nothing: whatever
 * ends the process meanwhile, the next one finds a slot that waits, and makes the child again.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { invariant } from '../base/invariant.ts';
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
    environment.transact(() => {
      for (const name of [slotTables.log, slotTables.search]) clear(environment.table(name));
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

/** Makes the child of a slot that awaits it, below `path`, unless it is there. */
export async function makeChild(parent: Slot, path: string): Promise<void> {
  invariant(parent.awaitsChild, 'a child is made where a slot has split');
  if (!existsSync(path)) {
    const unfinished = `${path}-unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    await parent.environment.copyTo(unfinished);
    await becomeChild(unfinished, parent.environment.mapBytes);
    renameSync(unfinished, path);
    syncFolder(dirname(path));
  }
  parent.childIsMade();
}
