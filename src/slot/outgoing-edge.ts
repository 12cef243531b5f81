/**
 * What an owner's records point at: follows, likes, reposts, blocks, list items, list blocks, verifications.
 *
 * (owner, edgeByTime, kind, sort time, rkey) → subject and, where the record says so, its list: the pages of lists.
 * (owner, edgeBySubject, kind, subject) → sort time, rkey: the probes, and the one edge of a subject that counts.
 * (owner, edgeDuplicate, kind, subject, indexedAt, rkey) → nothing: later records for the same subject, which wait. Only the
 * first indexed has rows in the other two tables and sends effects; when it goes, the oldest duplicate takes its place.
 */
import {
  type RecordRef,
  readDid,
  readRecordRef,
  readRkey,
  writeDid,
  writeRecordRef,
  writeRkey,
} from '../atproto/compact-key.ts';
import { edgeCode } from '../atproto/effect-codec.ts';
import type { EdgeKind } from '../atproto/entry.ts';
import { readEntryTime, writeEntryTime } from '../atproto/entry-time.ts';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { prefixEnd } from '../storage/environment.ts';
import { beginKey, readKey, type SlotState, tableCode } from './slot-state.ts';

/** What an edge points at: an actor, a record, or, for a list item, an actor within a list. */
export type EdgeSubject = { readonly did: string; readonly ref: RecordRef | null };

export type OutgoingEdge = {
  readonly kind: EdgeKind;
  readonly subject: EdgeSubject;
  readonly sortMs: number;
  readonly rkey: string;
};

const valueWriter = new ByteWriter(256);

/** Kinds whose subject is a record; the others point at an actor, `list-item` at both. */
const recordSubjectKinds: ReadonlySet<EdgeKind> = new Set(['like', 'repost', 'list-block', 'quote', 'reply']);

function writeSubject(writer: ByteWriter, kind: EdgeKind, subject: EdgeSubject): void {
  if (subject.ref !== null) writeRecordRef(writer, subject.ref);
  if (!recordSubjectKinds.has(kind)) writeDid(writer, subject.did);
}

function readSubject(reader: ByteReader, kind: EdgeKind): EdgeSubject {
  const ref = recordSubjectKinds.has(kind) || kind === 'list-item' ? readRecordRef(reader) : null;
  return { ref, did: recordSubjectKinds.has(kind) ? ref!.did : readDid(reader) };
}

export function edgeByTimePrefix(owner: number, kind: EdgeKind): Buffer {
  return beginKey(owner, tableCode.edgeByTime).u8(edgeCode[kind]).finish();
}

export function edgeByTimeKey(owner: number, kind: EdgeKind, sortMs: number, rkey: string): Buffer {
  const key = beginKey(owner, tableCode.edgeByTime).u8(edgeCode[kind]);
  writeEntryTime(key, sortMs);
  writeRkey(key, rkey);
  return key.finish();
}

export function edgeBySubjectPrefix(owner: number, kind: EdgeKind): Buffer {
  return beginKey(owner, tableCode.edgeBySubject).u8(edgeCode[kind]).finish();
}

function edgeBySubjectKey(owner: number, kind: EdgeKind, subject: EdgeSubject): Buffer {
  const key = beginKey(owner, tableCode.edgeBySubject).u8(edgeCode[kind]);
  writeSubject(key, kind, subject);
  return key.finish();
}

function duplicatePrefix(owner: number, kind: EdgeKind, subject: EdgeSubject): Buffer {
  const key = beginKey(owner, tableCode.edgeDuplicate).u8(edgeCode[kind]);
  writeSubject(key, kind, subject);
  return key.finish();
}

function duplicateKey(owner: number, kind: EdgeKind, subject: EdgeSubject, indexedMs: number, rkey: string): Buffer {
  const key = beginKey(owner, tableCode.edgeDuplicate).u8(edgeCode[kind]);
  writeSubject(key, kind, subject);
  writeEntryTime(key, indexedMs);
  writeRkey(key, rkey);
  return key.finish();
}

/** Returns the record that holds the owner's one edge to a subject, with its sort time. */
export function findEdge(
  state: SlotState,
  owner: number,
  kind: EdgeKind,
  subject: EdgeSubject,
): { rkey: string; sortMs: number } | undefined {
  const value = state.rows.getVolatile(edgeBySubjectKey(owner, kind, subject));
  if (value === undefined) return undefined;
  const reader = new ByteReader(value);
  const sortMs = readEntryTime(reader);
  return { sortMs, rkey: readRkey(reader) };
}

/** Returns what an edge row points at, or undefined when there is no such edge. */
export function getEdgeSubject(
  state: SlotState,
  owner: number,
  kind: EdgeKind,
  sortMs: number,
  rkey: string,
): EdgeSubject | undefined {
  const value = state.rows.getVolatile(edgeByTimeKey(owner, kind, sortMs, rkey));
  return value === undefined ? undefined : readSubject(new ByteReader(value), kind);
}

/** Reads one row of an `edgeByTime` scan. */
export function readEdgeByTime(kind: EdgeKind, key: Buffer, value: Buffer): OutgoingEdge {
  const reader = readKey(key);
  reader.u8();
  const sortMs = readEntryTime(reader);
  return { kind, sortMs, rkey: readRkey(reader), subject: readSubject(new ByteReader(value), kind) };
}

/** Reads the DID out of one key of an `edgeBySubject` scan of a kind whose subject is an actor. */
export function readSubjectDid(key: Buffer): string {
  const reader = readKey(key);
  reader.u8();
  return readDid(reader);
}

export function putEdge(state: SlotState, owner: number, edge: OutgoingEdge): void {
  writeEntryTime(valueWriter, edge.sortMs);
  writeRkey(valueWriter, edge.rkey);
  state.rows.put(edgeBySubjectKey(owner, edge.kind, edge.subject), valueWriter.finish());
  writeSubject(valueWriter, edge.kind, edge.subject);
  state.rows.put(edgeByTimeKey(owner, edge.kind, edge.sortMs, edge.rkey), valueWriter.finish());
}

export function removeEdge(state: SlotState, owner: number, edge: OutgoingEdge): void {
  state.rows.remove(edgeBySubjectKey(owner, edge.kind, edge.subject));
  state.rows.remove(edgeByTimeKey(owner, edge.kind, edge.sortMs, edge.rkey));
}

const nothing = Buffer.alloc(0);

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
export const duplicatesReadMax = 100;

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
