/**
 * The meta row of a slot: how far its log is applied, and what it counts. Written once in each
 * transaction.
 */
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { beginSlotKey, type SlotState, tableCode } from './table/slot-state.ts';

export type SlotMeta = {
  /** The last seq that is applied and durable; inclusive. */
  cursor: number;
  generation: number;
  /** Effects ever made for other slots, and applied from them: equal in sum once all arrived. */
  sentCount: number;
  receivedCount: number;
  /** Rows of long work that wait. */
  works: number;
};

/** The version of the layout of all rows that have none of their own. */
const metaVersion = 3;
const writer = new ByteWriter(64);
const metaKey = (): Buffer => beginSlotKey(tableCode.meta).finish();

/** Reads the row of a slot of `slots` slots, and sets the next owner number of its state. */
export function loadSlotMeta(state: SlotState, slots: number): SlotMeta {
  const row = state.rows.get(metaKey());
  if (row === undefined) {
    state.resetOwners(1);
    return { cursor: 0, generation: 1, sentCount: 0, receivedCount: 0, works: 0 };
  }
  const reader = new ByteReader(row);
  invariant(reader.u8() === metaVersion, 'a slot has a known format version');
  const cursor = reader.u48();
  state.resetOwners(reader.u32());
  const generation = reader.u32();
  const writtenFor = reader.u32();
  invariant(writtenFor === slots, `slot ${state.index} was written for ${writtenFor} slots and is opened for ${slots}`);
  return { cursor, generation, sentCount: reader.u48(), receivedCount: reader.u48(), works: reader.u32() };
}

/** Writes the row in the current transaction. */
export function putSlotMeta(state: SlotState, slots: number, meta: SlotMeta): void {
  writer.u8(metaVersion).u48(meta.cursor).u32(state.nextOwner).u32(meta.generation).u32(slots);
  state.rows.put(metaKey(), writer.u48(meta.sentCount).u48(meta.receivedCount).u32(meta.works).finish());
}
