/**
 * Rows of the record table: (owner, record, collection, rkey) → one record.
 *
 * Value: the head, see record-view.ts, then the body: the JSON text as served, packed. Follows,
 * likes, reposts and blocks are nine records in ten and all alike: in edge form their body is the
 * subject and, for a record, the subject's cid, from which text and cid are derived. A record is in
 * edge form only where that gives its exact cid, and so its text.
 */
import {
  Cid,
  cidDigestBytes,
  cidOfDigest,
  digestOfCid,
  parseCid,
  recordCidOf,
  recordDigestOf,
} from '../../atproto/cid.ts';
import { type RecordRef, readCollection, readRkey, writeCollection } from '../../atproto/compact-key.ts';
import { readSubject, writeSubject } from '../../atproto/edge-kind.ts';
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { packJson, unpackedText } from '../packing/packed-json.ts';
import { type PlainEdge, plainDigest } from './edge-record.ts';
import { edgeFormFlags, RecordView, recordFlag, tagsFollow, writeRecordHead } from './record-view.ts';
import { beginKey, beginRecordKey, readKey, type SlotState, tableCode } from './slot-state.ts';

export type RecordRow = {
  readonly indexedMs: number;
  /** The record's own createdAt, or null when it has none that is a date. */
  readonly createdMs: number | null;
  /** The 36 bytes of its CID. */
  readonly cid: Uint8Array;
  readonly takedownRef: string | null;
  /** Bits of `postFlag`, for a list of `listFlag`; 0 for other collections. */
  readonly postFlags: number;
  /** An operator's tags, for which edge form has no room; absent for none. */
  readonly tags?: readonly string[];
  readonly body: RecordBody;
};

/** `json`: the text as served. `edge`: what the text is rendered from. */
export type RecordBody = { readonly form: 'json'; readonly json: string } | ({ readonly form: 'edge' } & PlainEdge);

/**
 * Bits of a post's flags below `tagsFollow`, from gates and for them. `followsRootAuthor`: of a
 * reply, as it was when it was indexed. Part of the stored format.
 */
export const postFlag = {
  violatesThreadGate: 1,
  violatesEmbeddingRules: 2,
  hasThreadGate: 4,
  hasPostGate: 8,
  followsRootAuthor: 16,
} as const;

/** Bits of the same byte of a list. */
export const listFlag = { isReference: 32 } as const;

/** Sort time: the earlier of createdAt and indexedAt, as on the official plane. Units: ms. */
export function sortMsOf(row: Pick<RecordRow, 'indexedMs' | 'createdMs'>): number {
  return row.createdMs === null ? row.indexedMs : Math.min(row.createdMs, row.indexedMs);
}

const valueWriter = sharedWriter(4096);
const view = new RecordView();

/** Returns the bytes of a row; one in edge form omits its cid, which its plain form gives. */
export function encodeRecordRow(row: RecordRow): Buffer {
  const { body } = row;
  const isEdge = body.form === 'edge';
  const { tags = [] } = row;
  const postFlags = tags.length === 0 ? row.postFlags : row.postFlags | tagsFollow;
  const digest = isEdge ? subjectDigestOf(body) : recordDigestOf(row.cid);
  const hasCid = !isEdge || body.subject.ref !== null;
  invariant(!isEdge || (row.createdMs !== null && postFlags === 0), 'an edge has a createdAt and no post flags');
  let flags = isEdge ? edgeFormFlags(body.kind) : 0;
  if (!isEdge && row.createdMs !== null) flags |= recordFlag.created;
  if (!isEdge && postFlags !== 0) flags |= recordFlag.postFlags;
  if (row.takedownRef !== null) flags |= recordFlag.takedown;
  if (hasCid && digest === undefined) flags |= recordFlag.textCid;
  writeRecordHead(valueWriter, flags, row.indexedMs, row.createdMs);
  if (!isEdge) writeCidOf(() => new Cid(row.cid).text, digest);
  if (row.takedownRef !== null) valueWriter.text(row.takedownRef);
  if (!isEdge && postFlags !== 0) valueWriter.u8(postFlags);
  if (tags.length > 0) {
    valueWriter.varint(tags.length);
    for (const tag of tags) valueWriter.text(tag);
  }
  if (!isEdge) packJson(valueWriter, body.json);
  else {
    writeSubject(valueWriter, body.kind, body.subject);
    if (hasCid) writeCidOf(() => body.subjectCid, digest);
  }
  return valueWriter.finish();
}

