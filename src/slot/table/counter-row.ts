/**
 * Rows of 32-bit counters. A row may be shorter than its kind now is; the counters it lacks are 0.
 */

/** Makes `row` the stored `value` with one counter changed; counters never fall below 0. */
export function changeCounter(row: Buffer, value: Buffer | undefined, index: number, change: 1 | -1): void {
  row.fill(0);
  // A volatile value has more memory than its length, which not every Node's `copy` respects.
  const length = value?.length ?? 0;
  for (let at = 0; at < length; at++) row[at] = value![at]!;
  const offset = 4 * index;
  row.writeUInt32BE(Math.max(0, row.readUInt32BE(offset) + change), offset);
}

/** Returns one counter of a stored value. */
export function counterAt(value: Buffer, index: number): number {
  return 4 * index < value.length ? value.readUInt32BE(4 * index) : 0;
}
