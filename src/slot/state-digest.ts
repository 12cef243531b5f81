import { createHash } from 'node:crypto';
import type { SlotState } from './table/slot-state.ts';

/** Hashes all rows of a state: equal for replicas at one seq. Units: hex SHA-256. */
export function digestOf(state: SlotState): string {
  return digestWhile(state, () => true)!;
}

/** The same, or null where `goOn`, which is asked after each row, has ended it. */
export function digestWhile(state: SlotState, goOn: () => boolean): string | null {
  const hash = createHash('sha256');
  const length = Buffer.alloc(8);
  for (const { key, value } of state.rows.scan({ start: Buffer.from([0]), end: Buffer.alloc(64, 255) })) {
    length.writeUInt32BE(key.length, 0);
    length.writeUInt32BE(value.length, 4);
    hash.update(length).update(key).update(value);
    if (!goOn()) return null;
  }
  return hash.digest('hex');
}
