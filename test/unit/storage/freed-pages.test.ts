/** How much of a file large transactions leave free. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { RootDatabase } from 'lmdb';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Environment, type Table } from '../../../src/storage/environment.ts';
import { FreedPages } from '../../../src/storage/freed-pages.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

let folder: string;
let environment: Environment;
let table: Table;

beforeEach(() => {
  folder = makeMemoryFolder('skyshard-freed-pages-');
  environment = Environment.open({ path: join(folder, 'store'), mapBytes: 2 ** 26, tables: ['rows'] });
  table = environment.table('rows');
});

afterEach(async () => {
  await environment.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Writes rows of a quarter of a page, each of them anew. */
function writeRows(count: number, byte: number): void {
  const key = Buffer.alloc(4);
  environment.transact(() => {
    for (let index = 0; index < count; index++) {
      key.writeUInt32BE(index);
      table.put(key, Buffer.alloc(900, byte));
    }
  });
}

it('gives the pages that a large transaction has freed to the next one', () => {
  for (let round = 0; round < 8; round++) writeRows(4_000, round);
  expect(table.pageBytes).toBeGreaterThan(1_000 * 4_096);
  expect(environment.usedBytes / table.pageBytes).toBeLessThan(2.2);
  expect([table.rowCount, table.get(Buffer.from([0, 0, 0, 7]))?.at(0)]).toEqual([4_000, 7]);
});

it('commits nothing more after a small transaction, or what is no large part of the file', () => {
  writeRows(20, 1);
  const before = environment.commitCount;
  writeRows(20, 2);
  expect(environment.commitCount).toBe(before + 1);
});

/** Stands for an environment whose last transaction was large, and whose next one fails. */
function failingRoot(code: string): RootDatabase<Buffer, Buffer> {
  const transactionSync = (): never => {
    throw Object.assign(new Error('the next transaction'), { code });
  };
  return { getStats: () => ({ pagesWritten: 1_000, lastPageNumber: 2_000 }), transactionSync } as never;
}

it('leaves it to the next transaction to say that the disk is full', () => {
  new FreedPages().release(failingRoot('ENOSPC'), folder);
  expect(() => new FreedPages().release(failingRoot('EACCES'), folder)).toThrow('the next transaction');
});
