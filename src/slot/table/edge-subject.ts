/** What an edge points at, and its bytes in keys and values. */
import { type RecordRef, readDid, readRecordRef, writeDid, writeRecordRef } from '../../atproto/compact-key.ts';
import type { EdgeKind } from '../../atproto/edge-kind.ts';
import type { ByteReader, ByteWriter } from '../../base/bytes.ts';

/** An actor, a record, or, for a list item, an actor within a list. */
export type EdgeSubject = { readonly did: string; readonly ref: RecordRef | null };

/** Kinds whose subject is a record; the others point at an actor, `list-item` at both. */
const recordSubjectKinds: ReadonlySet<EdgeKind> = new Set(['like', 'repost', 'list-block', 'quote', 'reply']);

/** True for a kind whose subject is a record, by which alone it is known. */
export function hasRecordSubject(kind: EdgeKind): boolean {
  return recordSubjectKinds.has(kind);
}

/** Writes a subject: the record, the actor, or, for a list item, first the list and then the actor. */
export function writeSubject(writer: ByteWriter, kind: EdgeKind, subject: EdgeSubject): void {
  if (subject.ref !== null) writeRecordRef(writer, subject.ref);
  if (!recordSubjectKinds.has(kind)) writeDid(writer, subject.did);
}

/** Reads what `writeSubject` wrote. */
export function readSubject(reader: ByteReader, kind: EdgeKind): EdgeSubject {
  const isRecord = recordSubjectKinds.has(kind);
  const ref = isRecord || kind === 'list-item' ? readRecordRef(reader) : null;
  return { ref, did: isRecord ? ref!.did : readDid(reader) };
}
