/**
 * The one edge of each subject that counts, found by its subject.
 *
 * (owner, edgeBySubject, kind, subject) → rkey, where the subject is an actor or an actor in a list. Likes, reposts and list blocks, whose
 * subjects are records, are found by four bytes of hash instead: (owner, edgeBySubject, kind, hash) → rkey. What is found so is checked in
 * the record itself. Of subjects of one owner with the same hash only the first has that row; `othersMark` behind its rkey, or alone once
 * the first has gone, says that there are more, which stand behind it: (…, hash, subject) → rkey.
 */
import { readRkey, writeRkey } from '../../atproto/compact-key.ts';
import type { EdgeKind } from '../../atproto/edge-kind.ts';
import { ByteReader, ByteWriter } from '../../base/bytes.ts';
import { xxh32 } from '../../base/xxh32.ts';
import { edgeCode } from '../../entry/effect-codec.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { jsonOfRow } from './applied-record.ts';
import { collectionOfEdge } from './edge-collection.ts';
import { edgeRuleByCollection, subjectOf } from './edge-record.ts';
import { type EdgeSubject, hasRecordSubject, writeSubject } from './edge-subject.ts';
import { decodeRecordRow, plainEdgeStart, recordKey } from './record-row.ts';
import type { JsonObject } from './record-values.ts';
import { beginKey, type SlotState, tableCode } from './slot-state.ts';

/** No rkey begins with this byte. */
const othersMark = 0xff;
const subjectWriter = new ByteWriter(512);
const valueWriter = new ByteWriter(64);

/** Returns the prefix of an owner's edges of a kind. Those at actors ascend by the actor's key bytes. */
export function edgeBySubjectPrefix(owner: number, kind: EdgeKind): Buffer {
  return beginKey(owner, tableCode.edgeBySubject).u8(edgeCode[kind]).finish();
}

/** Returns what stands behind `edgeBySubjectPrefix` in the key of an edge that points at an actor. */
export function actorEdgeSubjectKeyRest(kind: EdgeKind, did: string): Buffer {
  return subjectBytes(kind, { did, ref: null });
}

function subjectBytes(kind: EdgeKind, subject: EdgeSubject): Buffer {
  writeSubject(subjectWriter, kind, subject);
  return subjectWriter.finish();
}

/** An edge's subject as this table has it: its bytes, and the key of the row that is looked at first. */
type Place = {
  readonly state: SlotState;
  readonly owner: number;
  readonly kind: EdgeKind;
  readonly subject: Buffer;
  readonly key: Buffer;
  readonly isHashed: boolean;
};

function placeOf(state: SlotState, owner: number, kind: EdgeKind, edgeSubject: EdgeSubject): Place {
  const subject = subjectBytes(kind, edgeSubject);
  const isHashed = hasRecordSubject(kind);
  const key = beginKey(owner, tableCode.edgeBySubject).u8(edgeCode[kind]);
  if (isHashed) key.u32(xxh32(subject));
  else key.bytes(subject);
  return { state, owner, kind, subject, key: key.finish(), isHashed };
}

/** The key of a subject that is not the first with its hash. */
function otherKey({ key, subject }: Place): Buffer {
  return Buffer.concat([key, subject]);
}

/** What a row says: the rkey of the edge whose place it is, and whether others stand behind it. */
type Found = { readonly rkey: string | undefined; readonly hasOthers: boolean };

function readFound(state: SlotState, key: Buffer): Found | undefined {
  const value = state.rows.getVolatile(key);
  if (value === undefined) return undefined;
  const reader = new ByteReader(value);
  const rkey = reader.peek() === othersMark ? undefined : readRkey(reader);
  return { rkey, hasOthers: reader.remaining > 0 };
}

function putFound({ state, key }: Place, { rkey, hasOthers }: Found): void {
  if (rkey !== undefined) writeRkey(valueWriter, rkey);
  if (hasOthers) valueWriter.u8(othersMark);
  if (valueWriter.length > 0) state.rows.put(key, valueWriter.finish());
  else state.rows.remove(key);
}

/** True when the owner's record of this rkey points at the subject. */
function pointsAt({ state, owner, kind, subject }: Place, rkey: string): boolean {
  const collection = collectionOfEdge[kind];
  const value = state.rows.getVolatile(recordKey(owner, collection, rkey));
  if (value === undefined) return false;
  const start = plainEdgeStart(value);
  // No subject's bytes begin with those of another.
  if (start >= 0) return subject.compare(value, start, Math.min(start + subject.length, value.length)) === 0;
  const stored = subjectOf(
    edgeRuleByCollection.get(collection)!,
    JSON.parse(jsonOfRow(decodeRecordRow(value))) as JsonObject,
  );
  return stored !== undefined && subjectBytes(kind, stored).equals(subject);
}

/** Returns the rkey of the record that is the owner's one edge to a subject. */
export function findEdge(state: SlotState, owner: number, kind: EdgeKind, subject: EdgeSubject): string | undefined {
  const place = placeOf(state, owner, kind, subject);
  const found = readFound(state, place.key);
  if (found === undefined || !place.isHashed) return found?.rkey;
  if (found.rkey !== undefined && pointsAt(place, found.rkey)) return found.rkey;
  return found.hasOthers ? readFound(state, otherKey(place))?.rkey : undefined;
}

/** True when the record of this rkey, which points at the subject, is the owner's one edge to it. The record need no longer be stored. */
export function isEdge(state: SlotState, owner: number, kind: EdgeKind, subject: EdgeSubject, rkey: string): boolean {
  const place = placeOf(state, owner, kind, subject);
  const found = readFound(state, place.key);
  if (found === undefined || found.rkey === rkey) return found !== undefined;
  return found.hasOthers && readFound(state, otherKey(place))?.rkey === rkey;
}

/** Makes a record the one edge to its subject, which has none. */
export function putEdgeBySubject(
  state: SlotState,
  owner: number,
  kind: EdgeKind,
  subject: EdgeSubject,
  rkey: string,
): void {
  const place = placeOf(state, owner, kind, subject);
  const found = place.isHashed ? readFound(state, place.key) : undefined;
  if (found?.rkey === undefined) return putFound(place, { rkey, hasOthers: found?.hasOthers === true });
  putFound({ ...place, key: otherKey(place) }, { rkey, hasOthers: false });
  if (!found.hasOthers) putFound(place, { ...found, hasOthers: true });
}

/** Takes away the one edge to a subject, which is the record of this rkey. */
export function removeEdgeBySubject(
  state: SlotState,
  owner: number,
  kind: EdgeKind,
  subject: EdgeSubject,
  rkey: string,
): void {
  const place = placeOf(state, owner, kind, subject);
  const found = readFound(state, place.key);
  if (found === undefined) return;
  if (found.rkey === rkey) return putFound(place, { ...found, rkey: undefined });
  state.rows.remove(otherKey(place));
  const after = Buffer.concat([place.key, Buffer.from([0])]);
  const [next] = state.rows.scanKeys({ start: after, end: prefixEnd(place.key), limit: 1 });
  if (next === undefined) putFound(place, { ...found, hasOthers: false });
}
