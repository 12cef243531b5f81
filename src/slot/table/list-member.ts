/**
 * The members of an owner's lists, the order of pages, and how many there are.
 *
 * (owner, listMember, collection and rkey of the list, sort time, rkey of the item) → DID.
 * (owner, listMember, collection and rkey of the list) → count; no row for 0.
 *
 * Members stay when the record of their list goes. Which item makes an actor a member is found in
 * edge-by-subject.ts, as for every edge.
 */
import { type RecordRef, readDid, readRkey, writeDid, writeRkey } from '../../atproto/compact-key.ts';
import type { EdgeSubject } from '../../atproto/edge-kind.ts';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { timeBytes, writeEntryTime } from '../../base/time-bytes.ts';
import type { AppliedRecord } from './applied-record.ts';
import { beginRecordKey, type SlotState, tableCode } from './slot-state.ts';

const valueWriter = sharedWriter(256);

/** Returns the prefix of a list's members, in time order; the row of that very key is the count. */
export function listMemberPrefix(owner: number, { collection, rkey }: RecordRef): Buffer {
  return beginRecordKey(owner, tableCode.listMember, collection, rkey).finish();
}

/** Returns the number in a row of a count. */
export function memberCountOf(value: Buffer): number {
  return value.readUInt32BE(0);
}

/** Adds or removes the member that an item of the owner's own list makes. */
export function changeListMember(
  { rows, touchedOwners }: SlotState,
  { owner, ref, sortMs }: AppliedRecord,
  { did, ref: list }: EdgeSubject,
  change: 1 | -1,
): void {
  // Ingest drops items of others' lists.
  if (list === null || list.did !== ref.did) return;
  // Serving threads cache the members of lists.
  touchedOwners.add(owner);
  const countKey = listMemberPrefix(owner, list);
  const before = rows.getVolatile(countKey);
  const count = (before === undefined ? 0 : memberCountOf(before)) + change;
  if (count > 0) rows.put(countKey, valueWriter.u32(count).finish());
  else rows.remove(countKey);
  const key = beginRecordKey(owner, tableCode.listMember, list.collection, list.rkey);
  writeEntryTime(key, sortMs);
  writeRkey(key, ref.rkey);
  if (change < 0) return rows.remove(key.finish());
  writeDid(valueWriter, did);
  rows.put(key.finish(), valueWriter.finish());
}

/** A member, by the item that makes it one. */
export type ListMember = { readonly did: string; readonly itemRkey: string };

/** Reads a row of a list's members, whose key begins with a prefix of `prefixLength` bytes. */
export function readListMember(key: Buffer, value: Buffer, prefixLength: number): ListMember {
  return { did: readDid(new ByteReader(value)), itemRkey: readRkey(new ByteReader(key, prefixLength + timeBytes)) };
}
