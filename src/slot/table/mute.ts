/**
 * Whom an owner mutes, and to which lists of muted actors it subscribes. Private.
 *
 * (owner, mute, DID) → clears, scope, since when.
 * (owner, muteByTime, since when, DID) → clears, scope: the order of pages.
 * (owner, listMute, list) → clears.
 *
 * `clears` is the count under which the row was made; see mute-clears.ts.
 */
import { type RecordRef, readDid, writeDid, writeRecordRef } from '../../atproto/compact-key.ts';
import { ByteReader, type ByteWriter, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, storedTime, writeEntryTime } from '../../base/time-bytes.ts';
import { clearCount } from './mute-clears.ts';
import { beginKey, readKey, type SlotState, tableCode } from './slot-state.ts';

/** Without a scope all of the subject is muted. */
export type MuteScope = { readonly onlyReposts: boolean; readonly onlyQuoteposts: boolean };

const scopeFlag = { onlyReposts: 1, onlyQuoteposts: 2 } as const;
const valueWriter = sharedWriter(32);

type MuteRow = { readonly clears: number; readonly scope: MuteScope; readonly sinceMs: number };

/** Returns the prefix of the owner's mutes, which ascend by DID. */
export function mutePrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.mute).finish();
}

/** Returns the prefix of the owner's mutes in time order. */
export function muteByTimePrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.muteByTime).finish();
}

/** Returns the prefix of the owner's subscriptions to lists, which ascend by list. */
export function listMutePrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.listMute).finish();
}

function muteKey(owner: number, subject: string): Buffer {
  const key = beginKey(owner, tableCode.mute);
  writeDid(key, subject);
  return key.finish();
}

function byTimeKey(owner: number, sinceMs: number, subject: string): Buffer {
  const key = beginKey(owner, tableCode.muteByTime);
  writeEntryTime(key, sinceMs);
  writeDid(key, subject);
  return key.finish();
}

function writeHead(clears: number, { onlyReposts, onlyQuoteposts }: MuteScope): ByteWriter {
  const flags = (onlyReposts ? scopeFlag.onlyReposts : 0) | (onlyQuoteposts ? scopeFlag.onlyQuoteposts : 0);
  return valueWriter.u32(clears).u8(flags);
}

function readScope(reader: ByteReader): MuteScope {
  const flags = reader.u8();
  return {
    onlyReposts: (flags & scopeFlag.onlyReposts) !== 0,
    onlyQuoteposts: (flags & scopeFlag.onlyQuoteposts) !== 0,
  };
}

function readMuteRow(value: Buffer): MuteRow {
  const reader = new ByteReader(value);
  return { clears: reader.u32(), scope: readScope(reader), sinceMs: readEntryTime(reader) };
}

/** Returns the scope of a mute, or undefined when the owner does not mute the subject. */
export function findMute(state: SlotState, owner: number, subject: string): MuteScope | undefined {
  const value = state.rows.getVolatile(muteKey(owner, subject));
  return value === undefined ? undefined : scopeOfMute(state, owner, value);
}

/** Returns the scope of a mute's row, or undefined when it was cleared. */
export function scopeOfMute(state: SlotState, owner: number, value: Buffer): MuteScope | undefined {
  const { clears, scope } = readMuteRow(value);
  return clears === clearCount(state, owner, 'actor') ? scope : undefined;
}

/** A mute as a page shows it. */
export type ListedMute = { readonly subject: string; readonly scope: MuteScope; readonly clears: number };

/** Reads a row of the time order. */
export function readListedMute(key: Buffer, value: Buffer): ListedMute {
  const keyReader = readKey(key);
  readEntryTime(keyReader);
  const reader = new ByteReader(value);
  return { subject: readDid(keyReader), clears: reader.u32(), scope: readScope(reader) };
}

/** Mutes a subject at `nowMs`. One that is muted already keeps its time and gets the scope. */
export function putMute(state: SlotState, owner: number, subject: string, scope: MuteScope, nowMs: number): void {
  const key = muteKey(owner, subject);
  const value = state.rows.getVolatile(key);
  const before = value === undefined ? undefined : readMuteRow(value);
  const clears = clearCount(state, owner, 'actor');
  const isKept = before?.clears === clears;
  if (before !== undefined && !isKept) state.rows.remove(byTimeKey(owner, before.sinceMs, subject));
  const sinceMs = isKept ? before.sinceMs : storedTime(nowMs);
  writeEntryTime(writeHead(clears, scope), sinceMs);
  state.rows.put(key, valueWriter.finish());
  state.rows.put(byTimeKey(owner, sinceMs, subject), writeHead(clears, scope).finish());
  state.touchedOwners.add(owner);
}

/** Removes a mute, if there is one. */
export function removeMute(state: SlotState, owner: number, subject: string): void {
  const key = muteKey(owner, subject);
  const value = state.rows.getVolatile(key);
  if (value === undefined) return;
  const { sinceMs } = readMuteRow(value);
  state.rows.remove(key);
  state.rows.remove(byTimeKey(owner, sinceMs, subject));
  state.touchedOwners.add(owner);
}

/** Removes the mute of a row if it was made before the last clear, whose count is `clears`. */
export function removeClearedMute(state: SlotState, owner: number, key: Buffer, clears: number): void {
  const value = state.rows.get(key);
  if (value === undefined || readMuteRow(value).clears === clears) return;
  removeMute(state, owner, readDid(readKey(key)));
}

function listMuteKey(owner: number, list: RecordRef): Buffer {
  const key = beginKey(owner, tableCode.listMute);
  writeRecordRef(key, list);
  return key.finish();
}

/** Returns the count of clears under which a subscription was made. */
export function clearsOfListMute(value: Buffer): number {
  return value.readUInt32BE(0);
}

/** True when the owner mutes the members of a list. */
export function hasListMute(state: SlotState, owner: number, list: RecordRef): boolean {
  const value = state.rows.getVolatile(listMuteKey(owner, list));
  if (value === undefined) return false;
  const clears = clearsOfListMute(value);
  return clears === clearCount(state, owner, 'list');
}

/** Subscribes the owner to a list; once more changes nothing. */
export function putListMute(state: SlotState, owner: number, list: RecordRef): void {
  const clears = clearCount(state, owner, 'list');
  state.rows.put(listMuteKey(owner, list), valueWriter.u32(clears).finish());
  state.touchedOwners.add(owner);
}

/** Ends a subscription, if there is one. */
export function removeListMute(state: SlotState, owner: number, list: RecordRef): void {
  state.rows.remove(listMuteKey(owner, list));
  state.touchedOwners.add(owner);
}
