/**
 * The one edge of each subject that counts, found by its subject.
 *
 * (owner, edgeBySubject, kind, subject) → rkey, for edges at an actor or at an actor in a list.
 *
 * Likes, reposts and list blocks, whose subjects are records, are found by a hash of four bytes:
 * (owner, edgeBySubject, kind, hash) → rkey, the bucket of that hash. A hit is checked in the
 * record itself. When subjects of one owner collide, only the first has the bucket's own row. The
 * collision marker after its rkey, or alone once the first is removed, says that there are more,
 * whose rows follow: (…, hash, subject) → rkey. Caches hold all hashes of an owner and kind under
 * their prefix.
 */
import { type RecordRef, readRkey, writeRecordRef, writeRkey } from '../../atproto/compact-key.ts';
import { type EdgeKind, type EdgeSubject, edgeByKind, writeSubject } from '../../atproto/edge-kind.ts';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { xxh32 } from '../../base/xxh32.ts';
import { keyAfter, prefixEnd } from '../../storage/environment.ts';
import type { LentRow } from '../../storage/row-cursor.ts';
import { jsonOfRow } from './applied-record.ts';
import { subjectOf } from './edge-record.ts';
import { decodeRecordRow, plainEdgeStart, recordKey } from './record-row.ts';
import type { JsonObject } from './record-values.ts';
import { beginKey, type SlotState, tableCode } from './slot-state.ts';

export type SubjectEdge = { readonly kind: EdgeKind; readonly subject: EdgeSubject; readonly rkey: string };

/** No rkey begins with this byte. */
const collisionMarker = 0xff;
const subjectWriter = sharedWriter(512);
const valueWriter = sharedWriter(64);

/** Returns the prefix of an owner's edges of a kind; those at actors ascend by the actor's key. */
export function edgeBySubjectPrefix(owner: number, kind: EdgeKind): Buffer {
  return beginKey(owner, tableCode.edgeBySubject).u8(edgeByKind[kind].code).finish();
}

/** Returns the prefix of the members of an owner's list, which ascend by the actor's key. */
export function membersBySubjectPrefix(owner: number, list: RecordRef): Buffer {
  const key = beginKey(owner, tableCode.edgeBySubject).u8(edgeByKind['list-item'].code);
  writeRecordRef(key, list);
  return key.finish();
}

/** Returns what follows `edgeBySubjectPrefix` in the key of an edge at an actor. */
export function actorEdgeSubjectKeyRest(kind: EdgeKind, did: string): Buffer {
  return subjectBytes(kind, { did, ref: null });
}

function subjectBytes(kind: EdgeKind, subject: EdgeSubject): Buffer {
  writeSubject(subjectWriter, kind, subject);
  return subjectWriter.finish();
}

/** A subject to look up: its bytes, and the key of its bucket. */
type BucketLookup = {
  readonly state: SlotState;
  readonly owner: number;
  readonly kind: EdgeKind;
  readonly subject: Buffer;
  readonly key: Buffer;
  readonly isHashed: boolean;
};

function lookupOf(state: SlotState, owner: number, kind: EdgeKind, edgeSubject: EdgeSubject): BucketLookup {
  return lookupOfBytes(state, owner, kind, subjectBytes(kind, edgeSubject));
}

function lookupOfBytes(state: SlotState, owner: number, kind: EdgeKind, subject: Buffer): BucketLookup {
  const isHashed = edgeByKind[kind].subject === 'record';
  const key = beginKey(owner, tableCode.edgeBySubject).u8(edgeByKind[kind].code);
  if (isHashed) key.u32(xxh32(subject));
  else key.bytes(subject);
  return { state, owner, kind, subject, key: key.finish(), isHashed };
}

/** The key of a subject that is not the first with its hash. */
function collisionKey({ key, subject }: BucketLookup): Buffer {
  return Buffer.concat([key, subject]);
}

/** The rkey of the first edge with the hash, and whether others collide with it. */
type BucketEntry = { readonly rkey: string | undefined; readonly hasCollisions: boolean };

function readEntry(state: SlotState, key: Buffer): BucketEntry | undefined {
  const value = state.rows.getVolatile(key);
  if (value === undefined) return undefined;
  const reader = new ByteReader(value);
  const rkey = reader.peek() === collisionMarker ? undefined : readRkey(reader);
  return { rkey, hasCollisions: reader.remaining > 0 };
}

function putEntry({ state, key }: BucketLookup, { rkey, hasCollisions }: BucketEntry): void {
  if (rkey !== undefined) writeRkey(valueWriter, rkey);
  if (hasCollisions) valueWriter.u8(collisionMarker);
  if (valueWriter.length > 0) state.rows.put(key, valueWriter.finish());
  else state.rows.remove(key);
}

