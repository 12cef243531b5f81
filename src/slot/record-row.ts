/**
 * Rows of the record table: (owner, record, collection, rkey) → one record.
 *
 * Value: version, flags, indexedAt, createdAt when there is one, cid, takedown ref when there is one, post flags when set, body.
 * The body is the JSON text as served, or nothing but the subject's cid for likes and reposts, and nothing at all for
 * follows and blocks: these nine in ten are rendered from their edge row wherever that gives back the same text.
 */
import { writeCollection, writeRkey } from '../atproto/compact-key.ts';
import { readEntryTime, writeEntryTime } from '../atproto/entry-time.ts';
import { ByteReader, ByteWriter } from '../base/bytes.ts';
import { invariant } from '../base/invariant.ts';
import { cidBytesOf, readCid, writeCid } from './cid-bytes.ts';
import { beginKey, type SlotState, tableCode } from './slot-state.ts';

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

/** `json`: the text as served. `edge`: render it from the edge row; `subjectCid` is empty where the subject is an actor. */
export type RecordBody =
  | { readonly form: 'json'; readonly json: string }
  | { readonly form: 'edge'; readonly subjectCid: string };

export const postFlag = { violatesThreadGate: 1, violatesEmbeddingRules: 2, hasThreadGate: 4, hasPostGate: 8 } as const;

/** Sort time: the earlier of createdAt and indexedAt, as the official plane has it. Units: ms. */
export function sortMsOf(row: Pick<RecordRow, 'indexedMs' | 'createdMs'>): number {
  return row.createdMs === null ? row.indexedMs : Math.min(row.createdMs, row.indexedMs);
}

export const recordVersion = 1;
/** Bits of a record row's flags; part of the stored format. */
export const recordFlag = { created: 1, takedown: 2, textCid: 4, postFlags: 8, edgeForm: 16, edgeCid: 32 } as const;
const valueWriter = new ByteWriter(4096);

export function encodeRecordRow(row: RecordRow): Buffer {
  const cidBytes = cidBytesOf(row.cid);
  const { body } = row;
  let flags = row.createdMs === null ? 0 : recordFlag.created;
  if (row.takedownRef !== null) flags |= recordFlag.takedown;
  if (cidBytes === undefined) flags |= recordFlag.textCid;
  if (row.postFlags !== 0) flags |= recordFlag.postFlags;
  if (body.form === 'edge') flags |= recordFlag.edgeForm | (body.subjectCid === '' ? 0 : recordFlag.edgeCid);
  const writer = valueWriter.u8(recordVersion).u8(flags);
  writeEntryTime(writer, row.indexedMs);
  if (row.createdMs !== null) writeEntryTime(writer, row.createdMs);
  if (cidBytes === undefined) writer.text(row.cid);
  else writer.bytes(cidBytes);
  if (row.takedownRef !== null) writer.text(row.takedownRef);
  if (row.postFlags !== 0) writer.u8(row.postFlags);
  if (body.form === 'edge') {
    if (body.subjectCid !== '') writeCid(writer, body.subjectCid);
  } else {
    writer.bytes(Buffer.from(body.json, 'utf8'));
  }
  return writer.finish();
}

/** What stands before the body, with the body left as bytes that alias `value`. */
export type RecordHead = Omit<RecordRow, 'body'> & {
  readonly isEdgeForm: boolean;
  /** JSON text as UTF-8, or, in edge form, the subject's cid as `writeCid` wrote it. */
  readonly bodyBytes: Buffer;
};

export function decodeRecordHead(value: Buffer): RecordHead {
  const reader = new ByteReader(value);
  invariant(reader.u8() === recordVersion, 'a record row has a known format version');
  const flags = reader.u8();
  const indexedMs = readEntryTime(reader);
  const createdMs = (flags & recordFlag.created) === 0 ? null : readEntryTime(reader);
  const cid = (flags & recordFlag.textCid) === 0 ? cidOfDigest(reader) : reader.text();
  const takedownRef = (flags & recordFlag.takedown) === 0 ? null : reader.text();
  const postFlags = (flags & recordFlag.postFlags) === 0 ? 0 : reader.u8();
  return {
    indexedMs,
    createdMs,
    cid,
    takedownRef,
    postFlags,
    isEdgeForm: (flags & recordFlag.edgeForm) !== 0,
    bodyBytes: reader.rest(),
  };
}

const timeBytes = 6;
const bareDigestBytes = 32;

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

function cidOfDigest(reader: ByteReader): string {
  return readCid(reader, true);
}

export function decodeRecordRow(value: Buffer): RecordRow {
  const { isEdgeForm, bodyBytes, ...head } = decodeRecordHead(value);
  if (!isEdgeForm) return { ...head, body: { form: 'json', json: bodyBytes.utf8Slice() } };
  const subjectCid = bodyBytes.length === 0 ? '' : readCid(new ByteReader(bodyBytes), false);
  return { ...head, body: { form: 'edge', subjectCid } };
}

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

export function getRecordRow(state: SlotState, owner: number, collection: string, rkey: string): RecordRow | undefined {
  const value = state.rows.getVolatile(recordKey(owner, collection, rkey));
  return value === undefined ? undefined : decodeRecordRow(value);
}

export function hasRecord(state: SlotState, owner: number, collection: string, rkey: string): boolean {
  return state.rows.has(recordKey(owner, collection, rkey));
}
