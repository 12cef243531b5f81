/**
 * What an owner's records point at: follows, likes, reposts, blocks, list items and so on.
 *
 * The one edge of a subject that counts is found in edge-by-subject.ts.
 * (owner, edgeByTime, kind, sort time, rkey) → subject: the order of pages, only for edges that the
 * record table does not hold in that order; see edge-walk.ts. Items of lists are in list-member.ts.
 * (owner, edgeDuplicate, kind, subject, indexedAt, rkey) → nothing: later records for the same
 * subject. Only the first indexed is in the other two tables and sends effects; when it is removed,
 * the oldest duplicate replaces it.
 */
import { readRkey, writeRkey } from '../../atproto/compact-key.ts';
import { type EdgeKind, type EdgeSubject, edgeByKind, writeSubject } from '../../atproto/edge-kind.ts';
import { ByteReader, type ByteWriter, sharedWriter } from '../../base/bytes.ts';
import { readEntryTime, writeEntryTime } from '../../base/time-bytes.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { removeEdgeBySubject, type SubjectEdge } from './edge-by-subject.ts';
import { beginKey, emptyValue, readKey, type SlotState, tableCode } from './slot-state.ts';

export type OutgoingEdge = SubjectEdge & { readonly sortMs: number };

const valueWriter = sharedWriter(256);

/** Returns the prefix of an owner's edges of a kind that have a row, in time order. */
export function edgeByTimePrefix(owner: number, kind: EdgeKind): Buffer {
  return beginKey(owner, tableCode.edgeByTime).u8(edgeByKind[kind].code).finish();
}

function edgeByTimeKey(owner: number, { kind, sortMs, rkey }: OutgoingEdge): Buffer {
  const key = beginKey(owner, tableCode.edgeByTime).u8(edgeByKind[kind].code);
  writeEntryTime(key, sortMs);
  writeRkey(key, rkey);
  return key.finish();
}

/** Reads the rkey of a key of this table. */
export function readEdgeRkey(key: Buffer): string {
  const reader = readKey(key);
  reader.u8();
  readEntryTime(reader);
  return readRkey(reader);
}

/** Serving threads cache an owner's edges that are probed; a change invalidates them. */
function noteChange(state: SlotState, owner: number, kind: EdgeKind): void {
  if (edgeByKind[kind].probeBit !== null || kind === 'list-block') state.touchedOwners.add(owner);
}

/** Returns the prefix of all duplicates of an owner's edges. */
export function duplicatesPrefix(owner: number): Buffer {
  return beginKey(owner, tableCode.edgeDuplicate).finish();
}

function beginDuplicateKey(owner: number, kind: EdgeKind, subject: EdgeSubject): ByteWriter {
  const key = beginKey(owner, tableCode.edgeDuplicate).u8(edgeByKind[kind].code);
  writeSubject(key, kind, subject);
  return key;
}

function duplicateKey(owner: number, { kind, subject, rkey }: OutgoingEdge, indexedMs: number): Buffer {
  const key = beginDuplicateKey(owner, kind, subject);
  writeEntryTime(key, indexedMs);
  writeRkey(key, rkey);
  return key.finish();
}

/** Puts a claimed edge into time order, unless the record table has it there. */
export function putEdgeInTime(state: SlotState, owner: number, edge: OutgoingEdge, isOrderedByRecord: boolean): void {
  noteChange(state, owner, edge.kind);
  if (isOrderedByRecord) return;
  writeSubject(valueWriter, edge.kind, edge.subject);
  state.rows.put(edgeByTimeKey(owner, edge), valueWriter.finish());
}

/** Removes an edge from both tables. */
export function removeEdge(state: SlotState, owner: number, edge: OutgoingEdge): void {
  removeEdgeBySubject(state, owner, edge);
  noteChange(state, owner, edge.kind);
  state.rows.remove(edgeByTimeKey(owner, edge));
}

/** Puts an edge whose subject already has one; `indexedMs` orders the duplicates of a subject. */
export function putDuplicate(state: SlotState, owner: number, edge: OutgoingEdge, indexedMs: number): void {
  state.rows.put(duplicateKey(owner, edge, indexedMs), emptyValue);
}

/** Removes a duplicate that was put with the same `indexedMs`. */
export function removeDuplicate(state: SlotState, owner: number, edge: OutgoingEdge, indexedMs: number): void {
  state.rows.remove(duplicateKey(owner, edge, indexedMs));
}

/** Duplicates of one subject that are read; only a hostile repo has more. */
const duplicatesReadMax = 100;

/** Returns the rkeys of a subject's duplicates, the first indexed first. */
export function duplicatesOf(
  state: SlotState,
  owner: number,
  kind: EdgeKind,
  subject: EdgeSubject,
  limit = duplicatesReadMax,
): string[] {
  const start = beginDuplicateKey(owner, kind, subject).finish();
  const rkeys: string[] = [];
  for (const key of state.rows.scanKeys({ start, end: prefixEnd(start), limit })) {
    const reader = new ByteReader(key, start.length);
    readEntryTime(reader);
    rkeys.push(readRkey(reader));
  }
  return rkeys;
}
