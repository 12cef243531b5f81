/** Pages of a file that cannot be what was written, and what opening it says. */
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { Environment, environmentFiles } from '../../../src/storage/environment.ts';
import { isDamagedFile } from '../../../src/storage/storage-failure.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const folder = makeMemoryFolder('skyshard-damaged-file-');
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const options = { path: join(folder, 'store'), mapBytes: 2 ** 26, tables: ['rows'] };
const pageBytes = 4_096;
/**
 * LMDB 1.0: where a page has its flags and the bytes of its rows' offsets, which begin behind its
 * head, as what they count does; and where a row has its flags.
 */
const [flagsAt, offsetBytesAt, headBytes, rowFlagsAt] = [18, 20, 24, 4];
const [leaf, hasSubPage] = [2, 4];
const text = 'a text that is only in these rows';

/** Says of each row of the table that it is a page of more rows. */
function damageRows(): number {
  const path = join(options.path, environmentFiles.data);
  const bytes = readFileSync(path);
  let count = 0;
  for (let at = 0; at < bytes.length; at += pageBytes) {
    const page = bytes.subarray(at, at + pageBytes);
    if ((page.readUInt16LE(flagsAt) & leaf) === 0 || !page.includes(text)) continue;
    for (let offset = 0; offset < page.readUInt16LE(offsetBytesAt); offset += 2, count++) {
      const rowFlags = headBytes + page.readUInt16LE(headBytes + offset) + rowFlagsAt;
      page.writeUInt16LE(page.readUInt16LE(rowFlags) | hasSubPage, rowFlags);
    }
  }
  writeFileSync(path, bytes);
  return count;
}

it('is damage where a row says that it is what no table has', async () => {
  const written = Environment.open(options);
  written.transact(() => {
    const rows = written.table('rows');
    for (let row = 0; row < 500; row++) rows.put(Buffer.from(`key ${row}`), Buffer.from(`${text} ${row}`));
  });
  await written.close();
  expect(damageRows()).toBeGreaterThanOrEqual(500);
  let thrown: unknown = null;
  try {
    Environment.open(options);
  } catch (error) {
    thrown = error;
  }
  expect(String(thrown)).toContain('MDB_BAD_TXN');
  expect(isDamagedFile(thrown)).toBe(true);
});
