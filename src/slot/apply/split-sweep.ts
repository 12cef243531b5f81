/**
 * Removes from a slot that has split, or from its child, what is now the other's.
 *
 * Nobody asks here for those rows any more, and no rule may meet them: resends and sweeps of
 * brackets, which walk over all rows of a slot, wait for the end of this. What a rule would do on a
 * removal is not done: nothing is gone, it is elsewhere.
 */
import { readDid } from '../../atproto/compact-key.ts';
import { keyAfter, prefixEnd, type Scan } from '../../storage/environment.ts';
import { getActor } from '../table/actor-row.ts';
import { readHandle } from '../table/handle-claim.ts';
import { clearDeletedAccount, removedOfPrefix } from '../table/import-note.ts';
import { setLabeler } from '../table/labeler.ts';
import type { LongWorkOf } from '../table/long-work.ts';
import { countNewActor } from '../table/new-actors.ts';
import { beginKey, beginSlotKey, keyHeadOf, readKey, type SlotState, tableCode } from '../table/slot-state.ts';
import { type ApplyContext, workCostUs } from './apply-context.ts';

const rowsPerPage = 64;

/** Removes rows of a range while the entry may cost more. Returns whether all of them are gone. */
function removeRange(context: ApplyContext, range: Pick<Scan, 'start' | 'end'>, onKey: (key: Buffer) => void): boolean {
  const { rows } = context.state;
  while (context.workUsLeft > 0) {
    const keys = [...rows.scanKeys({ ...range, limit: rowsPerPage })];
    for (const key of keys) {
      onKey(key);
      rows.remove(key);
    }
    context.workUsLeft -= keys.length * workCostUs.row;
    if (keys.length < rowsPerPage) return true;
  }
  return false;
}

/** Removes what the slot holds of an owner. Returns whether all of it is gone. */
function removeOwner(context: ApplyContext, did: string, owner: number): boolean {
  const { state } = context;
  const forget = (key: Buffer): void => {
    const actor = keyHeadOf(key).table === tableCode.actor ? getActor(state, owner) : undefined;
    if (actor !== undefined) countNewActor(state, actor.seenMs, -1);
  };
  const own = { start: beginKey(owner, 0).finish(), end: beginKey(owner + 1, 0).finish() };
  if (!removeRange(context, own, forget)) return false;
  const notes = removedOfPrefix(owner);
  if (!removeRange(context, { start: notes, end: prefixEnd(notes) }, () => {})) return false;
  clearDeletedAccount(state, owner);
  setLabeler(state, owner, false);
  state.touchedOwners.add(owner);
  state.removeOwner(did);
  return true;
}

/** Rows of the whole slot that are about one key each, in the order of their tables. */
const slotTables = [tableCode.ownerByDid, tableCode.handle, tableCode.resyncNeeded] as const;

function keysAfter({ rows }: SlotState, after: Buffer): Buffer[] {
  for (const table of slotTables) {
    const prefix = beginSlotKey(table).finish();
    const end = prefixEnd(prefix);
    if (Buffer.compare(after, end) >= 0) continue;
    const start = Buffer.compare(after, prefix) < 0 ? prefix : keyAfter(after);
    const keys = [...rows.scanKeys({ start, end, limit: rowsPerPage })];
    if (keys.length > 0) return keys;
  }
  return [];
}

/** Does a step of the sweep. Returns the rest, or undefined at its end. */
export function sweepMoved(
  context: ApplyContext,
  work: LongWorkOf<'split-sweep'>,
): LongWorkOf<'split-sweep'> | undefined {
  const { state } = context;
  let { after } = work;
  for (;;) {
    const keys = keysAfter(state, after);
    if (keys.length === 0) return undefined;
    for (const key of keys) {
      if (context.workUsLeft <= 0) return { ...work, after };
      context.workUsLeft -= workCostUs.row;
      const { table } = keyHeadOf(key);
      const name = table === tableCode.handle ? readHandle(key) : readDid(readKey(key));
      if (!context.isOwn(name)) {
        const owner = table === tableCode.ownerByDid ? state.ownerOf(name) : undefined;
        if (owner === undefined) state.rows.remove(key);
        else if (!removeOwner(context, name, owner)) return { ...work, after };
      }
      after = key;
    }
  }
}
