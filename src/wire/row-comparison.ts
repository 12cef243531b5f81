/** Compares rows of copies of a slot one by one, from what each node lists of its own. Pure. */
import { type RowListed, rowsListedMax } from './slot-verify.ts';

/** A row that is not the same in all copies. */
export type RowDifference = {
  readonly what: string;
  /** Nodes by what they have, those that have the same together. */
  readonly has: readonly (readonly string[])[];
  /** Nodes that have no such row. */
  readonly lacks: readonly string[];
};
export type RowComparison = {
  /** How many rows were compared. */
  readonly rows: number;
  /** Some of those that differ; `differing` is how many did among the rows compared. */
  readonly differing: number;
  readonly differences: readonly RowDifference[];
};

export const noRowsCompared: RowComparison = { rows: 0, differing: 0, differences: [] };

const differencesMax = 20;
const sumLetters = 8;

/** Returns the groups whose sums are not the same in all copies. */
export function differingGroups(sumsOfCopies: readonly string[]): number[] {
  const count = Math.min(...sumsOfCopies.map((sums) => sums.length)) / sumLetters;
  const sumOf = (sums: string, group: number): string => sums.slice(group * sumLetters, (group + 1) * sumLetters);
  return Array.from({ length: count }, (_unused, group) => group).filter(
    (group) => new Set(sumsOfCopies.map((sums) => sumOf(sums, group))).size > 1,
  );
}

/** Compares rows by node. Shape: the rows of each node ascend by key. */
export function rowComparison(rowsByNode: ReadonlyMap<string, readonly RowListed[]>): RowComparison {
  // A list that is cut says nothing of keys above its last one.
  const cuts = [...rowsByNode.values()].filter((rows) => rows.length === rowsListedMax).map((rows) => rows.at(-1)!.key);
  const lastKey = cuts.reduce<string | null>((least, key) => (least === null || key < least ? key : least), null);
  const byKey = new Map<string, Map<string, RowListed>>();
  for (const [node, rows] of rowsByNode) {
    for (const row of rows) {
      if (lastKey !== null && row.key > lastKey) continue;
      const copies = byKey.get(row.key) ?? new Map<string, RowListed>();
      byKey.set(row.key, copies.set(node, row));
    }
  }
  const nodes = [...rowsByNode.keys()];
  const differing = [...byKey.values()].filter(
    (copies) => copies.size < nodes.length || new Set([...copies.values()].map(({ value }) => value)).size > 1,
  );
  const differences = differing.slice(0, differencesMax).map((copies): RowDifference => {
    const byValue = Map.groupBy(copies, ([, { value }]) => value);
    const [{ what }] = copies.values() as Iterable<RowListed> as [RowListed];
    return {
      what,
      has: [...byValue.values()].map((group) => group.map(([node]) => node)),
      lacks: nodes.filter((node) => !copies.has(node)),
    };
  });
  return { rows: byKey.size, differing: differing.length, differences };
}

/** Returns lines that say which rows differ. */
export function differenceLines({ rows, differing, differences }: RowComparison): string[] {
  const lines = differences.map(({ what, has, lacks }) => {
    const parts = has.length > 1 ? [`${has.map((nodes) => nodes.join(', ')).join(' and ')} differ`] : [];
    const lacking = lacks.length > 0 ? [`${lacks.join(', ')} ${lacks.length === 1 ? 'lacks' : 'lack'} it`] : [];
    return `${what}: ${[...parts, ...lacking].join('; ')}`;
  });
  const left = differing - differences.length;
  return [...lines, ...(left > 0 ? [`and ${left} more of ${rows} rows that were compared`] : [])];
}
