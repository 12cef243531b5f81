import { createHash } from 'node:crypto';
import type { SlotState } from './table/slot-state.ts';

const wholeState = { start: Buffer.from([0]), end: Buffer.alloc(64, 255) };
/** A call of the hash costs more than the bytes of a short row. */
const batchBytes = 65_536;

/** Hashes all rows of a state: equal for replicas at one seq. Units: hex SHA-256. */
export function digestOf(state: SlotState): string {
  return digestWhile(state, () => true)!;
}

/**
 * The same, or null where `goOn`, which is asked after each row, has ended it.
 *
 * What is hashed of a row: the lengths of its key and value, four bytes each, then both.
 */
export function digestWhile(state: SlotState, goOn: () => boolean): string | null {
  const hash = createHash('sha256');
  const batch = Buffer.alloc(batchBytes);
  let filled = 0;
  let isWhole = true;
  state.rows.visit(wholeState, ({ key, keyLength, value }) => {
    const bytes = 8 + keyLength + value.length;
    if (filled + bytes > batchBytes) {
      hash.update(batch.subarray(0, filled));
      filled = 0;
    }
    const isBatched = bytes <= batchBytes;
    const into = isBatched ? batch : Buffer.alloc(bytes);
    into.writeUInt32BE(keyLength, filled);
    into.writeUInt32BE(value.length, filled + 4);
    key.copy(into, filled + 8, 0, keyLength);
    value.copy(into, filled + 8 + keyLength);
    if (isBatched) filled += bytes;
    else hash.update(into);
    isWhole = goOn();
    return isWhole;
  });
  return isWhole ? hash.update(batch.subarray(0, filled)).digest('hex') : null;
}
