/** Counts per record: (owner, recordCounts, collection, rkey) → 32-bit numbers, by name. */
import { collectionRow } from '../../atproto/collection.ts';
import { readCollection, readRkey } from '../../atproto/compact-key.ts';
import { changedCounters, counterAt } from './counter-row.ts';
import { beginRecordKey, keyHeadOf, readKey, type SlotState, tableCode } from './slot-state.ts';

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

/**
 * Returns by what a record is ranked in search: how often likes, replies, quotes and, twice,
 * reposts double, so that few of them change it.
 */
export function engagementLevel(row: Buffer | undefined): number {
  if (row === undefined) return 0;
  const [likes, replies, reposts, quotes] = [0, 1, 2, 3].map((index) => counterAt(row, index));
  return Math.floor(Math.log2(1 + likes! + replies! + 2 * reposts! + quotes!));
}

function noteSearched({ searchChanges }: SlotState, key: Buffer): void {
  const { owner } = keyHeadOf(key);
  const reader = readKey(key);
  const collection = readCollection(reader);
  if (collectionRow(collection)?.isSearched === true) searchChanges?.look(owner, collection, readRkey(reader));
}

/** Adds to a count. A row whose counts are all 0 is removed. */
export function addToRecordCount(state: SlotState, key: Buffer, name: RecordCountName, change: 1 | -1): void {
  const before = state.rows.getVolatile(key);
  const levelBefore = state.searchChanges === null ? 0 : engagementLevel(before);
  const row = changedCounters(before, recordCountNames.indexOf(name), change);
  state.changedRecords.note(key);
  if (state.searchChanges !== null && engagementLevel(row) !== levelBefore) noteSearched(state, key);
  if (row.length === 0) state.rows.remove(key);
  else state.rows.put(key, row);
}
