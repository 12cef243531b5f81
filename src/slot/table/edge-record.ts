/**
 * Records whose whole meaning is an edge: what each points at, and its plain form.
 *
 * Owns the exact JSON text of the plain form and its block. Any other record keeps its text.
 */
import { hash } from 'node:crypto';
import { isKeyableDid, type RecordRef, recordUri } from '../../atproto/compact-key.ts';
import { type Edge, type EdgeKind, type EdgeSubject, edgeByKind } from '../../atproto/edge-kind.ts';
import { sharedWriter } from '../../base/bytes.ts';
import { type JsonObject, objectOf, refOf, textOf } from './record-values.ts';

/** `subjectCid` is '' for an actor; `via` is the repost that led to the record. */
export type EdgeFacts = {
  readonly subject: EdgeSubject;
  readonly subjectCid: string;
  readonly via: RecordRef | undefined;
};

/** Returns what a record says; undefined when its subject cannot be keyed: it is no edge then. */
export function edgeFactsOf(edge: Edge, value: JsonObject): EdgeFacts | undefined {
  const subject = subjectOf(edge, value);
  if (subject === undefined) return undefined;
  return { subject, subjectCid: textOf(objectOf(value['subject'])?.['cid']) ?? '', via: refOf(value['via']) };
}

/** Returns what a record points at, or undefined when that cannot be keyed. */
export function subjectOf(edge: Edge, value: JsonObject): EdgeSubject | undefined {
  const subject = value['subject'];
  if (edge.subject === 'record') {
    const ref = refOf(subject);
    return ref === undefined ? undefined : { did: ref.did, ref };
  }
  if (typeof subject !== 'string' || !isKeyableDid(subject)) return undefined;
  if (edge.subject === 'actor') return { did: subject, ref: null };
  const list = refOf(value['list']);
  return list === undefined ? undefined : { did: subject, ref: list };
}

/** All that a record in plain form says, except its createdAt. */
export type PlainEdge = { readonly kind: EdgeKind; readonly subject: EdgeSubject; readonly subjectCid: string };

function isoTime(timeMs: number): string | undefined {
  return Math.abs(timeMs) > 8.64e15 ? undefined : new Date(timeMs).toISOString();
}

/** Returns the plain form's text, keys in DAG-CBOR order; undefined for a kind without one. */
export function renderEdgeRecord({ kind, subject, subjectCid }: PlainEdge, createdMs: number): string | undefined {
  const { collection, plainForm } = edgeByKind[kind];
  const createdAt = isoTime(createdMs);
  if (plainForm === null || createdAt === undefined) return undefined;
  const target =
    subject.ref === null ? `"${subject.did}"` : `{"cid":"${subjectCid}","uri":"${recordUri(subject.ref)}"}`;
  return `{"$type":"${collection}","subject":${target},"createdAt":"${createdAt}"}`;
}

const blockWriter = sharedWriter(512);

/** Writes the DAG-CBOR of a string below 64 KiB. */
function writeText(text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes < 24) blockWriter.u8(0x60 | bytes);
  else if (bytes < 256) blockWriter.u8(0x78).u8(bytes);
  else blockWriter.u8(0x79).u16(bytes);
  if (bytes === text.length) blockWriter.ascii(text);
  else blockWriter.bytes(Buffer.from(text, 'utf8'));
}

/** Returns the SHA-256 of the plain form's block, or undefined for a kind without one. */
export function plainDigest({ kind, subject, subjectCid }: PlainEdge, createdMs: number): Buffer | undefined {
  const { collection, plainForm } = edgeByKind[kind];
  const createdAt = isoTime(createdMs);
  if (plainForm === null || createdAt === undefined) return undefined;
  blockWriter.clear().u8(0xa3);
  writeText('$type');
  writeText(collection);
  writeText('subject');
  if (subject.ref === null) writeText(subject.did);
  else {
    blockWriter.u8(0xa2);
    writeText('cid');
    writeText(subjectCid);
    writeText('uri');
    writeText(recordUri(subject.ref));
  }
  writeText('createdAt');
  writeText(createdAt);
  return hash('sha256', blockWriter.finish(), 'buffer');
}
