/**
 * The meta row of a slot: what it is, how far its log is applied, and what it counts. Written once
 * in each transaction.
 *
 * (slot-wide, session) → the sessions of its log: (opening, first seq) each, the last ones only.
 */
import { ByteReader, sharedWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { type SlotCondition, slotConditions } from '../entry/entry.ts';
import { beginSlotKey, type SlotState, tableCode } from './table/slot-state.ts';

/** One opening of the slot, and the first seq of its own. */
export type Session = { readonly id: number; readonly firstSeq: number };

export type SlotMeta = {
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
export const metaVersion = 5;
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

/** Reads the row, and sets the next owner number of the state. */
export function loadSlotMeta(state: SlotState): SlotMeta {
  const { nextOwner, ...meta } = readSlotMeta(state);
  state.resetOwners(nextOwner);
  return meta;
}

/** Reads the row; a slot whose first transaction is still to come is as one without an opening. */
export function readSlotMeta(state: SlotState): SlotMeta & { readonly nextOwner: number } {
  const row = metaBytes(state);
  const sessions = readSessions(state);
  if (row === undefined) {
    const nextOwner = 1;
    return {
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
  const { cluster } = readIdentity(reader);
  const condition = slotConditions[reader.u8()];
  invariant(condition !== undefined, 'a slot has a known condition');
  const cursor = reader.u48();
  const nextOwner = reader.u32();
  const generation = reader.u32();
  const [sentCount, receivedCount, works] = [reader.u48(), reader.u48(), reader.u32()];
  return { cluster, condition, cursor, generation, sentCount, receivedCount, works, sessions, nextOwner };
}

/** Writes the row in the current transaction. Returns its bytes. */
export function putSlotMeta(state: SlotState, slots: number, meta: SlotMeta): Buffer {
  writer.u8(metaVersion).u32(slots).u16(state.index).text(meta.cluster).u8(slotConditions.indexOf(meta.condition));
  writer.u48(meta.cursor).u32(state.nextOwner).u32(meta.generation).u48(meta.sentCount).u48(meta.receivedCount);
  writer.u32(meta.works);
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
