/** Prefetches the pages of rows on another thread, lest the serving thread wait for the disk. */
import { asBuffer } from '../../proto/fields.ts';
import type { SlotState } from '../../slot/table/slot-state.ts';
import type { CallHandler } from '../../wire/node-caller.ts';
import type { ReadContext } from './read-context.ts';

export type RowKey = { readonly state: SlotState; readonly key: Buffer };

/** Further rows are not prefetched: making their keys would hold the thread. */
const prefetchedMax = 2_000;

/** Reads the pages of these rows on another thread. */
export async function prefetchRows(keys: Iterable<RowKey>): Promise<void> {
  const keysByState = new Map<SlotState, Buffer[]>();
  let count = 0;
  for (const { state, key } of keys) {
    if (count++ === prefetchedMax) break;
    const known = keysByState.get(state);
    if (known === undefined) keysByState.set(state, [key]);
    else known.push(key);
  }
  await Promise.all([...keysByState].map(([state, rowKeys]) => state.rows.prefetch(rowKeys)));
}

/** Makes a handler of a synchronous read, with `prefetchReads` after a prefetch of its rows. */
export function prefetching(
  { prefetchReads }: ReadContext,
  read: (request: Buffer) => Uint8Array,
  keysOf: (request: Buffer) => Iterable<RowKey>,
): CallHandler {
  if (!prefetchReads) return (payload) => read(asBuffer(payload));
  return async (payload) => {
    // The caller reuses the payload's memory at the first await.
    const request = Buffer.from(payload);
    await prefetchRows(keysOf(request));
    // The next read overwrites the answer's memory, maybe before the caller resumes.
    return Buffer.from(read(request));
  };
}
