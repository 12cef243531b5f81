/**
 * How often an owner cleared all its mutes of a sort: (owner, clears, sort) → count; no row for 0.
 *
 * Each mute notes the count under which it was made. One of an earlier count is gone for readers at
 * once, however many there are, and long work removes its row.
 */
import { type ByteReader, sharedWriter } from '../../base/bytes.ts';
import { beginKey, type SlotState, tableCode } from './slot-state.ts';

/** What is cleared together. The order is part of the stored format; append only. */
export const muteSorts = ['actor', 'list', 'thread'] as const;
export type MuteSort = (typeof muteSorts)[number];

const valueWriter = sharedWriter(16);

/** Reads a sort's index. Errors: MalformedBytes. */
export function readMuteSort(reader: ByteReader): MuteSort {
  return muteSorts[reader.u8()] ?? reader.fail('mutes of an unknown sort');
}

function clearsKey(owner: number, sort: MuteSort): Buffer {
  return beginKey(owner, tableCode.clears).u8(muteSorts.indexOf(sort)).finish();
}

/** Returns how often the owner cleared its mutes of a sort. */
export function clearCount(state: SlotState, owner: number, sort: MuteSort): number {
  return state.rows.getVolatile(clearsKey(owner, sort))?.readUInt32BE(0) ?? 0;
}

/** Makes all mutes of a sort gone for readers. */
export function addClear(state: SlotState, owner: number, sort: MuteSort): void {
  const count = clearCount(state, owner, sort) + 1;
  state.rows.put(clearsKey(owner, sort), valueWriter.u32(count).finish());
  state.touchedOwners.add(owner);
}
