/** Disk use of slots: their files as the disk counts them, and the live bytes of each table. */

import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { slotTableNames, slotTables, tableCode } from '../src/slot/table/slot-state.ts';
import { Environment } from '../src/storage/environment.ts';
import { tableOfKey } from '../test/support/stored-rows.ts';
import type { Figures } from './report.ts';

const blockBytes = 512;
const mapBytes = 16 * 2 ** 30;
const firstKey = Buffer.from([0]);
const endKey = Buffer.alloc(64, 255);

/** Returns the folder of a slot's environment. */
export type SlotFolder = (slot: number) => string;

/** Returns the disk use of the files in a folder. */
export function diskBytes(folder: string): number {
  let bytes = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += statSync(join(entry.parentPath, entry.name)).blocks * blockBytes;
  }
  return bytes;
}

/**
 * Sums pages by sub-database and transactions over all slots. Their node must have stopped.
 *
 * Returns: counts; file space beyond these pages is free for reuse.
 */
export async function pagesAndCommits(
  folderOf: SlotFolder,
  slots: number,
): Promise<{
  readonly pageBytes: Readonly<Record<string, number>>;
  readonly fileBytes: number;
  readonly commits: number;
}> {
  const pageBytes: Record<string, number> = Object.fromEntries(slotTableNames.map((table) => [table, 0]));
  let [fileBytes, commits] = [0, 0];
  for (let slot = 0; slot < slots; slot++) {
    const environment = Environment.open({ path: folderOf(slot), mapBytes, tables: slotTableNames });
    for (const table of slotTableNames) pageBytes[table]! += environment.table(table).pageBytes;
    fileBytes += environment.usedBytes;
    commits += environment.commitCount;
    await environment.close();
  }
  return { pageBytes, fileBytes, commits };
}

/**
 * Sums keys and values of some slots by table. Their node must have stopped.
 *
 * Returns: live bytes and rows by table name, log and outbox included.
 */
export async function liveTables(
  folderOf: SlotFolder,
  slots: readonly number[],
): Promise<{ readonly bytes: Readonly<Record<string, number>>; readonly rows: Readonly<Record<string, number>> }> {
  const nameByCode = new Map<number, string>(Object.entries(tableCode).map(([name, code]) => [code, name]));
  const bytes: Record<string, number> = {};
  const rows: Record<string, number> = {};
  const add = (name: string, size: number): void => {
    bytes[name] = (bytes[name] ?? 0) + size;
    rows[name] = (rows[name] ?? 0) + 1;
  };
  for (const slot of slots) {
    const environment = Environment.open({ path: folderOf(slot), mapBytes, tables: slotTableNames });
    try {
      for (const table of slotTableNames) {
        for (const { key, value } of environment.table(table).scan({ start: firstKey, end: endKey })) {
          const name = table === slotTables.state ? nameByCode.get(tableOfKey(key)) : table;
          add(name ?? 'unknown', key.length + value.length);
        }
      }
    } finally {
      await environment.close();
    }
  }
  return { bytes, rows };
}

/** Returns live bytes per record by table, the largest first. */
export function bytesPerRecord(bytes: Readonly<Record<string, number>>, records: number): Figures {
  const byTable = Object.entries(bytes).sort(([, a], [, b]) => b - a);
  return Object.fromEntries(byTable.map(([name, size]) => [name, size / records]));
}
