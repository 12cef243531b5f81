/** What an import would read: tables that it can read, and about how many rows they have. */
import { readImportState } from './import-state.ts';
import { estimatedRows, type RowSource } from './postgres-source.ts';
import { actorColumns, actorTables, keyedTables, ownedTables, recordColumns, suggestionTables } from './row-entries.ts';

export type PlannedTable = {
  readonly table: string;
  /** As the database estimates; null where it never counted. */
  readonly rows: number | null;
};

export type ImportPlan = {
  readonly database: string;
  readonly tables: readonly PlannedTable[];
  /** Of an earlier run, or null where none has begun. */
  readonly earlier: { readonly rangesDone: number; readonly ranges: number } | null;
};

/** By table, what is read of it. */
const queries: readonly (readonly [table: string, query: string])[] = [
  ['actor', `SELECT ${actorColumns} FROM ${actorTables}`],
  ['record', `SELECT ${recordColumns} FROM "record"`],
  ...ownedTables.map(({ name, columns }) => [name, `SELECT ${columns} FROM "${name}"`] as const),
  ...keyedTables.map(
    ({ name, key, columns }) => [name, `SELECT ${[...key, ...columns].join(', ')} FROM "${name}"`] as const,
  ),
  ...suggestionTables.map(({ name, query }) => [name, query] as const),
];

/** Tries each table and returns what would be read. Errors: DataPlaneError of the database. */
export async function planImport(source: RowSource, statePath: string): Promise<ImportPlan> {
  const state = readImportState(statePath, source.name);
  const tables: PlannedTable[] = [];
  for (const [table, query] of queries) {
    for await (const _none of source.rows(`SELECT * FROM (${query}) AS readable LIMIT 0`));
    tables.push({ table, rows: await estimatedRows(source, table) });
  }
  const earlier =
    state === undefined ? null : { rangesDone: state.rangesDone.length, ranges: state.boundaries.length + 1 };
  return { database: source.name, tables, earlier };
}
