/** Stored records as the index functions see them: parsed, with their row and sort time. */
import type { RecordRef } from '../atproto/compact-key.ts';
import { edgeRuleByCollection, renderEdgeRecord } from './edge-record.ts';
import { getEdgeSubject } from './outgoing-edge.ts';
import { encodeRecordRow, getRecordRow, type RecordRow, recordKey, sortMsOf } from './record-row.ts';
import type { JsonObject } from './record-values.ts';
import type { SlotState } from './slot-state.ts';

/** One record as its indexes see it. */
export type AppliedRecord = {
  readonly owner: number;
  readonly ref: RecordRef;
  readonly row: RecordRow;
  readonly value: JsonObject;
  readonly sortMs: number;
};

/** Returns the JSON text of a stored record as it is served. */
export function jsonOfRow(state: SlotState, owner: number, ref: RecordRef, row: RecordRow): string {
  if (row.body.form === 'json') return row.body.json;
  const rule = edgeRuleByCollection.get(ref.collection)!;
  const subject = getEdgeSubject(state, owner, rule.kind, sortMsOf(row), ref.rkey);
  const json =
    subject === undefined ? undefined : renderEdgeRecord(rule.kind, subject, row.body.subjectCid, row.createdMs ?? 0);
  if (json === undefined) throw new Error(`the edge row of ${ref.did}/${ref.collection}/${ref.rkey} is missing`);
  return json;
}

function appliedOf(state: SlotState, owner: number, ref: RecordRef, row: RecordRow): AppliedRecord {
  return { owner, ref, row, value: JSON.parse(jsonOfRow(state, owner, ref, row)) as JsonObject, sortMs: sortMsOf(row) };
}

/** Loads a stored record, or undefined. */
export function loadRecord(state: SlotState, owner: number, ref: RecordRef): AppliedRecord | undefined {
  const row = getRecordRow(state, owner, ref.collection, ref.rkey);
  return row === undefined ? undefined : appliedOf(state, owner, ref, row);
}

/** Writes a record's row; index functions call it with the form that they settled on. */
export function putRecordRow(state: SlotState, record: AppliedRecord, row: RecordRow): void {
  state.rows.put(recordKey(record.owner, record.ref.collection, record.ref.rkey), encodeRecordRow(row));
}