/** True when the owner's record of this rkey points at the subject. */
function pointsAt({ state, owner, kind, subject }: BucketLookup, rkey: string): boolean {
  const edge = edgeByKind[kind];
  const value = state.rows.getVolatile(recordKey(owner, edge.collection, rkey));
  if (value === undefined) return false;
  const start = plainEdgeStart(value);
  // No subject's bytes begin with those of another.
  if (start >= 0) return subject.compare(value, start, Math.min(start + subject.length, value.length)) === 0;
  const stored = subjectOf(edge, JSON.parse(jsonOfRow(decodeRecordRow(value))) as JsonObject);
  return stored !== undefined && subjectBytes(kind, stored).equals(subject);
}

/** Returns the rkey of the record that is the owner's one edge to a subject. */
export function findEdge(state: SlotState, owner: number, kind: EdgeKind, subject: EdgeSubject): string | undefined {
  return find(lookupOf(state, owner, kind, subject));
}

/** Like `findEdge` for a record, given as `writeRecordRef` writes it. */
export function findEdgeToRecord(state: SlotState, owner: number, kind: EdgeKind, ref: Buffer): string | undefined {
  return find(lookupOfBytes(state, owner, kind, ref));
}

/** The part of a key that stands for a record. */
export const recordHashBytes = 4;

/** Returns what `recordHashes` has for a record, given as `writeRecordRef` writes it. */
export function hashOfRecord(ref: Buffer): number {
  return xxh32(ref);
}

/**
 * Returns the hashes of all records at which an owner's edges of a kind point, ascending, of
 * `recordHashBytes` each; undefined for more than `max`. No edge points at a record without one.
 */
export function recordHashes(state: SlotState, owner: number, kind: EdgeKind, max: number): Buffer | undefined {
  const prefix = edgeBySubjectPrefix(owner, kind);
  const hashes = Buffer.allocUnsafe((max + 1) * recordHashBytes);
  let at = 0;
  const visit = ({ key, keyLength }: LentRow): boolean => {
    // Collisions have the hash of the row before them.
    if (keyLength === prefix.length + recordHashBytes) at += key.copy(hashes, at, prefix.length, keyLength);
    return at < hashes.length;
  };
  state.rows.visit({ start: prefix, end: prefixEnd(prefix) }, visit, true);
  return at === hashes.length ? undefined : hashes.subarray(0, at);
}

function find(lookup: BucketLookup): string | undefined {
  const { state } = lookup;
  const entry = readEntry(state, lookup.key);
  if (entry === undefined || !lookup.isHashed) return entry?.rkey;
  if (entry.rkey !== undefined && pointsAt(lookup, entry.rkey)) return entry.rkey;
  return entry.hasCollisions ? readEntry(state, collisionKey(lookup))?.rkey : undefined;
}

/** True when a record is the owner's one edge to its subject; it need no longer be stored. */
export function isEdge(state: SlotState, owner: number, { kind, subject, rkey }: SubjectEdge): boolean {
  const lookup = lookupOf(state, owner, kind, subject);
  const entry = readEntry(state, lookup.key);
  if (entry === undefined || entry.rkey === rkey) return entry !== undefined;
  return entry.hasCollisions && readEntry(state, collisionKey(lookup))?.rkey === rkey;
}

function noteChange({ state, owner, kind, isHashed }: BucketLookup): void {
  if (isHashed) state.changedRecords.note(edgeBySubjectPrefix(owner, kind));
}

/** Makes a record the owner's one edge to its subject; false when another one is that already. */
export function claimEdge(state: SlotState, owner: number, { kind, subject, rkey }: SubjectEdge): boolean {
  const lookup = lookupOf(state, owner, kind, subject);
  noteChange(lookup);
  writeRkey(valueWriter, rkey);
  // Most are new.
  if (state.rows.putNew(lookup.key, valueWriter.finish())) return true;
  const entry = readEntry(state, lookup.key);
  invariant(entry !== undefined, 'what is not new is stored');
  if (entry.rkey !== undefined && (!lookup.isHashed || pointsAt(lookup, entry.rkey))) return false;
  const collision = { ...lookup, key: collisionKey(lookup) };
  if (entry.hasCollisions && readEntry(state, collision.key) !== undefined) return false;
  if (entry.rkey === undefined) {
    putEntry(lookup, { ...entry, rkey });
    return true;
  }
  putEntry(collision, { rkey, hasCollisions: false });
  if (!entry.hasCollisions) putEntry(lookup, { ...entry, hasCollisions: true });
  return true;
}

/** Removes the one edge to a subject. */
export function removeEdgeBySubject(state: SlotState, owner: number, { kind, subject, rkey }: SubjectEdge): void {
  const lookup = lookupOf(state, owner, kind, subject);
  const entry = readEntry(state, lookup.key);
  if (entry === undefined) return;
  noteChange(lookup);
  if (entry.rkey === rkey) return putEntry(lookup, { ...entry, rkey: undefined });
  state.rows.remove(collisionKey(lookup));
  const [next] = state.rows.scanKeys({ start: keyAfter(lookup.key), end: prefixEnd(lookup.key), limit: 1 });
  if (next === undefined) putEntry(lookup, { ...entry, hasCollisions: false });
}
