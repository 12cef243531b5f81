/** Counts per record: (owner, recordCounts, collection, rkey) → 32-bit numbers, by name. */
import { changedCounters, counterAt } from './counter-row.ts';
import { beginRecordKey, type SlotState, tableCode } from './slot-state.ts';

/** The order is part of the stored format; append only. */
export const recordCountNames = ['likes', 'replies', 'reposts', 'quotes', 'bookmarks'] as const;

export type RecordCountName = (typeof recordCountNames)[number];

/** Returns the key of a record's counts. */
export function recordCountsKey(owner: number, collection: string, rkey: string): Buffer {
  return beginRecordKey(owner, tableCode.recordCounts, collection, rkey).finish();
}

/** Returns a count of the record whose counts have this key. */
export function getRecordCount(state: SlotState, key: Buffer, name: RecordCountName): number {
  const value = state.rows.getVolatile(key);
  return value === undefined ? 0 : counterAt(value, recordCountNames.indexOf(name));
}

/** Adds to a count. A row whose counts are all 0 is removed. */
export function addToRecordCount(state: SlotState, key: Buffer, name: RecordCountName, change: 1 | -1): void {
  const row = changedCounters(state.rows.getVolatile(key), recordCountNames.indexOf(name), change);
  state.changedRecords.note(key);
  if (row.length === 0) state.rows.remove(key);
  else state.rows.put(key, row);
}
