/**
 * What an import from another data plane must not bring back.
 *
 * (slot, importNote, 0) → nothing, while an import runs.
 * (slot, importNote, 1, owner) → when the owner's account was deleted, until its repo returns.
 * (slot, importNote, 2, owner, digest) → nothing: what the digest names was removed while an import
 * ran, which may hold it still. These go when it ends.
 */
import { createHash } from 'node:crypto';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import { beginSlotKey, emptyValue, type SlotState, tableCode } from './slot-state.ts';

const noteSort = { runs: 0, accountDeleted: 1, removed: 2 } as const;
/** So many bytes of the digest are kept: enough that no two things of an owner share them. */
const digestBytes = 16;
const valueWriter = sharedWriter(8);

function runsKey(): Buffer {
  return beginSlotKey(tableCode.importNote).u8(noteSort.runs).finish();
}

/** True while an import runs. */
export function isImporting(state: SlotState): boolean {
  return state.rows.has(runsKey());
}

/** Notes that an import runs, or no longer does. */
export function setImporting(state: SlotState, runs: boolean): void {
  if (runs) state.rows.put(runsKey(), emptyValue);
  else state.rows.remove(runsKey());
}

function accountKey(owner: number): Buffer {
  return beginSlotKey(tableCode.importNote).u8(noteSort.accountDeleted).u32(owner).finish();
}

/** Notes when an account was deleted. */
export function noteDeletedAccount(state: SlotState, owner: number, deletedMs: number): void {
  writeEntryTime(valueWriter, deletedMs);
  state.rows.put(accountKey(owner), valueWriter.finish());
}

/** Returns when an account was deleted whose repo has not returned since, or undefined. */
export function accountDeletedMs(state: SlotState, owner: number): number | undefined {
  const value = state.rows.getVolatile(accountKey(owner));
  return value === undefined ? undefined : readEntryTime(new ByteReader(value));
}

/** Removes that note: the account is there again. */
export function clearDeletedAccount(state: SlotState, owner: number): void {
  state.rows.remove(accountKey(owner));
}

/** Returns the prefix of the notes of what was removed. */
export function removedPrefix(): Buffer {
  return beginSlotKey(tableCode.importNote).u8(noteSort.removed).finish();
}

function removedKey(owner: number, what: string): Buffer {
  const digest = createHash('sha256').update(what).digest().subarray(0, digestBytes);
  return beginSlotKey(tableCode.importNote).u8(noteSort.removed).u32(owner).bytes(digest).finish();
}

/** Returns the prefix of the notes of what was removed of one owner. */
export function removedOfPrefix(owner: number): Buffer {
  return beginSlotKey(tableCode.importNote).u8(noteSort.removed).u32(owner).finish();
}

/** Notes that something of an owner was removed; `what` names it among all that the owner has. */
export function noteRemoved(state: SlotState, owner: number, what: string): void {
  state.rows.put(removedKey(owner, what), emptyValue);
}

/** True when it was removed while an import ran. */
export function wasRemoved(state: SlotState, owner: number, what: string): boolean {
  return state.rows.has(removedKey(owner, what));
}
