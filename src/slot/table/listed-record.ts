/**
 * The order in which an owner's records of a collection are listed, for collections that say so:
 * (owner, listedRecord, collection, time, rkey) → nothing.
 *
 * Follows, likes and the like are ordered by edge-walk.ts; these are few, and have any rkey.
 */
import { collectionRow } from '../../atproto/collection.ts';
import { writeCollection, writeRkey } from '../../atproto/compact-key.ts';
import { writeEntryTime } from '../../base/time-bytes.ts';
import type { AppliedRecord } from './applied-record.ts';
import { beginKey, emptyValue, type SlotState, tableCode } from './slot-state.ts';

/** Returns the prefix of an owner's listed records of a collection, in time order. */
export function listedRecordPrefix(owner: number, collection: string): Buffer {
  const key = beginKey(owner, tableCode.listedRecord);
  writeCollection(key, collection);
  return key.finish();
}

/** Puts or removes a record's row, if its collection is listed. */
export function listRecord({ rows }: SlotState, record: AppliedRecord, present: boolean): void {
  const { owner, ref, row, sortMs } = record;
  const listedBy = collectionRow(ref.collection)?.listedBy;
  if (listedBy === undefined) return;
  const key = beginKey(owner, tableCode.listedRecord);
  writeCollection(key, ref.collection);
  writeEntryTime(key, listedBy === 'sorted' ? sortMs : (row.createdMs ?? sortMs));
  writeRkey(key, ref.rkey);
  if (present) rows.put(key.finish(), emptyValue);
  else rows.remove(key.finish());
}
