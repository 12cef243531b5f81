/**
 * Writes `Record` messages: the stored JSON spliced in as it is, its cid, times and takedown.
 *
 * A record that does not exist is the bytes `null`. Records that are stored as edges are rendered from their edge row.
 */
import { collectionOfCode } from '../../atproto/collection.ts';
import { readRkey } from '../../atproto/compact-key.ts';
import { ByteReader } from '../../base/bytes.ts';
import { invariant } from '../../base/invariant.ts';
import { readCid } from '../cid-bytes.ts';
import { edgeRuleByCollection, renderEdgeRecord } from '../edge-record.ts';
import { getEdgeSubject } from '../outgoing-edge.ts';
import type { SlotState } from '../slot-state.ts';
import type { AnswerWriter } from './answer-writer.ts';
import { appendCidOfDigest } from './key-text.ts';
import { RecordView } from './record-view.ts';

const absentText = Buffer.from('null', 'latin1');
const field = { record: 1, cid: 2, indexedAt: 4, takenDown: 5, createdAt: 6, sortedAt: 7, takedownRef: 8 } as const;
const view = new RecordView();

/** Writes, as field `number`, the record that does not exist. */
export function writeAbsentRecord(into: AnswerWriter, number: number): void {
  const start = into.begin(number, 1);
  into.bytesField(field.record, absentText);
  into.end(start, 1);
}

/** Returns the JSON text of a record stored as an edge. `key` is its record key. */
function renderEdge(state: SlotState, owner: number, key: Buffer, row: RecordView): Buffer {
  const collection = collectionOfCode(key[5]!);
  const rule = collection === undefined ? undefined : edgeRuleByCollection.get(collection);
  const rkey = readRkey(new ByteReader(key, 6));
  const { value, bodyAt, sortMs, createdMs } = row;
  const subjectCid = bodyAt === value.length ? '' : readCid(new ByteReader(value, bodyAt), false);
  const subject = rule === undefined ? undefined : getEdgeSubject(state, owner, rule.kind, sortMs, rkey);
  const json = subject === undefined ? undefined : renderEdgeRecord(rule!.kind, subject, subjectCid, createdMs);
  invariant(json !== undefined, 'a record stored as an edge has its edge row');
  return Buffer.from(json, 'utf8');
}

/**
 * Writes, as field `number`, the record whose row is `value`.
 *
 * Shape: `value` may be volatile; it is read up before any other row. Returns: the record's post flags.
 */
export function writeRecord(
  into: AnswerWriter,
  number: number,
  state: SlotState,
  owner: number,
  key: Buffer,
  value: Buffer,
): number {
  const row = view.read(value);
  const start = into.begin(number, 2);
  if (row.isEdgeForm) writeEdgeFormBody(into, state, owner, key, row);
  else into.bytesField(field.record, value, row.bodyAt, value.length);
  if (!row.isEdgeForm) writeCid(into, row);
  into.timeField(field.indexedAt, row.indexedMs);
  if (row.isTakenDown && row.takedownRef !== '') into.trueField(field.takenDown);
  if (row.hasCreated) into.timeField(field.createdAt, row.createdMs);
  into.timeField(field.sortedAt, row.sortMs);
  if (row.isTakenDown) into.optionalTextField(field.takedownRef, row.takedownRef);
  into.end(start, 2);
  return row.postFlags;
}

/** The cid goes first, since reading the edge row overwrites a volatile record row. */
function writeEdgeFormBody(into: AnswerWriter, state: SlotState, owner: number, key: Buffer, row: RecordView): void {
  writeCid(into, row);
  into.bytesField(field.record, renderEdge(state, owner, key, row));
}

function writeCid(into: AnswerWriter, row: RecordView): void {
  if (row.digestAt < 0) return into.optionalTextField(field.cid, row.cidText);
  const start = into.begin(field.cid, 1);
  appendCidOfDigest(into, row.value, row.digestAt);
  into.end(start, 1);
}
