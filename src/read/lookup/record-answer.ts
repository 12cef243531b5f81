/**
 * Writes `Record` messages: the JSON unpacked into the answer, its cid, times and takedown.
 *
 * The JSON of a record that does not exist is `null`. Records stored in edge form are rendered.
 */
import { invariant } from '../../base/invariant.ts';
import { fieldNumber } from '../../proto/generated/bsky-service.ts';
import type { MessageWriter } from '../../proto/message-writer.ts';
import { appendCidOfDigest } from '../../slot/packing/key-text.ts';
import { unpackJson } from '../../slot/packing/packed-json.ts';
import { plainDigest, renderEdgeRecord } from '../../slot/table/edge-record.ts';
import { readPlainEdge } from '../../slot/table/record-row.ts';
import { RecordView } from '../../slot/table/record-view.ts';

const absentText = Buffer.from('null', 'latin1');
const field = fieldNumber.Record;
const view = new RecordView();

/** Writes the message of a record that does not exist as field `number`. */
export function writeAbsentRecord(into: MessageWriter, number: number): void {
  const start = into.begin(number, 1);
  into.bytesField(field.record, absentText);
  into.end(start, 1);
}

/** Writes the record whose row is `value` as field `number`; returns its post flags. */
export function writeRecord(into: MessageWriter, number: number, value: Buffer): number {
  const row = view.read(value);
  const start = into.begin(number, 2);
  if (row.isEdgeForm) writeEdgeForm(into, row);
  else {
    const json = into.begin(field.record, 2);
    unpackJson(into, value, row.bodyAt, value.length);
    into.end(json, 2);
    writeCid(into, field.cid, row);
  }
  into.timeField(field.indexedAt, row.indexedMs);
  if (row.isTakenDown && row.takedownRef !== '') into.trueField(field.takenDown);
  if (row.hasCreated) into.timeField(field.createdAt, row.createdMs);
  into.timeField(field.sortedAt, row.sortMs);
  if (row.isTakenDown) into.optionalTextField(field.takedownRef, row.takedownRef);
  for (const tag of row.tags) into.textField(field.tags, tag);
  into.end(start, 2);
  return row.postFlags;
}

/** Appends the JSON of the record whose row is `value`. */
export function appendRecordJson(into: MessageWriter, value: Buffer): void {
  const row = view.read(value);
  if (!row.isEdgeForm) return unpackJson(into, value, row.bodyAt, value.length);
  const json = renderEdgeRecord(readPlainEdge(row), row.createdMs);
  invariant(json !== undefined, 'a record in edge form has a plain form');
  into.raw(Buffer.from(json, 'utf8'));
}

function writeEdgeForm(into: MessageWriter, row: RecordView): void {
  const edge = readPlainEdge(row);
  const json = renderEdgeRecord(edge, row.createdMs);
  const digest = plainDigest(edge, row.createdMs);
  invariant(json !== undefined && digest !== undefined, 'a record in edge form has a plain form');
  into.bytesField(field.record, Buffer.from(json, 'utf8'));
  const start = into.begin(field.cid, 1);
  appendCidOfDigest(into, digest, 0);
  into.end(start, 1);
}

/** Writes the cid of a record whose row is not in edge form as field `number`. */
export function writeCid(into: MessageWriter, number: number, row: RecordView): void {
  if (row.digestAt < 0) return into.optionalTextField(number, row.cidText);
  const start = into.begin(number, 1);
  appendCidOfDigest(into, row.value, row.digestAt);
  into.end(start, 1);
}
