/** Stored records as the index functions see them: parsed, with their row and sort time. */
import { collectionRow } from '../../atproto/collection.ts';
import type { RecordRef } from '../../atproto/compact-key.ts';
import { invariant } from '../../base/invariant.ts';
import { renderEdgeRecord } from './edge-record.ts';
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
export function jsonOfRow(row: RecordRow): string {
  if (row.body.form === 'json') return row.body.json;
  const json = renderEdgeRecord(row.body, row.createdMs ?? 0);
  invariant(json !== undefined, 'a record in edge form has a plain form');
  return json;
}

function appliedOf(owner: number, ref: RecordRef, row: RecordRow): AppliedRecord {
  return { owner, ref, row, value: JSON.parse(jsonOfRow(row)) as JsonObject, sortMs: sortMsOf(row) };
}

/** Loads a stored record, or undefined. */
export function loadRecord(state: SlotState, owner: number, ref: RecordRef): AppliedRecord | undefined {
  const row = getRecordRow(state, owner, ref.collection, ref.rkey);
  return row === undefined ? undefined : appliedOf(owner, ref, row);
}

/** Writes a record's row; index functions call it with the form that they settled on. */
export function putRecordRow(state: SlotState, record: AppliedRecord, row: RecordRow): void {
  state.rows.put(changedKey(state, record), encodeRecordRow(row));
}

/** Removes a record's row. */
export function removeRecordRow(state: SlotState, record: AppliedRecord): void {
  state.rows.remove(changedKey(state, record));
}

/** Returns the key of a record whose row is about to change; what serving threads cache of it, and of its actor, is then invalid. */
function changedKey(state: SlotState, { owner, ref }: AppliedRecord): Buffer {
  const key = recordKey(owner, ref.collection, ref.rkey);
  if (collectionRow(ref.collection)?.isActorInfo === true) state.touchedOwners.add(owner);
  state.changedRecords.note(key);
  return key;
}
