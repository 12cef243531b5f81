/**
 * Rows of the record table: (owner, record, collection, rkey) → one record.
 *
 * Value: version, flags, indexedAt, createdAt when there is one, cid, takedown ref when there is one, post flags when set, body.
 * The body is the JSON text as served. Follows, likes, reposts and blocks are nine records in ten and all alike: in edge form their body is
 * the edge's kind, its subject and, for a record, the subject's cid, from which text and cid are worked out again. A record is in edge
 * form only where that gives back its cid, and so its text.
 */
import { writeCollection, writeRkey } from '../atproto/compact-key.ts';
import { edgeCode, edgeOfCode } from '../atproto/effect-codec.ts';
import { readEntryTime, writeEntryTime } from '../atproto/entry-time.ts';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { cidBytesOf, cidOfDigest, readCid, writeCid } from './cid-bytes.ts';
import { type PlainEdge, plainDigest } from './edge-record.ts';
import { readSubject, writeSubject } from './edge-subject.ts';
import { beginKey, type SlotState, tableCode } from './slot-state.ts';

/** One stored record: what was said, and what became of it here. */
export type RecordRow = {
  readonly indexedMs: number;
  /** The record's own createdAt, or null when it has none that is a date. */
  readonly createdMs: number | null;
  readonly cid: string;
  readonly takedownRef: string | null;
  /** Bits of `postFlag`; 0 for other collections. */
  readonly postFlags: number;
  readonly body: RecordBody;
};

/** What a row holds of the record itself. `json`: the text as served. `edge`: what it is rendered from. */
export type RecordBody = { readonly form: 'json'; readonly json: string } | ({ readonly form: 'edge' } & PlainEdge);

/** Bits of a post's flags: what its gates say of it. Part of the stored format. */
export const postFlag = { violatesThreadGate: 1, violatesEmbeddingRules: 2, hasThreadGate: 4, hasPostGate: 8 } as const;

/** Sort time: the earlier of createdAt and indexedAt, as the official plane has it. Units: ms. */
export function sortMsOf(row: Pick<RecordRow, 'indexedMs' | 'createdMs'>): number {
  return row.createdMs === null ? row.indexedMs : Math.min(row.createdMs, row.indexedMs);
}

/** The first byte of every record row, checked on read. */
export const recordVersion = 1;
/** Bits of a record row's flags; part of the stored format. */
export const recordFlag = { created: 1, takedown: 2, textCid: 4, postFlags: 8, edgeForm: 16 } as const;
const valueWriter = new ByteWriter(4096);

/** Returns the bytes of a row; one in edge form leaves out its cid, which the plain form gives back. */
export function encodeRecordRow(row: RecordRow): Buffer {
  const { body } = row;
  const isEdge = body.form === 'edge';
  const cidBytes = isEdge ? undefined : cidBytesOf(row.cid);
  let flags = isEdge ? recordFlag.edgeForm : cidBytes === undefined ? recordFlag.textCid : 0;
  if (row.createdMs !== null) flags |= recordFlag.created;
  if (row.takedownRef !== null) flags |= recordFlag.takedown;
  if (row.postFlags !== 0) flags |= recordFlag.postFlags;
  const writer = valueWriter.u8(recordVersion).u8(flags);
  writeEntryTime(writer, row.indexedMs);
  if (row.createdMs !== null) writeEntryTime(writer, row.createdMs);
  if (cidBytes !== undefined) writer.bytes(cidBytes);
  else if (!isEdge) writer.text(row.cid);
  if (row.takedownRef !== null) writer.text(row.takedownRef);
  if (row.postFlags !== 0) writer.u8(row.postFlags);
  if (isEdge) writePlainEdge(writer, body);
  else writer.bytes(Buffer.from(body.json, 'utf8'));
  return writer.finish();
}

function writePlainEdge(writer: ByteWriter, edge: PlainEdge): void {
  writer.u8(edgeCode[edge.kind]);
  writeSubject(writer, edge.kind, edge.subject);
  if (edge.subject.ref !== null) writeCid(writer, edge.subjectCid);
}

/** Reads the body of a row in edge form; the reader stands at its first byte. */
export function readPlainEdge(reader: ByteReader): PlainEdge {
  const kind = edgeOfCode(reader.u8());
  const subject = readSubject(reader, kind);
  return { kind, subject, subjectCid: subject.ref === null ? '' : readCid(reader, false) };
}

