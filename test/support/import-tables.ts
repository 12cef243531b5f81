/** The tables of an official plane's database in memory, as an import reads them. */
import { Cid } from '../../src/atproto/cid.ts';
import { DataPlaneError } from '../../src/base/data-plane-error.ts';
import type { CopyRow } from '../../src/migrate/copy-rows.ts';
import type { RowSource } from '../../src/migrate/postgres-source.ts';
import { jsonOfOp, recordOp } from './record-op.ts';

const at = '2025-01-02T03:04:05.678Z';
export type Cell = string | null;

/** As the index of labels orders them; of other tables the owner comes first as well. */
const keyOf = (row: readonly Cell[]): string => row.slice(0, 4).join(' ');

/** Counts how often each was read. */
export class ImportTables implements RowSource {
  readonly name = 'test';
  readonly byName = new Map<string, Cell[][]>();
  readonly reads: string[] = [];
  /** Fails the reads of a table. */
  broken = '';

  add(table: string, ...row: Cell[]): void {
    this.byName.set(table, [...(this.byName.get(table) ?? []), row]);
  }

  record(did: string, collection: string, rkey: string, record: object, more: { ref?: string; tags?: string } = {}) {
    const op = recordOp({ collection, rkey }, { $type: collection, ...record });
    const [uri, cid] = [`at://${did}/${collection}/${rkey}`, new Cid(op.cid).text];
    this.add('record', did, uri, cid, jsonOfOp(op), at, more.ref ?? null, more.tags ?? null);
    return { uri, cid };
  }

  actor(did: string, handle: Cell, more: Record<number, Cell> = {}): void {
    const row: Cell[] = [
      did,
      handle,
      at,
      null,
      null,
      'false',
      null,
      null,
      null,
      null,
      null,
      '3kzzzzzzzzzzz',
      null,
      null,
    ];
    for (const [column, cell] of Object.entries(more)) row[Number(column)] = cell;
    this.add('actor', ...row);
  }

  async *rows(query: string): AsyncGenerator<CopyRow[]> {
    const table = /FROM "(\w+)"/.exec(query)![1]!;
    this.reads.push(table);
    if (table === this.broken) throw new DataPlaneError('Unavailable', `${table} cannot be read`);
    const ordered = [...(this.byName.get(table) ?? [])].sort((one, other) => (keyOf(one) < keyOf(other) ? -1 : 1));
    const after = /> \((.*)\) ORDER/.exec(query)?.[1]?.slice(1, -1).split("', '").join(' ') ?? '';
    const limit = /LIMIT (\d+)/.exec(query)?.[1] ?? Number.POSITIVE_INFINITY;
    const rows = ordered.filter((row) => keyOf(row) > after).slice(0, Number(limit));
    // One row at a time, so that everything is read in steps.
    for (const row of rows) yield [row.map((cell) => (cell === null ? null : Buffer.from(cell)))];
  }
}
