/** Stored records as the index functions see them: parsed, with their row and sort time. */
import { collectionRow, nsid } from '../../atproto/collection.ts';
import type { RecordRef } from '../../atproto/compact-key.ts';
import { edgeByCollection } from '../../atproto/edge-kind.ts';
import { invariant } from '../../base/invariant.ts';
import { type EdgeFacts, edgeFactsOf, renderEdgeRecord } from './edge-record.ts';
import { encodeRecordRow, getRecordRow, type RecordRow, recordKey, sortMsOf } from './record-row.ts';
import type { JsonObject } from './record-values.ts';
import type { SlotState } from './slot-state.ts';

export type AppliedRecord = {
  readonly owner: number;
  readonly ref: RecordRef;
  readonly row: RecordRow;
  /** The record's fields; empty in edge form, of which `edge` says all. */
  readonly value: JsonObject;
  /** What an edge record points at; undefined for other records and where that cannot be keyed. */
  readonly edge: EdgeFacts | undefined;
  readonly sortMs: number;
};

/** Returns the JSON text of a stored record as it is served. */
export function jsonOfRow(row: RecordRow): string {
  if (row.body.form === 'json') return row.body.json;
  const json = renderEdgeRecord(row.body, row.createdMs ?? 0);
  invariant(json !== undefined, 'a record in edge form has a plain form');
  return json;
}

const nothing: JsonObject = {};

/** Returns a record as its indexes see it; `value` is null for a row in edge form. */
export function appliedRecord(owner: number, ref: RecordRef, row: RecordRow, value: JsonObject | null): AppliedRecord {
  const { body } = row;
  const rule = edgeByCollection.get(ref.collection);
  if (value === null) {
    invariant(body.form === 'edge', 'a record has a value or is in edge form');
    return { owner, ref, row, value: nothing, edge: { ...body, via: undefined }, sortMs: sortMsOf(row) };
  }
  const edge = rule === undefined ? undefined : edgeFactsOf(rule, value);
  return { owner, ref, row, value, edge, sortMs: sortMsOf(row) };
}

/** Loads a stored record, or undefined. */
export function loadRecord(state: SlotState, owner: number, ref: RecordRef): AppliedRecord | undefined {
  const row = getRecordRow(state, owner, ref.collection, ref.rkey);
  if (row === undefined) return undefined;
  const { body } = row;
  return appliedRecord(owner, ref, row, body.form === 'edge' ? null : (JSON.parse(body.json) as JsonObject));
}

/** Writes a record's row and invalidates what is cached of it. */
export function putRecordRow(state: SlotState, record: AppliedRecord, row: RecordRow): void {
  state.rows.put(changedKey(state, record), encodeRecordRow(row));
  const { owner, ref } = record;
  if (collectionRow(ref.collection)?.isSearched === true) state.searchChanges?.look(owner, ref.collection, ref.rkey);
}

/** Removes a record's row and invalidates what is cached of it. */
export function removeRecordRow(state: SlotState, record: AppliedRecord): void {
  state.rows.remove(changedKey(state, record));
  noteUnsearched(state, record);
}

/** Has the search index take out what a record said until now. */
export function noteUnsearched(state: SlotState, { owner, ref, sortMs }: AppliedRecord): void {
  if (collectionRow(ref.collection)?.isSearched === true)
    state.searchChanges?.leave(owner, ref.collection, ref.rkey, sortMs);
}

/** Returns the key of a row that changes, and notes which caches are stale: of it, of its owner. */
function changedKey(state: SlotState, { owner, ref }: AppliedRecord): Buffer {
  const key = recordKey(owner, ref.collection, ref.rkey);
  if (collectionRow(ref.collection)?.isActorInfo === true || ref.collection === nsid.list)
    state.touchedOwners.add(owner);
  state.changedRecords.note(key);
  return key;
}