/**
 * Reads what `encodeRecordRow` wrote; its texts are copies.
 *
 * Errors: InvariantError for an unknown format version.
 */
export function decodeRecordRow(value: Buffer): RecordRow {
  const reader = new ByteReader(value);
  invariant(reader.u8() === recordVersion, 'a record row has a known format version');
  const flags = reader.u8();
  const isEdge = (flags & recordFlag.edgeForm) !== 0;
  const indexedMs = readEntryTime(reader);
  const createdMs = (flags & recordFlag.created) === 0 ? null : readEntryTime(reader);
  const storedCid = isEdge ? '' : (flags & recordFlag.textCid) === 0 ? readCid(reader, true) : reader.text();
  const takedownRef = (flags & recordFlag.takedown) === 0 ? null : reader.text();
  const postFlags = (flags & recordFlag.postFlags) === 0 ? 0 : reader.u8();
  const head = { indexedMs, createdMs, takedownRef, postFlags };
  if (!isEdge) return { ...head, cid: storedCid, body: { form: 'json', json: reader.rest().utf8Slice() } };
  const edge = readPlainEdge(reader);
  const digest = plainDigest(edge, createdMs ?? 0);
  invariant(digest !== undefined, 'a record in edge form has a plain form');
  return { ...head, cid: cidOfDigest(digest), body: { form: 'edge', ...edge } };
}

const timeBytes = 6;
const bareDigestBytes = 32;

/** Returns indexedAt of a record's row. Units: ms. */
export function indexedMsOf(value: Buffer): number {
  return readEntryTime(new ByteReader(value, 2));
}

/** Returns where the JSON text begins in a record's row, which ends with it; -1 for a row in edge form. */
export function recordJsonStart(value: Buffer): number {
  invariant(value[0] === recordVersion, 'a record row has a known format version');
  const flags = value[1]!;
  if ((flags & recordFlag.edgeForm) !== 0) return -1;
  const timesEnd = 2 + ((flags & recordFlag.created) === 0 ? timeBytes : 2 * timeBytes);
  if ((flags & (recordFlag.textCid | recordFlag.takedown | recordFlag.postFlags)) === 0)
    return timesEnd + bareDigestBytes;
  const reader = new ByteReader(value, timesEnd);
  if ((flags & recordFlag.textCid) === 0) reader.bytes(bareDigestBytes);
  else reader.sized();
  if ((flags & recordFlag.takedown) !== 0) reader.sized();
  if ((flags & recordFlag.postFlags) !== 0) reader.u8();
  return reader.position;
}

/** Returns where the subject begins in the row of a record in edge form; -1 for any other row. */
export function plainEdgeStart(value: Buffer): number {
  const flags = value[1]!;
  if ((flags & recordFlag.edgeForm) === 0) return -1;
  const timesEnd = 2 + ((flags & recordFlag.created) === 0 ? timeBytes : 2 * timeBytes);
  if ((flags & (recordFlag.takedown | recordFlag.postFlags)) === 0) return timesEnd + 1;
  const reader = new ByteReader(value, timesEnd);
  if ((flags & recordFlag.takedown) !== 0) reader.sized();
  if ((flags & recordFlag.postFlags) !== 0) reader.u8();
  return reader.position + 1;
}

/** Returns the key of one record. Keys of a collection ascend by rkey, which for TIDs is time order. */
export function recordKey(owner: number, collection: string, rkey: string): Buffer {
  const writer = beginKey(owner, tableCode.record);
  writeCollection(writer, collection);
  writeRkey(writer, rkey);
  return writer.finish();
}

/** Returns the prefix of all records of an owner, or of one of its collections. */
export function recordPrefix(owner: number, collection?: string): Buffer {
  const writer = beginKey(owner, tableCode.record);
  if (collection !== undefined) writeCollection(writer, collection);
  return writer.finish();
}

/** Returns one record of an owner, decoded whole; reads that only pass bytes on use the row as it is. */
export function getRecordRow(state: SlotState, owner: number, collection: string, rkey: string): RecordRow | undefined {
  const value = state.rows.getVolatile(recordKey(owner, collection, rkey));
  return value === undefined ? undefined : decodeRecordRow(value);
}

/** True while the record is stored, taken down or not. */
export function hasRecord(state: SlotState, owner: number, collection: string, rkey: string): boolean {
  return state.rows.has(recordKey(owner, collection, rkey));
}
