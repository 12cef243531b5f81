import { createHash } from 'node:crypto';
import type { SlotState } from './table/slot-state.ts';

/** Hashes all rows of a state: equal for replicas at one seq. Units: hex SHA-256. */
export function digestOf(state: SlotState): string {
  const hash = createHash('sha256');
  const length = Buffer.alloc(8);
  for (const { key, value } of state.rows.scan({ start: Buffer.from([0]), end: Buffer.alloc(64, 255) })) {
    length.writeUInt32BE(key.length, 0);
    length.writeUInt32BE(value.length, 4);
    hash.update(length).update(key).update(value);
  }
  return hash.digest('hex');
}
