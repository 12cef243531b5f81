/**
 * What an owner's records point at: follows, likes, reposts, blocks, list items, list blocks, verifications.
 *
 * The one edge of a subject that counts is found in edge-by-subject.ts.
 * (owner, edgeByTime, kind, sort time, rkey) → subject: the order of pages, only for edges that the record table does not already
 * hold in that order; see edge-walk.ts.
 * (owner, edgeDuplicate, kind, subject, indexedAt, rkey) → nothing: later records for the same subject, which wait. Only the
 * first indexed is in the other two tables and sends effects; when it goes, the oldest duplicate takes its place.
 */
import { readRkey, writeRkey } from '../../atproto/compact-key.ts';
import { type EdgeKind, type EdgeSubject, edgeByKind, writeSubject } from '../../atproto/edge-kind.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { removeEdgeBySubject } from './edge-by-subject.ts';
import { beginKey, type SlotState, tableCode } from './slot-state.ts';

/** One edge of an owner: what it points at, its place in time, and the record that it comes from. */
export type OutgoingEdge = {
  readonly kind: EdgeKind;
  readonly subject: EdgeSubject;
  readonly sortMs: number;
  readonly rkey: string;
};

const valueWriter = new ByteWriter(256);

/** Returns the prefix of an owner's edges of a kind, in time order. Edges that their record gives a place have no row here. */
export function edgeByTimePrefix(owner: number, kind: EdgeKind): Buffer {
  return beginKey(owner, tableCode.edgeByTime).u8(edgeByKind[kind].code).finish();
}

/** Returns the key of one edge in time order. */
function edgeByTimeKey(owner: number, kind: EdgeKind, sortMs: number, rkey: string): Buffer {
  const key = beginKey(owner, tableCode.edgeByTime).u8(edgeByKind[kind].code);
  writeEntryTime(key, sortMs);
  writeRkey(key, rkey);
  return key.finish();
}

/** Serving threads cache whom an owner points at by edges that can be probed; a change invalidates that. */
function noteChange(state: SlotState, owner: number, kind: EdgeKind): void {
  if (edgeByKind[kind].probeBit !== null) state.touchedOwners.add(owner);
}

function duplicatePrefix(owner: number, kind: EdgeKind, subject: EdgeSubject): Buffer {
  const key = beginKey(owner, tableCode.edgeDuplicate).u8(edgeByKind[kind].code);
  writeSubject(key, kind, subject);
  return key.finish();
}

function duplicateKey(owner: number, kind: EdgeKind, subject: EdgeSubject, indexedMs: number, rkey: string): Buffer {
  const key = beginKey(owner, tableCode.edgeDuplicate).u8(edgeByKind[kind].code);
  writeSubject(key, kind, subject);
  writeEntryTime(key, indexedMs);
  writeRkey(key, rkey);
  return key.finish();
}

/** Puts an edge that `claimEdge` took into time order, unless the record table gives that order. */
export function putEdgeInTime(state: SlotState, owner: number, edge: OutgoingEdge, isOrderedByRecord: boolean): void {
  noteChange(state, owner, edge.kind);
  if (isOrderedByRecord) return;
  writeSubject(valueWriter, edge.kind, edge.subject);
  state.rows.put(edgeByTimeKey(owner, edge.kind, edge.sortMs, edge.rkey), valueWriter.finish());
}

/** Takes an edge away from both tables; without a row in time order there is nothing to remove there. */
export function removeEdge(state: SlotState, owner: number, edge: OutgoingEdge): void {
  removeEdgeBySubject(state, owner, edge.kind, edge.subject, edge.rkey);
  noteChange(state, owner, edge.kind);
  state.rows.remove(edgeByTimeKey(owner, edge.kind, edge.sortMs, edge.rkey));
}

const nothing = Buffer.alloc(0);

/** Notes a later record for a subject that has its edge already. `indexedMs` orders those that wait. */
export function putDuplicate(
  state: SlotState,
  owner: number,
  kind: EdgeKind,
  subject: EdgeSubject,
  indexedMs: number,
  rkey: string,
): void {
  state.rows.put(duplicateKey(owner, kind, subject, indexedMs, rkey), nothing);
}

/** Takes a record out of those that wait; `indexedMs` is the one that it was put with. */
export function removeDuplicate(
  state: SlotState,
  owner: number,
  kind: EdgeKind,
  subject: EdgeSubject,
  indexedMs: number,
  rkey: string,
): void {
  state.rows.remove(duplicateKey(owner, kind, subject, indexedMs, rkey));
}

/** Duplicates of one subject that are looked at; a repo that holds more is up to no good. */
const duplicatesReadMax = 100;

/** Returns the rkeys of the duplicates that wait, the first indexed first. */
export function duplicatesOf(
  state: SlotState,
  owner: number,
  kind: EdgeKind,
  subject: EdgeSubject,
  limit = duplicatesReadMax,
): string[] {
  const start = duplicatePrefix(owner, kind, subject);
  const rkeys: string[] = [];
  for (const key of state.rows.scanKeys({ start, end: prefixEnd(start), limit })) {
    const reader = new ByteReader(key, start.length);
    readEntryTime(reader);
    rkeys.push(readRkey(reader));
  }
  return rkeys;
}
