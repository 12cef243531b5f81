import { keyAfter, prefixEnd, type Row } from '../../storage/environment.ts';
import type { SlotState } from '../table/slot-state.ts';

const pageRows = 64;

/**
 * Yields the rows of a prefix after a key, or from the first when it is empty. Rows that were
 * yielded may be removed meanwhile, since the table is read by pages.
 */
export function* rowsAfter(state: SlotState, prefix: Buffer, after: Buffer): Generator<Row> {
  const end = prefixEnd(prefix);
  let start = after.length === 0 ? prefix : keyAfter(after);
  for (;;) {
    const rows = [...state.rows.scan({ start, end, limit: pageRows })];
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < pageRows) return;
    start = keyAfter(last.key);
  }
}

/** True when a prefix has a row. */
export function hasRows(state: SlotState, prefix: Buffer): boolean {
  return state.rows.hasAny({ start: prefix, end: prefixEnd(prefix) });
}
