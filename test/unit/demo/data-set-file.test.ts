/** Data set files of the benches read back what was generated, and other files are refused. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readEntries, readFrames, readTruth, writeDataSet } from '../../../bench/data-set-file.ts';
import { graphEntries, graphFrames } from '../../../bench/graph-output.ts';
import { encodeEntry } from '../../../src/entry/entry-codec.ts';

let folder = '';

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'skyshard-data-set-'));
});

afterEach(() => rmSync(folder, { recursive: true }));

const options = { seed: 4, records: 12_000 };

test('a file of frames reads back as generated, over several chunks', () => {
  const path = join(folder, 'frames');
  const written = writeDataSet(path, 'frames', options);
  const made = [...graphFrames(options)];
  const read = [...readFrames(path)];
  expect(written.bytes).toBeGreaterThan(2 * 4 * 2 ** 20);
  expect(read.length).toBe(made.length);
  expect(Buffer.concat(read).equals(Buffer.concat(made))).toBe(true);
  expect(readTruth(path)).toEqual({ options, items: made.length, truth: written.truth });
});

test('a file of entries reads back as generated', () => {
  const path = join(folder, 'entries');
  writeDataSet(path, 'entries', options);
  const [read, made] = [[...readEntries(path)], [...graphEntries(options)]];
  // Some are compared as tests do, which would take half a minute for all.
  expect(read.slice(0, 100)).toEqual(made.slice(0, 100));
  expect(read.length).toBe(made.length);
  expect(read.map(encodeEntry).findIndex((bytes, index) => !bytes.equals(encodeEntry(made[index]!)))).toBe(-1);
});

test('a torn file, or one of another kind or version, is refused', () => {
  const path = join(folder, 'frames');
  writeDataSet(path, 'frames', { seed: 4, records: 100 });
  expect(() => [...readEntries(path)]).toThrow('does not hold entries');
  writeFileSync(path, readFileSync(path).subarray(0, -1));
  expect(() => [...readFrames(path)]).toThrow('ends inside an item');
  writeFileSync(path, 'SKYDATA\x02 of a later version');
  expect(() => [...readFrames(path)]).toThrow('not a data set of this version');
});
