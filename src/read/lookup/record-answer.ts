/**
 * Writes `Record` messages: the stored JSON unpacked in place, its cid, times and takedown.
 *
 * A record that does not exist is the bytes `null`. Records that are stored in edge form are
 * rendered.
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

/** Writes, as field `number`, the record that does not exist. */
export function writeAbsentRecord(into: MessageWriter, number: number): void {
  const start = into.begin(number, 1);
  into.bytesField(field.record, absentText);
  into.end(start, 1);
}

/**
 * Writes, as field `number`, the record whose row is `value`.
 *
 * Shape: `value` may be volatile; it is read up before any other row. Returns: the record's post
 * flags.
 */
export function writeRecord(into: MessageWriter, number: number, value: Buffer): number {
  const row = view.read(value);
  const start = into.begin(number, 2);
  if (row.isEdgeForm) writeEdgeForm(into, row);
  else {
    const json = into.begin(field.record, 2);
    unpackJson(into, value, row.bodyAt, value.length);
    into.end(json, 2);
    writeCid(into, row);
  }
  into.timeField(field.indexedAt, row.indexedMs);
  if (row.isTakenDown && row.takedownRef !== '') into.trueField(field.takenDown);
  if (row.hasCreated) into.timeField(field.createdAt, row.createdMs);
  into.timeField(field.sortedAt, row.sortMs);
  if (row.isTakenDown) into.optionalTextField(field.takedownRef, row.takedownRef);
  into.end(start, 2);
  return row.postFlags;
}

/** Appends only the JSON text of the record whose row is `value`. */
export function appendRecordJson(into: MessageWriter, value: Buffer): void {
  const row = view.read(value);
  if (!row.isEdgeForm) return unpackJson(into, value, row.bodyAt, value.length);
  const json = renderEdgeRecord(readPlainEdge(row), row.createdMs);
  invariant(json !== undefined, 'a record in edge form has a plain form');
  into.raw(Buffer.from(json, 'utf8'));
}

/** Text and cid of a record in edge form are worked out from its edge. */
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

function writeCid(into: MessageWriter, row: RecordView): void {
  if (row.digestAt < 0) return into.optionalTextField(field.cid, row.cidText);
  const start = into.begin(field.cid, 1);
  appendCidOfDigest(into, row.value, row.digestAt);
  into.end(start, 1);
}
