/**
 * Who holds a handle, in its own slot: (slot-wide, handle, handle) → verification time, DID,
 * released or not.
 *
 * The claim with the greatest (time, DID) holds. A released claim stays as a row, so that an older
 * claim that arrives late does not win.
 */
import { readDid, writeDid } from '../../atproto/compact-key.ts';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import { beginSlotKey, readKey, type SlotState, tableCode } from './slot-state.ts';

/** One claim of a handle; a released one only rejects older claims. */
export type HandleRow = { readonly did: string; readonly verifiedMs: number; readonly isReleased: boolean };

const valueWriter = sharedWriter(300);

function handleKey(handle: string): Buffer {
  return beginSlotKey(tableCode.handle).text(handle).finish();
}

/** Returns the key of one actor's claim among what a source has confirmed. */
export function claimKey(handle: string, did: string): Buffer {
  const writer = beginSlotKey(tableCode.handle).text(handle);
  writeDid(writer, did);
  return writer.finish();
}

/** Reads the handle from a key of this table. */
export function readHandle(key: Buffer): string {
  return readKey(key).text();
}

/** Returns the prefix of all claims. */
export function handlePrefix(): Buffer {
  return beginSlotKey(tableCode.handle).finish();
}

/** Returns the claim that holds, released or not. */
export function getHandleRow(state: SlotState, handle: string): HandleRow | undefined {
  const value = state.rows.getVolatile(handleKey(handle));
  if (value === undefined) return undefined;
  const reader = new ByteReader(value);
  return { isReleased: reader.u8() === 1, verifiedMs: readEntryTime(reader), did: readDid(reader) };
}

/** Returns the DID that holds a lower-case handle of this slot. */
export function didOfHandle(state: SlotState, handle: string): string | undefined {
  const row = getHandleRow(state, handle);
  return row === undefined || row.isReleased ? undefined : row.did;
}

/** Stores the claim that holds. */
export function putHandleRow(state: SlotState, handle: string, row: HandleRow): void {
  valueWriter.u8(row.isReleased ? 1 : 0);
  writeEntryTime(valueWriter, row.verifiedMs);
  writeDid(valueWriter, row.did);
  state.rows.put(handleKey(handle), valueWriter.finish());
}
