/**
 * The meta row of a slot: what it is, how far its log is applied, and what it counts. Written once
 * in each transaction.
 *
 * (slot-wide, session) → the sessions of its log: (opening, first seq) each, the last ones only.
 */
import { ByteReader, sharedWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { type SlotCondition, slotConditions } from '../entry/lifecycle-entry.ts';
import { beginSlotKey, type SlotState, tableCode } from './table/slot-state.ts';

/** One opening of the slot, and the first seq of its own. */
export type Session = { readonly id: number; readonly firstSeq: number };

export type SlotMeta = {
  /** The number of slots of which this is one: twice as many once it has split. */
  slots: number;
  /** The seq of its last split, or of that by which it came from its parent; 0 for none. */
  splitSeq: number;
  /** Of the shard map; empty until one has a name. */
  cluster: string;
  condition: SlotCondition;
  /** The last seq that is applied and durable; inclusive. */
  cursor: number;
  generation: number;
  /** Effects ever made for other slots, and applied from them. */
  sentCount: number;
  receivedCount: number;
  /** Rows of long work that wait. */
  works: number;
  /** Oldest first. */
  sessions: Session[];
};

/** What a meta row says of the slot that it is for. */
export type SlotIdentity = { readonly cluster: string; readonly index: number; readonly slots: number };

/** A target that was not heard of for so many openings of its source is sent everything again. */
const sessionsMax = 4_096;
/** The version of the layout of all rows that have none of their own. */
export const metaVersion = 6;
const writer = sharedWriter(64);
const metaKey = (): Buffer => beginSlotKey(tableCode.meta).finish();
const sessionKey = (): Buffer => beginSlotKey(tableCode.session).finish();

/** Returns the bytes of the row, or undefined before the first transaction. */
export function metaBytes(state: SlotState): Buffer | undefined {
  return state.rows.get(metaKey());
}

function readIdentity(reader: ByteReader): SlotIdentity {
  invariant(reader.u8() === metaVersion, 'a slot has a known format version');
  return { slots: reader.u32(), index: reader.u16(), cluster: reader.text() };
}

/** Returns for which slot a folder was written; undefined before its first transaction. */
export function slotIdentity(state: SlotState): SlotIdentity | undefined {
  const row = metaBytes(state);
  return row === undefined ? undefined : readIdentity(new ByteReader(row));
}

/** Returns the condition of a slot as its last transaction left it. */
export function conditionOf(state: SlotState): SlotCondition {
  const row = metaBytes(state);
  if (row === undefined) return 'complete';
  const reader = new ByteReader(row);
  readIdentity(reader);
  const condition = slotConditions[reader.u8()];
  invariant(condition !== undefined, 'a slot has a known condition');
  return condition;
}

/** Reads the row, and sets the next owner number of the state. `slots` is of a slot without one. */
export function loadSlotMeta(state: SlotState, slots: number): SlotMeta {
  const { nextOwner, ...meta } = readSlotMeta(state, slots);
  state.resetOwners(nextOwner);
  return meta;
}

/** Reads the row; a slot whose first transaction is still to come is as one without an opening. */
export function readSlotMeta(state: SlotState, slotsOfNew = 1): SlotMeta & { readonly nextOwner: number } {
  const row = metaBytes(state);
  const sessions = readSessions(state);
  if (row === undefined) {
    const nextOwner = 1;
    return {
      slots: slotsOfNew,
      splitSeq: 0,
      cluster: '',
      condition: 'complete',
      cursor: 0,
      generation: 1,
      sentCount: 0,
      receivedCount: 0,
      works: 0,
      sessions,
      nextOwner,
    };
  }
  const reader = new ByteReader(row);
  const { cluster, slots } = readIdentity(reader);
  const condition = slotConditions[reader.u8()];
  invariant(condition !== undefined, 'a slot has a known condition');
  const cursor = reader.u48();
  const nextOwner = reader.u32();
  const generation = reader.u32();
  const [sentCount, receivedCount, works] = [reader.u48(), reader.u48(), reader.u32()];
  const counts = { sentCount, receivedCount, works, splitSeq: reader.u48() };
  return { cluster, slots, condition, cursor, generation, ...counts, sessions, nextOwner };
}

/** True for a slot that came from its parent by its last split. */
export function isChild(index: number, { slots, splitSeq }: Pick<SlotMeta, 'slots' | 'splitSeq'>): boolean {
  return splitSeq > 0 && index >= slots / 2;
}

/** Returns the slot from which one came by its last split, or null. */
export function parentOfChild(index: number, meta: Pick<SlotMeta, 'slots' | 'splitSeq'>): number | null {
  return isChild(index, meta) ? index - meta.slots / 2 : null;
}

/** True while work waits that no entry has to bring: long work, and what a split moves. */
export function hasOwnWork({ works, cursor, splitSeq }: SlotMeta): boolean {
  return works > 0 || (splitSeq > 0 && cursor === splitSeq);
}

/** Writes the row in the current transaction. Returns its bytes. */
export function putSlotMeta(state: SlotState, meta: SlotMeta): Buffer {
  writer.u8(metaVersion).u32(meta.slots).u16(state.index).text(meta.cluster).u8(slotConditions.indexOf(meta.condition));
  writer.u48(meta.cursor).u32(state.nextOwner).u32(meta.generation).u48(meta.sentCount).u48(meta.receivedCount);
  writer.u32(meta.works).u48(meta.splitSeq);
  const row = writer.finish();
  state.rows.put(metaKey(), row);
  return row;
}

function readSessions(state: SlotState): Session[] {
  const row = state.rows.get(sessionKey());
  const sessions: Session[] = [];
  if (row === undefined) return sessions;
  const reader = new ByteReader(row);
  while (reader.remaining > 0) sessions.push({ id: reader.u32(), firstSeq: reader.u48() });
  return sessions;
}

/** Begins a session in the current transaction. */
export function beginSession(state: SlotState, meta: SlotMeta, session: Session): void {
  meta.sessions = [...meta.sessions, session].slice(-sessionsMax);
  for (const { id, firstSeq } of meta.sessions) writer.u32(id).u48(firstSeq);
  state.rows.put(sessionKey(), writer.finish());
}

/** Returns whether the log of a slot has a seq that was received in a session. */
export function hasInPast({ sessions, cursor }: SlotMeta, session: number, seq: number): boolean {
  if (sessions.length === 0) return session === 0 && seq <= cursor;
  const index = sessions.findLastIndex(({ id }) => id === session);
  if (index < 0) return false;
  const next = sessions[index + 1];
  return next === undefined ? seq <= cursor : seq < next.firstSeq;
}
