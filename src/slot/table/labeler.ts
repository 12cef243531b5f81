/** Accounts that are labelers: (slot-wide, labeler, owner) while their service record exists. */
import { keyAfter, prefixEnd } from '../../storage/environment.ts';
import { beginSlotKey, emptyValue, readKey, type SlotState, tableCode } from './slot-state.ts';

function labelerKey(owner: number): Buffer {
  return beginSlotKey(tableCode.labeler).u32(owner).finish();
}

/** Notes whether an owner has a labeler's service record. */
export function setLabeler(state: SlotState, owner: number, isLabeler: boolean): void {
  if (isLabeler) state.rows.put(labelerKey(owner), emptyValue);
  else state.rows.remove(labelerKey(owner));
}

/** Returns the owners of labelers in their order, after `after`; 0 for the first. */
export function labelersAfter(state: SlotState, after: number, limit: number): number[] {
  const end = prefixEnd(beginSlotKey(tableCode.labeler).finish());
  const keys = state.rows.scanKeys({ start: keyAfter(labelerKey(after)), end, limit });
  return Array.from(keys, (key) => readKey(key).u32());
}