function subjectDigestOf(edge: PlainEdge): Buffer | undefined {
  return edge.subject.ref === null ? undefined : digestOfCid(edge.subjectCid);
}

function writeCidOf(text: () => string, digest: Uint8Array | undefined): void {
  if (digest === undefined) valueWriter.text(text());
  else valueWriter.bytes(digest);
}

/** Reads the body of a row in edge form. */
export function readPlainEdge(row: RecordView): PlainEdge {
  const { kind } = row;
  const reader = new ByteReader(row.value, row.bodyAt);
  const subject = readSubject(reader, kind);
  if (subject.ref === null) return { kind, subject, subjectCid: '' };
  const isText = (row.flags & recordFlag.textCid) !== 0;
  return { kind, subject, subjectCid: isText ? reader.text() : cidOfDigest(reader.bytes(cidDigestBytes)) };
}

/** Reads a whole row; its strings are copies. Errors: InvariantError for an unknown version. */
export function decodeRecordRow(value: Buffer): RecordRow {
  const { indexedMs, createdMs, hasCreated, isTakenDown, takedownRef, postFlags, isEdgeForm, tags } = view.read(value);
  const head = {
    indexedMs,
    createdMs: hasCreated ? createdMs : null,
    takedownRef: isTakenDown ? takedownRef : null,
    postFlags,
    ...(tags.length === 0 ? {} : { tags }),
  };
  if (!isEdgeForm) {
    return { ...head, cid: cidOf(view), body: { form: 'json', json: unpackedText(value, view.bodyAt, value.length) } };
  }
  const edge = readPlainEdge(view);
  return {
    ...head,
    // Computed on demand: a removal does not need this hash.
    get cid() {
      const digest = plainDigest(edge, createdMs);
      invariant(digest !== undefined, 'a record in edge form has a plain form');
      return recordCidOf(digest);
    },
    body: { form: 'edge', ...edge },
  };
}

/** Returns the 36 bytes of the CID of a row that is not in edge form. */
export function cidOf({ value, digestAt, cidText }: RecordView): Uint8Array {
  if (digestAt >= 0) return recordCidOf(value.subarray(digestAt, digestAt + cidDigestBytes));
  const cid = parseCid(cidText);
  invariant(cid !== undefined, 'a stored CID can be read');
  return cid.bytes;
}

/** Returns where the subject begins in a row in edge form; -1 for any other row. */
export function plainEdgeStart(value: Buffer): number {
  const { isEdgeForm, bodyAt } = view.read(value);
  return isEdgeForm ? bodyAt : -1;
}

/** Returns the key of one record. Keys of a collection ascend by rkey: for TIDs, by time. */
export function recordKey(owner: number, collection: string, rkey: string): Buffer {
  return beginRecordKey(owner, tableCode.record, collection, rkey).finish();
}

/** Returns the prefix of all records of an owner, or of one of its collections. */
export function recordPrefix(owner: number, collection?: string): Buffer {
  const writer = beginKey(owner, tableCode.record);
  if (collection !== undefined) writeCollection(writer, collection);
  return writer.finish();
}

/** Reads collection and rkey of a key of the record table, or of one with the same layout. */
export function readRecordRefOfKey(did: string, key: Buffer): RecordRef {
  const reader = readKey(key);
  return { did, collection: readCollection(reader), rkey: readRkey(reader) };
}

/** Returns one record, decoded; reads that only copy bytes use a `RecordView`. */
export function getRecordRow(state: SlotState, owner: number, collection: string, rkey: string): RecordRow | undefined {
  const value = state.rows.getVolatile(recordKey(owner, collection, rkey));
  return value === undefined ? undefined : decodeRecordRow(value);
}

/** True while the record is stored, taken down or not. */
export function hasRecord(state: SlotState, owner: number, collection: string, rkey: string): boolean {
  return state.rows.has(recordKey(owner, collection, rkey));
}
