/**
 * Rows of 32-bit counters. A row may be shorter than its kind now is; the counters it lacks are 0.
 */

const countersMax = 16;
const counterBytes = 4;
/** A value of each length, shared by all changes, so that none needs an allocation. */
const values = Array.from({ length: countersMax + 1 }, (_unused, count) =>
  Buffer.allocUnsafeSlow(counterBytes * count),
);

/**
 * Returns the stored `value` with one counter changed; counters never fall below 0.
 *
 * Zeros at the end are left out, so equal contents have equal rows, and most are short: it is empty
 * when all are 0. Valid until the next change.
 */
export function changedCounters(value: Buffer | undefined, index: number, change: 1 | -1): Buffer {
  const before = value ?? values[0]!;
  const changed = Math.max(0, counterAt(before, index) + change);
  let count = Math.max(index + 1, before.length / counterBytes);
  while (count > 0 && (count - 1 === index ? changed : counterAt(before, count - 1)) === 0) count--;
  const row = values[count]!;
  // A volatile value has more memory than its length, which not every Node's `copy` respects.
  const known = Math.min(row.length, before.length);
  for (let at = 0; at < known; at++) row[at] = before[at]!;
  row.fill(0, known);
  if (index < count) row.writeUInt32BE(changed, counterBytes * index);
  return row;
}

/** Returns one counter of a stored value. */
export function counterAt(value: Buffer, index: number): number {
  return counterBytes * index < value.length ? value.readUInt32BE(counterBytes * index) : 0;
}
