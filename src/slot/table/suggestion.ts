/**
 * What operators suggest to everyone, in the slot of the key `suggestionsKey`.
 *
 * (slot-wide, suggestion, list, order, tag, subject) → subject type, in the order of answers.
 * (slot-wide, suggestionOrder, list, tag, subject) → order.
 */
import { ByteReader, sharedWriter } from '../../base/bytes.ts';
import { type SuggestionList, suggestionLists } from '../../entry/suggestion.ts';
import { prefixEnd } from '../../storage/environment.ts';
import { beginSlotKey, keyHeadBytes, readKey, type SlotState, tableCode } from './slot-state.ts';

/** `tag` and `subjectType` are '' but in the list `tagged`. */
export type SuggestionRow = {
  readonly tag: string;
  readonly subject: string;
  readonly subjectType: string;
  readonly order: number;
};

/** What precedes the order in a key. */
const orderAt = keyHeadBytes + 1;
const orderBytes = 4;
const valueWriter = sharedWriter(256);

/** Returns the prefix of a list's rows. */
export function suggestionPrefix(list: SuggestionList): Buffer {
  return beginSlotKey(tableCode.suggestion).u8(suggestionLists.indexOf(list)).finish();
}

/** Returns the key at which the rows after an order, and after `rest` of a key with it, begin. */
export function suggestionKeyAfter(list: SuggestionList, order: number, rest: Uint8Array): Buffer {
  const key = beginSlotKey(tableCode.suggestion).u8(suggestionLists.indexOf(list));
  return key.u32(order).bytes(rest).u8(0).finish();
}

/** Returns what follows the order in a row's key. */
export function restOfSuggestionKey(key: Buffer): Buffer {
  return key.subarray(orderAt + orderBytes);
}

function rowKey(list: SuggestionList, { tag, subject, order }: SuggestionRow): Buffer {
  const key = beginSlotKey(tableCode.suggestion).u8(suggestionLists.indexOf(list));
  return key.u32(order).text(tag).text(subject).finish();
}

function orderKey(list: SuggestionList, tag: string, subject: string): Buffer {
  return beginSlotKey(tableCode.suggestionOrder).u8(suggestionLists.indexOf(list)).text(tag).text(subject).finish();
}

/** Reads a row of `scan`; its strings are copies. */
export function readSuggestion(key: Buffer, value: Buffer): SuggestionRow {
  const reader = readKey(key);
  reader.skip(1);
  const order = reader.u32();
  return { order, tag: reader.text(), subject: reader.text(), subjectType: new ByteReader(value).text() };
}

/** Returns a list in order. */
export function suggestionsOf({ rows }: SlotState, list: SuggestionList): SuggestionRow[] {
  const start = suggestionPrefix(list);
  return Array.from(rows.scan({ start, end: prefixEnd(start) }), ({ key, value }) => readSuggestion(key, value));
}

/** Returns how many a list has, but not more than `max`. */
export function countSuggestions({ rows }: SlotState, list: SuggestionList, max: number): number {
  const start = suggestionPrefix(list);
  let count = 0;
  for (const _key of rows.scanKeys({ start, end: prefixEnd(start), limit: max })) count++;
  return count;
}

/** Returns the order of the list's last row, 0 when it is empty. */
export function lastSuggestionOrder({ rows }: SlotState, list: SuggestionList): number {
  const end = suggestionPrefix(list);
  for (const key of rows.scanKeys({ start: prefixEnd(end), end, isReverse: true, limit: 1 })) {
    return key.readUInt32BE(orderAt);
  }
  return 0;
}

/** Returns the order of a suggestion, or undefined when there is none. */
export function suggestionOrder(
  { rows }: SlotState,
  list: SuggestionList,
  tag: string,
  subject: string,
): number | undefined {
  return rows.getVolatile(orderKey(list, tag, subject))?.readUInt32BE(0);
}

/** Puts a suggestion, wherever it was before. */
export function putSuggestion(state: SlotState, list: SuggestionList, row: SuggestionRow): void {
  removeSuggestion(state, list, row.tag, row.subject);
  state.rows.put(rowKey(list, row), valueWriter.text(row.subjectType).finish());
  state.rows.put(orderKey(list, row.tag, row.subject), valueWriter.u32(row.order).finish());
}

/** Removes a suggestion, if there is one. */
export function removeSuggestion(state: SlotState, list: SuggestionList, tag: string, subject: string): void {
  const order = suggestionOrder(state, list, tag, subject);
  if (order === undefined) return;
  state.rows.remove(rowKey(list, { tag, subject, subjectType: '', order }));
  state.rows.remove(orderKey(list, tag, subject));
}
