/** Reads rows' pages on another thread before a synchronous read asks for them, so that the serving thread does not wait for the disk. */
import { asBuffer } from '../../proto/fields.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import type { CallHandler } from '../../wire/node-caller.ts';
import type { ReadContext } from './read-context.ts';

/** One row that a read will ask for. */
export type RowKey = { readonly state: SlotState; readonly key: Buffer };

/** Reads the pages of these rows. */
async function prefetchRows(keys: Iterable<RowKey>): Promise<void> {
  const keysByState = new Map<SlotState, Buffer[]>();
  for (const { state, key } of keys) {
    const known = keysByState.get(state);
    if (known === undefined) keysByState.set(state, [key]);
    else known.push(key);
  }
  await Promise.all([...keysByState].map(([state, rowKeys]) => state.rows.prefetch(rowKeys)));
}

/** Makes a handler of a synchronous read: as it is, or behind a prefetch of the rows that `keysOf` names. */
export function prefetching(
  { prefetchReads }: ReadContext,
  read: (request: Buffer) => Uint8Array,
  keysOf: (request: Buffer) => Iterable<RowKey>,
): CallHandler {
  if (!prefetchReads) return (payload) => read(asBuffer(payload));
  return async (payload) => {
    // The payload's memory is the caller's again once this function first waits.
    const request = Buffer.from(payload);
    await prefetchRows(keysOf(request));
    // The answer's memory is used again before whoever waits for it gets to see it.
    return Buffer.from(read(request));
  };
}
