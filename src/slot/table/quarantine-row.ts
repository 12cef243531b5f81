/**
 * What could not be applied: entries and pieces of long work, and whose they were.
 *
 * (quarantine, 0) → whether the slot has stopped. (quarantine, 1, seq, part) → what is known of it.
 * (quarantine, 2, seq, part) → its bytes. (quarantine, 3, DID) → how many are kept, whether the
 * DID's input is suspended, how much of it was skipped.
 */
import { readDid, writeDid } from '../../atproto/compact-key.ts';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import { type EffectOrigin, readMark, writeMark } from '../../log/chunk.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { beginSlotKey, keyHeadBytes, readKey, type SlotState, tableCode } from './slot-state.ts';

/** `part` is 0 for the entry at a seq, and counts the pieces of long work that failed after it. */
export type QuarantineId = { readonly seq: number; readonly part: number };

export type QuarantinedEntry = QuarantineId & {
  /** The kind of the entry, the type of the effect or of the long work. */
  readonly kind: string;
  /** Whose it is, or empty. */
  readonly did: string;
  readonly reason: string;
  /** Functions and files, without lines, so that builds and folders agree. */
  readonly stack: string;
  readonly appendMs: number;
  /** From which slot an effect came. */
  readonly origin: (Pick<EffectOrigin, 'slot' | 'generation'> & { readonly mark: number }) | null;
  /** The record whose effect it is, or empty; and whether a later effect of it has been applied. */
  readonly record: string;
  readonly isSuperseded: boolean;
  readonly bytes: number;
};

/** A DID of which entries are kept. */
export type QuarantinedDid = {
  readonly did: string;
  readonly keptCount: number;
  readonly isSuspended: boolean;
  /** Entries that were passed unapplied while it was suspended. */
  readonly skippedCount: number;
};

/** `stoppedMs` is 0 while the slot applies. DIDs count towards a stop after `windowMs`. */
export type QuarantineState = { readonly stoppedMs: number; readonly windowMs: number; readonly applyVersion: number };

const part = { state: 0, row: 1, item: 2, did: 3 } as const;
const version = 1;
const writer = sharedWriter(1024);
const noState: QuarantineState = { stoppedMs: 0, windowMs: 0, applyVersion: 0 };

function idKey(code: number, id: QuarantineId): Buffer {
  return beginSlotKey(tableCode.quarantine).u8(code).u48(id.seq).u16(id.part).finish();
}

function didKey(did: string): Buffer {
  const key = beginSlotKey(tableCode.quarantine).u8(part.did);
  writeDid(key, did);
  return key.finish();
}

function stateKey(): Buffer {
  return beginSlotKey(tableCode.quarantine).u8(part.state).finish();
}

/** Returns whether the slot has stopped. */
export function getQuarantineState(state: SlotState): QuarantineState {
  const value = state.rows.get(stateKey());
  if (value === undefined) return noState;
  const reader = new ByteReader(value);
  return { stoppedMs: reader.u48(), windowMs: reader.u48(), applyVersion: reader.u16() };
}

/** Stores whether the slot has stopped. */
export function putQuarantineState(state: SlotState, row: QuarantineState): void {
  state.rows.put(stateKey(), writer.u48(row.stoppedMs).u48(row.windowMs).u16(row.applyVersion).finish());
}

/** Stores what is known of an entry, not its bytes. */
export function putQuarantined(state: SlotState, row: QuarantinedEntry): void {
  const { origin } = row;
  writer.u8(version).u8((origin === null ? 0 : 1) | (row.isSuperseded ? 2 : 0));
  writeEntryTime(writer, row.appendMs);
  writer.text(row.kind).text(row.did).text(row.record).text(row.reason).text(row.stack).varint(row.bytes);
  if (origin !== null) writeMark(writer.u16(origin.slot).u32(origin.generation), origin.mark);
  state.rows.put(idKey(part.row, row), writer.finish());
}

function readQuarantined(key: Buffer, value: Buffer): QuarantinedEntry {
  const keyReader = new ByteReader(key, keyHeadBytes + 1);
  const id = { seq: keyReader.u48(), part: keyReader.u16() };
  const reader = new ByteReader(value);
  if (reader.u8() !== version) reader.fail('a quarantined entry of an unknown format version');
  const flags = reader.u8();
  const appendMs = readEntryTime(reader);
  const [kind, did, record, reason, stack] = [
    reader.text(),
    reader.text(),
    reader.text(),
    reader.text(),
    reader.text(),
  ];
  const bytes = reader.varint();
  const origin = (flags & 1) === 0 ? null : { slot: reader.u16(), generation: reader.u32(), mark: readMark(reader) };
  return { ...id, kind, did, record, reason, stack, appendMs, origin, isSuperseded: (flags & 2) !== 0, bytes };
}

/** Returns what is kept, oldest first. */
export function quarantinedEntries(state: SlotState): QuarantinedEntry[] {
  const start = beginSlotKey(tableCode.quarantine).u8(part.row).finish();
  return [...state.rows.scan({ start, end: prefixEnd(start) })].map(({ key, value }) => readQuarantined(key, value));
}

/** Returns what is known of an entry that is kept. */
export function getQuarantined(state: SlotState, id: QuarantineId): QuarantinedEntry | undefined {
  const key = idKey(part.row, id);
  const value = state.rows.get(key);
  return value === undefined ? undefined : readQuarantined(key, value);
}

/** Returns the bytes of an entry, effect or long work that is kept. */
export function getQuarantinedItem(state: SlotState, id: QuarantineId): Buffer | undefined {
  return state.rows.get(idKey(part.item, id));
}

/** Stores the bytes of an entry. */
export function putQuarantinedItem(state: SlotState, id: QuarantineId, item: Buffer): void {
  state.rows.put(idKey(part.item, id), item);
}

/** Removes both rows of an entry. */
export function removeQuarantined(state: SlotState, id: QuarantineId): void {
  state.rows.remove(idKey(part.row, id));
  state.rows.remove(idKey(part.item, id));
}

/** Returns what is kept of a DID; a row of zeros for nothing. */
export function getQuarantinedDid(state: SlotState, did: string): QuarantinedDid {
  const value = state.rows.get(didKey(did));
  if (value === undefined) return { did, keptCount: 0, isSuspended: false, skippedCount: 0 };
  return readDidRow(did, value);
}

function readDidRow(did: string, value: Buffer): QuarantinedDid {
  const reader = new ByteReader(value);
  return { did, keptCount: reader.u16(), isSuspended: reader.u8() === 1, skippedCount: reader.u48() };
}

/** Returns all DIDs of which entries are kept. */
export function quarantinedDids(state: SlotState): QuarantinedDid[] {
  const start = beginSlotKey(tableCode.quarantine).u8(part.did).finish();
  const rows = state.rows.scan({ start, end: prefixEnd(start) });
  return [...rows].map(({ key, value }) => {
    const reader = readKey(key);
    reader.u8();
    return readDidRow(readDid(reader), value);
  });
}

/** Stores a DID's row, or removes it when nothing is kept of it any more. */
export function putQuarantinedDid(state: SlotState, row: QuarantinedDid): void {
  const key = didKey(row.did);
  if (row.keptCount === 0) return state.rows.remove(key);
  writer
    .u16(row.keptCount)
    .u8(row.isSuspended ? 1 : 0)
    .u48(row.skippedCount);
  state.rows.put(key, writer.finish());
}
