/** What a table says of the rows that a transaction puts and removes. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { Environment, type Table } from '../../../src/storage/environment.ts';
import { makeMemoryFolder } from '../../support/memory-folder.ts';

let folder: string;
let environment: Environment;
let table: Table;

beforeEach(() => {
  folder = makeMemoryFolder('skyshard-table-');
  environment = Environment.open({ path: join(folder, 'store'), mapBytes: 2 ** 26, tables: ['rows'] });
  table = environment.table('rows');
});

afterEach(async () => {
  await environment.close();
  rmSync(folder, { recursive: true, force: true });
});

const key = Buffer.from('key');

it('puts a new row once and leaves the one that is there', () => {
  environment.transact(() => {
    expect(table.putNew(key, Buffer.from('first'))).toBe(true);
    expect(table.putNew(key, Buffer.from('second'))).toBe(false);
    expect(table.get(key)).toEqual(Buffer.from('first'));
  });
  environment.transact(() => expect(table.putNew(key, Buffer.from('third'))).toBe(false));
  expect(table.get(key)).toEqual(Buffer.from('first'));
});

it('puts and finds rows that are only a key', () => {
  environment.transact(() => {
    expect(table.putNew(key, Buffer.alloc(0))).toBe(true);
    expect(table.putNew(key, Buffer.alloc(0))).toBe(false);
  });
  expect(table.has(key)).toBe(true);
});

it('says whether a removed row was there', () => {
  environment.transact(() => {
    expect(table.removeExisting(key)).toBe(false);
    table.put(key, Buffer.from('value'));
    expect(table.removeExisting(key)).toBe(true);
    expect(table.removeExisting(key)).toBe(false);
  });
  expect(table.has(key)).toBe(false);
});

it('tells of each write', () => {
  const told: string[] = [];
  table.onWrite = (written) => told.push(written.toString());
  environment.transact(() => {
    table.putNew(key, Buffer.alloc(0));
    table.removeExisting(key);
    table.put(key, Buffer.alloc(0));
    table.remove(key);
  });
  expect(told).toEqual(['key', 'key', 'key', 'key']);
});
