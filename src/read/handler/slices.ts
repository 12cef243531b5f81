/** Runs reads that yield: the first slice at once, each other in a turn of the event loop. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { DataPlaneError } from '../../base/data-plane-error.ts';
import type { SlicedRead, Turn } from '../lookup/turn.ts';

async function runRest(turn: Turn, read: SlicedRead<Uint8Array>, deadlineMs: number): Promise<Uint8Array> {
  for (;;) {
    await nextTurn();
    if (turn.isPast(deadlineMs)) throw new DataPlaneError('DeadlineExceeded', 'a long read passed its deadline');
    turn.begin();
    const slice = read.next();
    // The answer may be in memory of a later read.
    if (slice.done === true) return Buffer.from(slice.value);
  }
}

/** Returns the answer, or a promise if it takes more than one turn. */
export function runSlices(
  turn: Turn,
  read: SlicedRead<Uint8Array>,
  deadlineMs: number,
): Uint8Array | Promise<Uint8Array> {
  turn.begin();
  const slice = read.next();
  return slice.done === true ? slice.value : runRest(turn, read, deadlineMs);
}
