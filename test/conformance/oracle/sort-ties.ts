/**
 * Sorts only runs of items with equal times: planes may order the items of one millisecond
 * differently, but any other difference in order must stay visible.
 *
 * Shape: an item without a time ends a run.
 */
export function sortTies<T>(
  items: readonly T[],
  timeMs: (item: T) => number | undefined,
  key: (item: T) => string,
): T[] {
  const sorted: T[] = [];
  let run: T[] = [];
  for (const item of items) {
    const first = run[0];
    const time = timeMs(item);
    if (first !== undefined && (time === undefined || timeMs(first) !== time)) {
      sorted.push(...sortedByKey(run, key));
      run = [];
    }
    run.push(item);
  }
  return [...sorted, ...sortedByKey(run, key)];
}

function sortedByKey<T>(items: readonly T[], key: (item: T) => string): T[] {
  return items.toSorted((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0));
}
