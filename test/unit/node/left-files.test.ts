/** Files of slots that are given up, and who closes them last. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { slotPath } from '../../../src/node/data-folder.ts';
import { LeftFiles } from '../../../src/node/left-files.ts';
import { SlotReaders } from '../../../src/node/slot-reader.ts';
import { slotTableNames } from '../../../src/slot/table/slot-state.ts';
import { Environment, environmentFiles } from '../../../src/storage/environment.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

const slotMapBytes = 2 ** 28;

it('files that are given up stay in memory when their last reader has closed them', async () => {
  const dataDir = makeMemoryFolder('skyshard-left-');
  const paths = [0, 1].map((slot) => slotPath(dataDir, slot));
  const isMapped = (path: string): boolean =>
    readFileSync('/proc/self/maps', 'utf8').includes(join(path, environmentFiles.data));
  try {
    for (const path of paths) await Environment.open({ path, mapBytes: slotMapBytes, tables: slotTableNames }).close();
    expect(paths.map(isMapped)).toEqual([false, false]);
    const readers = new SlotReaders(dataDir, slotMapBytes);
    readers.open([0, 1]);
    const left = new LeftFiles({ dataDir, slotMapBytes });
    await left.keep([1]);
    readers.leave([1]);
    rmSync(paths[1]!, { recursive: true });
    await readers[Symbol.asyncDispose]();
    expect(paths.map(isMapped)).toEqual([false, true]);
    await left[Symbol.asyncDispose]();
    expect(paths.map(isMapped)).toEqual([false, false]);
  } finally {
    rmSync(dataDir, { recursive: true });
  }
});

it('a slot whose files cannot be kept open is closed by its last reader', async () => {
  const dataDir = makeMemoryFolder('skyshard-left-');
  try {
    await using left = new LeftFiles({ dataDir, slotMapBytes });
    // It is not there.
    await left.keep([0]);
  } finally {
    rmSync(dataDir, { recursive: true });
  }
});
